"""A training whose loss is infinite or NaN ends, and leaves nothing behind."""

import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from own_data import Fail
from trainings import EPOCHS, STEPS, Prepare, kept
from transformers import TrainerControl

from stages import train
from stages.callbacks import FiniteLoss
from stages.errors import InputError


def test_a_loss_that_is_no_number_ends_training_with_nothing_left(
    prepared: Prepare, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared()
    step = transformers.Trainer.training_step

    def training_step(trainer: transformers.Trainer, *arguments: Any) -> torch.Tensor:
        loss: torch.Tensor = step(trainer, *arguments)
        return loss * (torch.nan if trainer.state.global_step == STEPS + 4 else 1)

    monkeypatch.setattr(transformers.Trainer, "training_step", training_step)
    error = fail(train.main)
    assert f"the training loss is nan at step {STEPS + 5} of {EPOCHS * STEPS}, learning rate 5.83e-03: " in error
    assert "lower train.learning_rate" in error
    assert kept() == []
    assert not (folder / "models/classifier").exists()


def test_weights_that_overflow_end_training_at_the_first_step(
    prepared: Prepare, fail: Fail, tiny_random_checkpoint: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    broken = shutil.copytree(tiny_random_checkpoint, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    tensors["embeddings.LayerNorm.weight"][:] = torch.inf
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    prepared(model__path=str(broken))
    assert "the training loss is nan at step 1 of " in fail(train.main)
    assert kept() == []


def test_a_validation_loss_that_is_no_number_ends_training_with_nothing_left(
    prepared: Prepare, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    step = transformers.Trainer.prediction_step

    def prediction_step(*arguments: Any, **others: Any) -> Any:
        loss, *rest = step(*arguments, **others)
        return loss * torch.nan, *rest

    monkeypatch.setattr(transformers.Trainer, "prediction_step", prediction_step)
    assert f"the validation loss is nan at step {STEPS} of {EPOCHS * STEPS}, " in fail(train.main)
    assert kept() == []


@pytest.mark.parametrize("loss", [torch.nan, torch.inf])
@pytest.mark.parametrize(
    ("device", "looks", "flags", "step"),
    [
        ("cuda", False, {}, 4),
        ("cuda", True, {"should_log": True}, 4),
        ("cuda", True, {"should_save": True}, 4),
        ("cuda", True, {}, 5),
        ("cpu", True, {}, 4),
    ],
    ids=["between", "a line of the log", "a checkpoint", "the end of an epoch", "on a CPU"],
)
def test_a_gpu_looks_at_the_loss_before_each_line_of_the_log_checkpoint_and_evaluation_and_a_cpu_after_each_step(
    tmp_path: Path, device: str, flags: dict[str, bool], step: int, loss: float, *, looks: bool
) -> None:
    trainer: Any = SimpleNamespace(_tr_loss=torch.tensor(loss))
    told: Any = SimpleNamespace(output_dir=str(tmp_path / "checkpoints"), device=torch.device(device))
    state: Any = SimpleNamespace(global_step=step, max_steps=10, num_train_epochs=2, epoch=step / 5)
    control: Any = TrainerControl(**flags)
    said = f"the training loss is {loss} at step {step} of 10"
    with pytest.raises(InputError, match=said) if looks else nullcontext():
        FiniteLoss(trainer).on_step_end(told, state, control)

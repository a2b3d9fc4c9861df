"""A training whose loss is NaN ends, and leaves nothing behind."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from own_data import Fail
from trainings import EPOCHS, STEPS, Prepare, kept

from stages import train


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

"""Training that goes on from a checkpoint ends with the bytes of one that was never stopped; run in this process."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch
import transformers
from conftest import write_small_dataset
from test_bytes import digests

from stages import checkpoints, download, entry, tokenize, train
from stages.sealing import SEAL, Sealing

ROWS, BATCH, EPOCHS = 72, 8, 3
STEPS = ROWS // BATCH
RECIPE = {
    "train__epochs": EPOCHS,
    "train__batch_size": BATCH,
    "train__learning_rate": "1e-2",
    "train__label_smoothing": 0.1,
}

Prepare = Callable[..., Path]


class KilledError(Exception):
    """Stands in for SIGKILL."""


@pytest.fixture
def prepared(workspace: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Run all that comes before train; called with the params that differ from `RECIPE`."""
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")  # a checkpoint after each step
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_small_dataset(tmp_path / "small")

    def prepare(**changes: Any) -> Path:
        folder = workspace(dataset__path="small", **RECIPE | changes)
        download.main()
        tokenize.main()
        return folder

    return prepare


def kept() -> list[str]:
    """The checkpoints on disk."""
    return sorted(path.name for path in Path(os.environ["RETUNE_CHECKPOINTS"]).glob("*/checkpoint-*"))


def train_until(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, and be killed as soon as the checkpoint of ``step`` is sealed."""
    seal = Sealing.on_save

    def on_save(callback: Sealing, args: Any, state: Any, control: Any, **others: Any) -> None:
        seal(callback, args, state, control, **others)
        if state.global_step == step:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Sealing, "on_save", on_save)
        with pytest.raises(KilledError):
            train.main()
    assert f"checkpoint-{step}" in kept()


def trained(folder: Path) -> dict[str, str]:
    """Train to the end and give the hash of each output."""
    train.main()
    assert not list(Path(os.environ["RETUNE_CHECKPOINTS"]).iterdir())
    return digests(folder, "train")


@pytest.mark.parametrize(
    "stops",
    [
        (1,),
        (STEPS - 1,),
        (STEPS,),
        (STEPS + 1, STEPS + 2, 2 * STEPS),
        (2 * STEPS, 2 * STEPS + 3, 3 * STEPS - 1),
        (3 * STEPS,),
    ],
    ids=str,
)
def test_a_resumed_training_ends_with_the_bytes_of_one_that_was_not_stopped(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stops: tuple[int, ...]
) -> None:
    folder = prepared()
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")
    expected = trained(folder)
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")
    for step in stops:
        train_until(step, monkeypatch)
    capsys.readouterr()
    assert trained(folder) == expected
    assert f"checkpoint-{stops[-1]}\n" in capsys.readouterr().out


@pytest.mark.parametrize("stop", [2 * STEPS, 2 * STEPS + 4], ids=["at the end", "after it"])
def test_early_stopping_is_remembered(prepared: Prepare, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    # at a learning rate of next to nothing no epoch is better than the first
    folder = prepared(
        train__learning_rate="1e-12", train__epochs=6, train__early_stopping_patience=1 + (stop % STEPS > 0)
    )
    expected = trained(folder)
    assert (folder / "metrics/curves/validation.csv").read_text(encoding="utf-8").count("\n") < 6
    train_until(stop, monkeypatch)
    assert trained(folder) == expected


def test_checkpoints_that_moved_are_found_with_the_best_one_among_them(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(train__learning_rate="1e-12")  # the first epoch's stays the best
    expected = trained(folder)
    train_until(3 * STEPS, monkeypatch)
    assert kept() == [f"checkpoint-{3 * STEPS}", f"checkpoint-{STEPS}"]
    shutil.move("checkpoints", "moved")
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(folder / "moved"))
    assert trained(folder) == expected


def test_other_params_never_go_on_from_them(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    train_until(STEPS + 2, monkeypatch)
    prepared(train__seed=1)
    train.main()
    assert "going on" not in capsys.readouterr().out
    assert f"checkpoint-{STEPS + 2}" in kept()


@pytest.mark.parametrize("damage", ["cut short", "a byte changed", "a file gone", "no seal", "half a seal"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    folder = prepared()
    expected = trained(folder)
    with monkeypatch.context() as patched:
        patched.setattr("stages.sealing.rotate_checkpoints", lambda *_, **__: None)
        train_until(STEPS + 3, monkeypatch)
    (newest,) = Path(os.environ["RETUNE_CHECKPOINTS"]).glob(f"*/checkpoint-{STEPS + 3}")
    weights, content = newest / "model.safetensors", (newest / "model.safetensors").read_bytes()
    if damage == "cut short":
        weights.write_bytes(content[:-100])
    elif damage == "a byte changed":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "a file gone":
        (newest / "optimizer.pt").unlink()
    elif damage == "no seal":
        (newest / SEAL).unlink()
    else:
        (newest / SEAL).write_text((newest / SEAL).read_text(encoding="utf-8")[:100], encoding="utf-8")
    capsys.readouterr()
    assert trained(folder) == expected
    assert f"going on from {newest.with_name(f'checkpoint-{STEPS + 2}')}\n" in capsys.readouterr().out


def test_without_its_best_one_a_checkpoint_is_passed_over(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared(train__learning_rate="1e-12")
    expected = trained(folder)
    train_until(2 * STEPS, monkeypatch)
    (best,) = Path(os.environ["RETUNE_CHECKPOINTS"]).glob(f"*/checkpoint-{STEPS}")
    (best / "model.safetensors").write_bytes(b"")
    assert trained(folder) == expected


def test_another_machine_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    train_until(3, monkeypatch)
    capsys.readouterr()
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 3)
    train.main()
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert said == [
        f"warning: another machine than before, so the model's bytes may differ: threads {threads}, now {threads + 3}"
    ]


def test_abandoned_checkpoints_are_removed_and_those_in_use_are_not(prepared: Prepare) -> None:
    prepared()
    root = Path(os.environ["RETUNE_CHECKPOINTS"])
    old = time.time() - (checkpoints.ABANDONED_DAYS + 1) * 86400
    for name in ("a" * 32, "b" * 32, "c" * 32, "mine"):
        (root / name / "checkpoint-1").mkdir(parents=True)
        (root / f"{name}.lock").touch()
    (root / ("d" * 32 + ".lock")).touch()
    for path in [*root.glob("*/*"), *root.iterdir()]:
        if "c" * 32 not in str(path):
            os.utime(path, (old, old))
    with filelock.FileLock(root / ("b" * 32 + ".lock")):
        os.utime(root / ("b" * 32 + ".lock"), (old, old))
        train.main()
        left = {path.name for path in root.iterdir()}
    assert left == {"b" * 32, "b" * 32 + ".lock", "c" * 32, "c" * 32 + ".lock", "mine", "mine.lock"}


def failing(capsys: pytest.CaptureFixture[str]) -> str:
    """Train by way of the entry, to an error of one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        entry.run(train.main)
    assert end.value.code == 1
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return error


def test_a_loss_that_is_no_number_ends_training_with_nothing_left(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepared()
    step = transformers.Trainer.training_step

    def training_step(trainer: transformers.Trainer, *arguments: Any) -> torch.Tensor:
        loss: torch.Tensor = step(trainer, *arguments)
        return loss * (torch.nan if trainer.state.global_step == STEPS + 4 else 1)

    monkeypatch.setattr(transformers.Trainer, "training_step", training_step)
    error = failing(capsys)
    assert f"the training loss is nan at step {STEPS + 5} of {EPOCHS * STEPS}, learning rate " in error
    assert "lower train.learning_rate" in error
    assert kept() == []
    assert not (folder / "models/classifier").exists()
    assert not list(folder.rglob(".*.partial"))


def test_weights_that_overflow_end_training_at_the_first_step(
    prepared: Prepare, capsys: pytest.CaptureFixture[str], tiny_random_checkpoint: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    broken = shutil.copytree(tiny_random_checkpoint, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    tensors["embeddings.LayerNorm.weight"][:] = torch.inf
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    prepared(model__path=str(broken))
    assert "the training loss is nan at step 1 of " in failing(capsys)
    assert kept() == []


def limit_memory(monkeypatch: pytest.MonkeyPatch, rows: int) -> list[int]:
    """Have the model's forward pass run out of memory above ``rows`` rows; give the sizes it saw in training."""
    sizes: list[int] = []
    model = transformers.BertForSequenceClassification
    forward = model.forward

    def limited(self: Any, input_ids: torch.Tensor, **others: Any) -> Any:
        if self.training:
            sizes.append(len(input_ids))
            if len(input_ids) > rows:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (stand-in)")
        return forward(self, input_ids, **others)

    # the Trainer reads the signature, to see whether the loss may be summed over parts
    limited.__signature__ = __import__("inspect").signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", limited)
    return sizes


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_too_large_for_memory_is_taken_in_parts_and_stays_the_same_batch(
    prepared: Prepare,
    tiny_random_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    smoothing: float,
) -> None:
    plain = shutil.copytree(tiny_random_checkpoint, tmp_path / "plain")
    config = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (plain / "config.json").write_text(json.dumps(config | dropouts), encoding="utf-8")
    folder = prepared(model__path=str(plain), train__label_smoothing=smoothing, train__epochs=1)
    monkeypatch.setattr("stages.machine.bf16_supported", lambda: False)
    curves = folder / "metrics/curves/training.csv"

    def losses() -> list[float]:
        train.main()
        return [float(line.split(",")[2]) for line in curves.read_text(encoding="utf-8").splitlines()[1:]]

    expected = losses()
    capsys.readouterr()
    sizes = limit_memory(monkeypatch, BATCH // 4)
    assert losses() == pytest.approx(expected, abs=1e-4)
    assert sizes == [BATCH, BATCH // 2] + 4 * STEPS * [BATCH // 4]
    said = [line for line in capsys.readouterr().out.splitlines() if "out of memory" in line]
    assert [line.partition(":")[0] for line in said] == [
        f"out of memory with {BATCH} texts at a time",
        f"out of memory with {BATCH // 2} texts at a time",
    ]


def test_a_training_in_parts_goes_on_in_those_parts(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared()
    sizes = limit_memory(monkeypatch, BATCH // 2)
    expected = trained(folder)
    train_until(STEPS + 2, monkeypatch)
    sizes.clear()
    assert trained(folder) == expected
    assert set(sizes) == {BATCH // 2}


def test_one_text_that_fills_the_memory_is_an_error(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    limit_memory(monkeypatch, 0)
    assert "a batch of one text fills the memory" in failing(capsys)

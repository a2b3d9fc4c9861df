"""Trainings in this process, with a checkpoint after each step: to the end, until they are killed, or to an error."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from digests import digests

from stages import entry, train
from stages.sealing import Sealing

ROWS, BATCH, EPOCHS = 72, 8, 3
STEPS = ROWS // BATCH
RECIPE = {
    "train__epochs": EPOCHS,
    "train__batch_size": BATCH,
    "train__learning_rate": "1e-2",
    "train__label_smoothing": 0.1,
}

Prepare = Callable[..., Path]
LEFT_ALONE: dict[str, dict[str, str]] = {}


class KilledError(Exception):
    """Stands in for SIGKILL."""


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


def left_alone(folder: Path) -> dict[str, str]:
    """The hash of each output of a training with these params that nothing stops, trained once in a test process."""
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    if params not in LEFT_ALONE:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")  # none but those at the ends of epochs
            LEFT_ALONE[params] = trained(folder)
    return LEFT_ALONE[params]


def failing(capsys: pytest.CaptureFixture[str], main: Callable[[], None] = train.main) -> str:
    """Train, or run another stage, by way of the entry, to an error of one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        entry.run(main)
    assert end.value.code == 1
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return error

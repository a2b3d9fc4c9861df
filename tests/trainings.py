"""Trainings in this process, with a checkpoint after each step: to the end, until killed, or short of memory."""

import contextlib
import inspect
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from digests import digests

from stages import train
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


def resumed(folder: Path, step: int) -> dict[str, str]:
    """The same, and see that it goes on from the checkpoint of ``step``, 0 where it is to begin anew."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        found = trained(folder)
    places = map(Path, re.findall(r"resuming from (.+)", said.getvalue()))
    wanted = [(Path(os.environ["RETUNE_CHECKPOINTS"]), f"checkpoint-{step}")] if step else []
    assert [(place.parents[1], place.name) for place in places] == wanted
    return found


def left_alone(folder: Path) -> dict[str, str]:
    """The hash of each output of a training with these params that nothing stops, trained once in a test process."""
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    if params not in LEFT_ALONE:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")  # none but those at the ends of epochs
            LEFT_ALONE[params] = trained(folder)
    return LEFT_ALONE[params]


def limit_memory(monkeypatch: pytest.MonkeyPatch, rows: int) -> list[int]:
    """Have the model run out of memory above ``rows`` rows, in training and evaluation; give the sizes in training."""
    sizes: list[int] = []
    model = transformers.BertForSequenceClassification
    forward = model.forward

    def limited(self: Any, input_ids: torch.Tensor, **others: Any) -> Any:
        if self.training:
            sizes.append(len(input_ids))
        if len(input_ids) > (rows if self.training else max(2, rows)):  # two are computed before training
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (stand-in)")
        return forward(self, input_ids, **others)

    limited.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined] # where the Trainer looks for labels
    monkeypatch.setattr(model, "forward", limited)
    return sizes

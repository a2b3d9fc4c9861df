"""The seal of a checkpoint: written last, with a hash of each file and of itself, and what the Trainer leaves out."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from stages import hashing
from stages.errors import InputError
from stages.outputs import sync

SEAL = "seal.json"


class Sealing(TrainerCallback):
    """Seals each checkpoint of ``trainer``, and removes those that are neither newest nor best.

    Besides the Trainer's own at the end of an epoch, one is made after each ``$RETUNE_CHECKPOINT_SECONDS`` (300).

    Attributes:
        made_with: what the seals are to hold for whoever resumes.
        seal: that of the checkpoint to resume from, if there is one.
    """

    def __init__(self, trainer: Trainer, made_with: dict[str, Any], seal: dict[str, Any] | None) -> None:
        self.trainer, self.made_with, self.seal = trainer, made_with, seal
        self.seconds = _seconds()
        self.rng_state = ""  # that the order of this epoch's rows was drawn from
        self.saved_at = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: object, **__: object) -> None:
        """Restore the training loss since the last log line, and the path of the best checkpoint."""
        if self.seal:
            self.trainer._tr_loss += self.seal["loss"]  # noqa: SLF001
            self.trainer._globalstep_last_logged = self.seal["logged_step"]  # noqa: SLF001
            if state.best_global_step:
                state.best_model_checkpoint = f"{args.output_dir}/checkpoint-{state.best_global_step}"

    def on_epoch_begin(self, *_: object, **__: object) -> None:
        """Where training resumes within an epoch, restore the state that its order of rows was drawn from."""
        if self.seal:
            torch.set_rng_state(torch.frombuffer(bytearray.fromhex(self.seal["rng_state"]), dtype=torch.uint8))
            self.seal = None
        self.rng_state = _rng_state()

    def on_step_end(self, _: object, state: TrainerState, control: TrainerControl, **__: object) -> None:
        """Ask for a checkpoint when it is time; at the end of an epoch there is one anyway, after the evaluation."""
        if not ends_epoch(state) and time.monotonic() - self.saved_at > self.seconds:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Seal what was saved; only when all of it is on the disk, remove what it replaces."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        content = self.made_with | {
            "files": {file.name: hashing.sha256(file) for file in path.iterdir() if file.name != SEAL},
            "best_step": state.best_global_step,
            "epochs": round(state.epoch or 0) if control.should_training_stop else args.num_train_epochs,
            "loss": self.trainer._tr_loss.item(),  # noqa: SLF001
            "logged_step": self.trainer._globalstep_last_logged,  # noqa: SLF001
            "rng_state": _rng_state() if ends_epoch(state) else self.rng_state,
        }
        partial = path / f".{SEAL}.partial"
        text = json.dumps(content)
        partial.write_text(f"{hashing.md5_of(text.encode())}\n{text}", encoding="utf-8")
        for file in path.iterdir():
            sync(file)
        partial.rename(path / SEAL)
        sync(path)
        sync(path.parent)
        rotate_checkpoints(args.output_dir, save_total_limit=1, best_model_checkpoint=state.best_model_checkpoint)
        self.saved_at = time.monotonic()


def ends_epoch(state: TrainerState) -> bool:
    """Whether the step just done is the last of its epoch, so that evaluation comes before the checkpoint."""
    return float(state.epoch or 0).is_integer()


def _seconds() -> float:
    named = os.environ.get("RETUNE_CHECKPOINT_SECONDS") or "300"
    with suppress(ValueError):
        if (seconds := float(named)) >= 0:
            return seconds
    raise InputError(f"RETUNE_CHECKPOINT_SECONDS: {named} is not a number of seconds: set another")


def _rng_state() -> str:
    return bytes(torch.get_rng_state().numpy()).hex()


def seal_of(path: Path) -> dict[str, Any] | None:
    """What the seal of a checkpoint holds; None where it has none, or is not whole."""
    try:
        own, _, text = (path / SEAL).read_text(encoding="utf-8").partition("\n")
        if own != hashing.md5_of(text.encode()):
            return None
        seal = json.loads(text)
        whole = all(hashing.sha256(path / name) == digest for name, digest in seal["files"].items())
    except (OSError, ValueError):
        return None
    return seal if whole else None

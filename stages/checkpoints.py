"""Checkpoints of a training under way: where they lie, which are whole, and going on from one to the very same bytes.

They are the Trainer's own. What it leaves out stands in a seal, which is written last and holds the hash of every file.
"""
# ruff: noqa: ARG002 - the Trainer hands all arguments to all callbacks

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from stages.outputs import alone

SEAL = "seal.json"
ABANDONED_DAYS = 14


@contextmanager
def held(fingerprint: str) -> Iterator[Path]:
    """The folder for the checkpoints of one set of inputs, outside the pipeline's outputs and held by a lock.

    Its root is ``$RETUNE_CHECKPOINTS``, or retune/checkpoints in the user's cache folder. The folder is gone after
    success, and stays after all else. Folders that nobody came back to are removed.

    Raises:
        InputError: another process trains on the same inputs.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("RETUNE_CHECKPOINTS") or cache / "retune" / "checkpoints").absolute()
    root.mkdir(parents=True, exist_ok=True)
    folder = root / fingerprint
    with alone(_lock(folder), "trains on the same inputs"):
        _prune(root)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint in ``folder`` and its seal; all but it and the best one by then are removed."""
    sealed = {path: seal for path in folder.glob("checkpoint-*") if (seal := _seal_of(path))}
    for path in sorted(sealed, key=lambda path: int(path.name.removeprefix("checkpoint-")), reverse=True):
        best = folder / f"checkpoint-{sealed[path]['best_step'] or path.name.removeprefix('checkpoint-')}"
        if best in sealed:
            for other in set(folder.iterdir()) - {path, best}:
                shutil.rmtree(other)
            return path, sealed[path]
    shutil.rmtree(folder, ignore_errors=True)
    return None


def parts(folder: Path) -> int:
    """How many parts the batch was taken in by the training to go on with; 1 where there is none."""
    begun = newest(folder)
    return int(begun[1]["parts"]) if begun else 1


def follow(trainer: Trainer, machine: dict[str, Any]) -> Path | None:
    """Have the checkpoints of ``trainer`` sealed; give the one to go on from, None where there is none of its kind."""
    folder = Path(trainer.args.output_dir)
    notes = {"parts": trainer.args.gradient_accumulation_steps, "machine": machine}
    path, seal = newest(folder) or (None, None)
    if seal and seal["parts"] != notes["parts"]:
        shutil.rmtree(folder)
        path = seal = None
    trainer.add_callback(Sealing(trainer, notes, seal))
    if seal:
        print(f"going on from {path}", flush=True)
        before = seal["machine"]
        if changed := [f"{key} {before[key]}, now {now}" for key, now in machine.items() if before[key] != now]:
            print(f"warning: another machine than before, so the model's bytes may differ: {'; '.join(changed)}")
        if seal["stopped"]:  # by early stopping, which the Trainer forgets: no epoch is left
            trainer.args.num_train_epochs = seal["epochs"]
    return path


class Sealing(TrainerCallback):
    """Seals each checkpoint of ``trainer``, and removes those that are neither newest nor best.

    Besides the Trainer's own at the end of an epoch, one is made after each ``$RETUNE_CHECKPOINT_SECONDS`` (300).

    Attributes:
        notes: what the seals are to hold for whoever goes on.
        seal: that of the checkpoint to go on from, if there is one.
    """

    def __init__(self, trainer: Trainer, notes: dict[str, Any], seal: dict[str, Any] | None) -> None:
        self.trainer, self.notes, self.seal = trainer, notes, seal
        self.seconds = float(os.environ.get("RETUNE_CHECKPOINT_SECONDS") or 300)
        self.order = ""  # the state that the order of this epoch's rows was drawn from
        self.saved_at = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Take up the loss since the last line of the log, and the best checkpoint where it now lies."""
        if self.seal:
            self.trainer._tr_loss += self.seal["loss"]  # noqa: SLF001
            self.trainer._globalstep_last_logged = self.seal["logged_step"]  # noqa: SLF001
            if state.best_global_step:
                state.best_model_checkpoint = f"{args.output_dir}/checkpoint-{state.best_global_step}"

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Draw the order of the rows in an epoch that is taken up again as it was drawn before."""
        if self.seal:
            torch.set_rng_state(torch.from_numpy(np.frombuffer(bytes.fromhex(self.seal["order"]), np.uint8).copy()))
            self.seal = None
        self.order = _random_state()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Ask for a checkpoint when it is time; at the end of an epoch there is one anyway, after the evaluation."""
        if not ends_epoch(state) and time.monotonic() - self.saved_at > self.seconds:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Seal what was saved; only then remove what it replaces."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        content = self.notes | {
            "files": {file.name: _sha256(file) for file in path.iterdir() if file.name != SEAL},
            "best_step": state.best_global_step,
            "stopped": control.should_training_stop,
            "epochs": round(state.epoch or 0),
            "loss": self.trainer._tr_loss.item(),  # noqa: SLF001
            "logged_step": self.trainer._globalstep_last_logged,  # noqa: SLF001
            "order": _random_state() if ends_epoch(state) else self.order,
        }
        partial = path / f".{SEAL}.partial"
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.rename(path / SEAL)
        rotate_checkpoints(args.output_dir, save_total_limit=1, best_model_checkpoint=state.best_model_checkpoint)
        self.saved_at = time.monotonic()


def ends_epoch(state: TrainerState) -> bool:
    """Whether the step just done is the last of its epoch, so that evaluation comes before the checkpoint."""
    return float(state.epoch or 0).is_integer()


def _random_state() -> str:
    return bytes(torch.get_rng_state().numpy()).hex()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal_of(path: Path) -> dict[str, Any] | None:
    try:
        seal = json.loads((path / SEAL).read_text(encoding="utf-8"))
        whole = all(_sha256(path / name) == digest for name, digest in seal["files"].items())
    except (OSError, ValueError):
        return None
    return seal if whole else None


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _prune(root: Path) -> None:
    """Remove what was abandoned: not touched for `ABANDONED_DAYS`, and held by no process."""
    names = {path.name.removesuffix(".lock") for path in root.iterdir()}
    for folder in [root / name for name in names if re.fullmatch("[0-9a-f]{32}", name)]:
        touched = [path.stat().st_mtime for path in (folder, _lock(folder), *folder.glob("*")) if path.exists()]
        if time.time() - max(touched, default=0) < ABANDONED_DAYS * 86400:
            continue
        lock = filelock.FileLock(_lock(folder))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        _lock(folder).unlink(missing_ok=True)
        lock.release()

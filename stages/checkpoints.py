"""Checkpoints of a training under way: where they lie, which are whole, and resuming from one to the very same bytes.

They are the Trainer's own. What it leaves out is in a seal, which is written last and holds the hash of every file.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
from transformers import Trainer
from transformers.trainer_utils import sort_checkpoints

from stages.errors import InputError
from stages.outputs import locked, remove
from stages.sealing import Sealing, seal_of

ABANDONED_DAYS = 14
Sealed = tuple[Path, dict[str, Any]]  # a whole checkpoint, and its seal


@contextmanager
def locked_folder(fingerprint: str) -> Iterator[Path]:
    """The folder for the checkpoints of one set of inputs, outside the pipeline's outputs and held by a lock.

    Its root is ``$RETUNE_CHECKPOINTS``, or retune/checkpoints in the user's cache folder. The folder is gone after
    success and after a loss that is not finite, and stays after all else. Folders that nobody came back to are removed.

    Raises:
        InputError: another process trains on the same inputs, there is no home folder and no root is named, or the root
            cannot be written.
    """
    root = _root()
    folder = root / fingerprint
    with ExitStack() as held:
        try:
            held.enter_context(locked(folder.with_suffix(".lock"), "trains on the same inputs"))
        except OSError as error:
            advice = "make room or check its permissions, or set RETUNE_CHECKPOINTS to another folder"
            raise InputError(f"{error.filename}: {error.strerror}: {advice}") from None
        _prune(root)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def keep_newest(folder: Path) -> Sealed | None:
    """Remove all in ``folder`` but its newest whole checkpoint and the best by then; give it and its seal, if any."""
    paths = map(Path, sort_checkpoints(str(folder)))
    sealed = {path: seal for path in paths if (seal := seal_of(path))}
    for path, seal in reversed(sealed.items()):
        best = folder / f"checkpoint-{seal['best_step']}" if seal["best_step"] else path
        if best in sealed:
            for other in set(folder.iterdir()) - {path, best}:
                remove(other)
            return path, seal
    shutil.rmtree(folder, ignore_errors=True)
    return None


def attach(trainer: Trainer, machine: dict[str, Any], newest: Sealed | None) -> tuple[Path | None, dict[str, Any]]:
    """Have the checkpoints of ``trainer`` sealed.

    Returns:
        The path of ``newest``, to resume from; and what is recorded: the ``machine``, and those that trained until
        then, if others.
    """
    path, seal = newest or (None, None)
    made_with: dict[str, Any] = {"machine": machine}
    if seal:
        print(f"resuming from {path}", flush=True)
        if earlier := _earlier_machines(seal, machine):
            made_with["earlier_machines"] = earlier
        trainer.args.num_train_epochs = seal["epochs"]  # fewer after early stopping, which the Trainer forgets
    trainer.add_callback(Sealing(trainer, made_with, seal))
    return path, made_with


def _earlier_machines(seal: dict[str, Any], machine: dict[str, Any]) -> list[dict[str, Any]]:
    """The machines that training ran on before this ``machine``, of a change to which it warns."""
    earlier, before = seal.get("earlier_machines", []), seal["machine"]
    was, now = ({**one, **one["versions"], "versions": None} for one in (before, machine))
    changed = [f"{key} {was.get(key)}, now {now.get(key)}" for key in was | now if was.get(key) != now.get(key)]
    if not changed:
        return list(earlier)
    print(f"warning: the machine is not as it was, so the model's bytes may differ: {'; '.join(changed)}")
    return [*earlier, before]


def _root() -> Path:
    named, cache = os.environ.get("RETUNE_CHECKPOINTS"), os.environ.get("XDG_CACHE_HOME")
    try:
        if named:
            return Path(named).expanduser().absolute()  # not every file of variables expands it
        return (Path(cache) if cache else Path.home() / ".cache").absolute() / "retune" / "checkpoints"
    except RuntimeError as error:
        raise InputError(f"{error}: set RETUNE_CHECKPOINTS to a folder for checkpoints") from None


def _prune(root: Path) -> None:
    """Remove what was abandoned: checkpoints not touched for `ABANDONED_DAYS`, and held by no process."""
    names = {path.name.removesuffix(".lock") for path in root.iterdir()}
    for folder in [root / name for name in names if re.fullmatch("[0-9a-f]{32}", name)]:
        lock = folder.with_suffix(".lock")
        try:
            inside = list(folder.glob("*"))
            touched = [path.stat().st_mtime for path in (folder, lock, *inside) if path.exists()]
        except OSError:  # in use: its training has just removed one; or another user's
            continue
        foreign = any(not path.name.startswith("checkpoint-") for path in inside)
        if foreign or time.time() - max(touched, default=0) < ABANDONED_DAYS * 86400:
            continue
        with suppress(filelock.Timeout, OSError), filelock.FileLock(lock, 0, fallback_to_soft=False):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink()

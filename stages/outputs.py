"""Outputs are written under a temporary name and renamed when whole, so that nothing half-written looks done."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from stages import dvcfile, hashing, paths, provenance
from stages.errors import MAKE_ROOM, InputError, no_room

LOCK_TIMEOUT = 20  # seconds that a process gets to stop: when its DVC is gone, it notices and does


@contextmanager
def scratch(*places: Path) -> Iterator[None]:
    """Remove files or folders before and after: what a killed run has left of them, and what the context makes."""
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        remove(place)
    try:
        yield
    finally:
        for place in places:
            remove(place)


@contextmanager
def staged(stamp: provenance.Stamp, *outputs: str) -> Iterator[list[Path]]:
    """Give a hidden name beside each output (a file or a folder) to write to; rename them all on success.

    With them goes ``stamp``, the stage's inputs when it began, and the MD5 of each output. On any error before the
    first is renamed, the outputs themselves stay as they were; the partial ones are removed.

    Raises:
        InputError: another process writes the same outputs, there is no room for one, an input has changed, dvc.yaml
            does not list a module that the stage imports or lists other outs, or DVC would not store a file of a
            folder (which is found only once the outputs have their names).
    """
    targets = [Path(output) for output in (*outputs, paths.provenance(stamp["stage"]))]
    dvcfile.check_outs(map(str, targets))
    dvcfile.check_imports()
    partials = [target.with_name(f".{target.name}.partial") for target in targets]
    with locked(partials[0].with_suffix(".lock"), f"writes {outputs[0]}"), scratch(*partials):
        try:
            yield partials[:-1]
            outs = {out: hashing.md5(partial, _files) for out, partial in zip(outputs, partials[:-1], strict=True)}
            partials[-1].write_text(provenance.text(stamp | {"outs": outs}), encoding="utf-8")
            dvcfile.check_imports()  # again, with those imported late
            provenance.check_unchanged(stamp)
            for path in (path for partial in partials for path in (partial, *partial.rglob("*"))):
                sync(path)
            for partial, target in zip(partials, targets, strict=True):
                remove(target)
                partial.rename(target)
                sync(target.parent)
            for target in filter(Path.is_dir, targets):
                hashing.check_not_hidden(target, _files(target))
        except Exception as error:
            # they are written in this order: the last one begun is the one that there was no room for
            begun = [target for partial, target in zip(partials, targets, strict=True) if partial.exists()]
            if begun and not isinstance(error, InputError) and (said := no_room(error)):
                raise InputError(f"{begun[-1]}: {said}: {MAKE_ROOM}") from error
            raise


def _files(partial: Path) -> Iterable[Path]:
    """What DVC will hash of a folder once it has its name: as it is named now, DVC would not look into it."""
    return (file for file in partial.rglob("*") if file.is_file())


@contextmanager
def locked(lock: Path, does: str) -> Iterator[None]:
    """Hold a lock, which the system releases if the process dies; its file is removed at the end.

    Raises:
        InputError: another process still holds it after `LOCK_TIMEOUT` seconds, or the file system has no locks.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(lock, fallback_to_soft=False)  # nor a lock that outlives a killed process
    other = f"another process {does} (it holds {lock})"
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        print(f"{other}: waiting for it to stop", flush=True)
        try:
            held.acquire(timeout=LOCK_TIMEOUT)
        except filelock.Timeout:
            raise InputError(f"{other}: run again when it has ended") from None
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}:
            raise
        raise InputError(f"{lock}: {error.strerror}: its file system has no locks: use another one") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that, and makes a new one
        held.release()


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have what was written to a file or a folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # not every file system can, of a folder
            raise
    finally:
        os.close(descriptor)

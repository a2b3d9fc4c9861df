"""Outputs are written under a temporary name and renamed when whole, so that nothing half-written looks done."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(*outputs: str) -> Iterator[list[Path]]:
    """Give a hidden name beside each output (a file or a folder) to write to; rename them all on success.

    On any error the partial outputs are removed and the outputs themselves stay as they were.
    """
    targets = [Path(output) for output in outputs]
    partials = [target.with_name(f".{target.name}.partial") for target in targets]
    for partial in partials:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
    try:
        yield partials
        for partial, target in zip(partials, targets, strict=True):
            _remove(target)
            partial.rename(target)
    finally:
        for partial in partials:
            _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

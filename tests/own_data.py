"""Folders of a user's own data and checkpoint, for what is wrong with them to be put in; lines of params.yaml."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages import paths

GOOD = "text,label\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(20))

# what Python says of JSON that is nested too deeply
TOO_DEEP = "Stack overflow" if sys.version_info >= (3, 14) else "maximum recursion depth exceeded"

Fail = Callable[..., str]
Workspace = Callable[..., Path]


def own_dataset(workspace: Workspace, files: dict[str, str | bytes], **params: Any) -> Path:
    """A folder ``own`` of good splits, of which ``files`` take the place."""
    folder = workspace(**{"dataset__path": "own", "dataset__labels": None} | params)
    given = {name.split(".")[0] for name in files}
    good = {f"{split}.csv": GOOD for split in paths.SPLITS if split not in given}
    (folder / "own").mkdir()
    for name, content in (good | files).items():
        (folder / "own" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def own_checkpoint(workspace: Workspace, checkpoint: Path, **params: Any) -> Path:
    """A folder with a good dataset, and a copy of the checkpoint in ``own-model``, which is given."""
    folder = own_dataset(workspace, {}, model__path="own-model", **params)
    return shutil.copytree(checkpoint, folder / "own-model")


def line_of(key: str) -> int:
    """The line of params.yaml with ``key``, as section.key."""
    section, name = key.split(".")
    lines = Path("params.yaml").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"{section}:")
    return next(number for number, line in enumerate(lines, 1) if number > start and line.startswith(f"  {name}:"))

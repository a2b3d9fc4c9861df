"""Folders of a user's own data and checkpoint, for what is wrong with them to be put in; lines of params.yaml."""

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages import paths
from stages.files import read_rows
from stages.rows import Layout

GOOD = "text,label\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(20))

# what Python says of JSON that is nested too deeply
TOO_DEEP = "Stack overflow" if sys.version_info >= (3, 14) else "maximum recursion depth exceeded"

NAMES = "set dataset.text_column and dataset.label_column"
COLUMNS = f"{NAMES}, or dataset.header or dataset.delimiter"
AS_TRAIN = "give it the columns that the train split has"
CARVED = "remove it (of a hub dataset, save the other splits as files) to have it carved from train"

LAYOUT = Layout("text", "label", header=True, delimiter=None, quoting=True)

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


def refusal(workspace: Workspace, fail: Fail, files: dict[str, str | bytes], params: dict[str, Any]) -> str:
    """What download says, in one line, of a folder of good splits, of which ``files`` take the place."""
    own_dataset(workspace, files, **params)
    error = fail()
    assert "\n" not in error
    return error


def parquet(damage: slice | None = None, **columns: list[Any]) -> bytes:
    """A file of ``columns``, by default 50 good rows, its bytes in ``damage`` flipped."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns or {"text": ["some text"] * 50, "label": ["a", "b"] * 25}), file)
    content = bytearray(file.getvalue())
    if damage:
        content[damage] = bytes(byte ^ 0xFF for byte in content[damage])
    return bytes(content)


def read(path: Path, layout: Layout = LAYOUT) -> list[tuple[Any, Any]]:
    """The text and the label of each row of a file, as they are found."""
    return [(row.text, row.label) for row in read_rows(path, layout)]


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

"""The files between stages: the same bytes from the same rows; parquet has label names and more in its schema."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, List, Value

from stages.paths import reading

if TYPE_CHECKING:
    import pandas as pd

METADATA = b"retune"
ROWS, CHARACTERS = 4096, 2_000_000  # at once: enough to keep every core busy, few enough to keep memory flat
TEXTS = {"text": Value("string")}
TOKENS = {"input_ids": List(Value("int32"))}
PREDICTIONS = {"probabilities": List(Value("float32")), "leaked": Value("bool")}


def schema(columns: dict[str, Any], names: list[str], *labels: str, **metadata: Any) -> pa.Schema:
    """An Arrow schema of ``columns`` and the ``labels`` columns (datasets' ClassLabel), with ``metadata`` as JSON."""
    features = Features(columns | {label: ClassLabel(names=names) for label in labels})
    arrow = features.arrow_schema
    stamp = json.dumps(metadata, sort_keys=True, ensure_ascii=False).encode()
    return arrow.with_metadata(arrow.metadata | {METADATA: stamp})


def writer(path: Path, to: pa.Schema) -> pq.ParquetWriter:
    """A writer that compresses with zstd; its other settings are those of the pyarrow that requirements.txt pins."""
    return pq.ParquetWriter(path, to, compression="zstd")


def write(path: Path, to: pa.Schema, **columns: Any) -> None:
    """Write whole columns under the schema ``to``."""
    with writer(path, to) as file:
        file.write_table(pa.table(columns, schema=to))


def read(path: str) -> pa.Table:
    """Read a table that an earlier stage wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    with reading(path):
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)
        label_names(table.schema)
        metadata(table.schema)
    return table


def parts(texts: Sequence[str]) -> Iterator[slice]:
    """Consecutive texts to work on at once: `ROWS` at most, of `CHARACTERS` together unless one alone is longer."""
    start = characters = 0
    for row, text in enumerate(texts):
        characters += len(text)
        if row > start and (row - start == ROWS or characters > CHARACTERS):
            yield slice(start, row)
            start, characters = row, len(text)
    if texts:
        yield slice(start, len(texts))


def label_names(arrow: pa.Schema) -> list[str]:
    """The label names, in the order of their numbers."""
    return list(Features.from_arrow_schema(arrow)["label"].names)


def metadata(arrow: pa.Schema) -> dict[str, Any]:
    """What the stage that wrote the table said of it."""
    return dict(json.loads(arrow.metadata[METADATA]))


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """Write a table that people read too, all text in quotes: without them a carriage return would end a row."""
    frame.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)

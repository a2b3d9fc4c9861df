"""The rows of local files: csv, tsv, txt and jsonl, plain or gzipped, and parquet."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from math import isnan
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.delimited import delimited
from stages.errors import InputError, listed, reason
from stages.rows import ColumnError, Layout, Row, check_distinct, column_names, label_name
from stages.splits import DELIMITERS, ending

GZIP = b"\x1f\x8b"  # how such a file begins
LFS = b"version https://git-lfs"  # and what git LFS leaves in its place


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a file in order.

    Raises:
        InputError: the file is not what its ending says, is not UTF-8, or lacks a column.
    """
    found = ending(path)
    with path.open("rb") as file:
        if file.read(len(LFS)) == LFS:
            raise InputError(f"{path}: git LFS has not fetched it: run `git lfs pull`")
    try:
        if found == ".parquet":
            yield from _parquet(path, layout)
        elif found == ".jsonl":
            yield from _jsonl(path, layout)
        else:
            delimiter = layout.delimiter or DELIMITERS[found]
            if delimiter is None:
                raise InputError(f"{path}: a .txt file does not say what separates its columns: set dataset.delimiter")
            yield from delimited(path, _lines(path), layout, delimiter)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: broken gzip file ({error}): fetch it again") from None


def decoded(name: str, lines: Iterable[bytes]) -> Iterator[str]:
    """The lines of the UTF-8 file ``name`` with their line ends, without a byte order mark.

    Raises:
        InputError: a line is not UTF-8, or the first looks like UTF-16.
    """
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            if number == 1 and line.startswith(GZIP):
                advice = "unpack it first" if name.lower().endswith((".gz", ">")) else "add .gz to its name"
                raise InputError(f"{name}: it is gzipped: {advice}") from None
            byte = error.object[error.start]
            raise InputError(f"{name}, line {number}: byte 0x{byte:02x} is not UTF-8: save the file as UTF-8") from None
        if number == 1 and "\0" in text:
            raise InputError(f"{name}, line 1: a NUL byte, as in UTF-16: save the file as UTF-8")
        yield text


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        yield from decoded(str(path), file)


def _jsonl(path: Path, layout: Layout) -> Iterator[Row]:
    text, label = layout.text_column, layout.label_column
    if isinstance(text, int) or isinstance(label, int):
        raise InputError(f"{path}: set dataset.text_column and dataset.label_column to names: .jsonl has no positions")
    check_distinct(str(path), text, label)
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = getattr(error, "msg", error)  # without JSON's own count of lines
            raise InputError(f"{path}, line {number}: not JSON ({said}): each line is to be one object") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: an object is expected, with a text and a label")
        missing = [key for key in (text, label) if key not in row]
        has = f" (no {listed(missing)} in it, only: {listed(list(row)) or 'nothing'})" if missing else ""
        seen.update(row)
        yield Row(f"{path}, line {number}{has}", row.get(text), row.get(label))
    for key in (text, label):
        if seen and key not in seen:
            raise ColumnError(
                f"{path}: no {key!r} in any line, there are: {listed(sorted(seen))}",
                "set dataset.text_column and dataset.label_column",
            )


def _parquet(path: Path, layout: Layout) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            columns = column_names(str(path), file.schema_arrow.names, layout.text_column, layout.label_column)
            names = _class_labels(file.schema_arrow, columns[1])
            pairs = (
                pair
                for batch in file.iter_batches(columns=columns)
                for pair in zip(*(batch[name].to_pylist() for name in columns), strict=True)
            )
            for number, (text, label) in enumerate(pairs):
                name = label_name(label, names)
                unnamed = names is not None and isinstance(name, int | float | Decimal) and not isnan(name)
                problem = "a label number without a name" if unnamed else ""
                yield Row(f"{path}, row {number} (from 0)", text, name, problem)
    except InputError:
        raise
    except Exception as error:  # whatever damage makes the library raise
        raise InputError(f"{path}: not a readable parquet file ({reason(error)}): fetch it again") from error


def _class_labels(schema: pa.Schema, column: str) -> list[str] | None:
    """The names that the datasets library has written for a column of integer labels."""
    try:
        names = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]["names"]
        return [name.strip() for name in names]
    except (ValueError, LookupError, TypeError, AttributeError):  # another library's, or of no labels
        return None

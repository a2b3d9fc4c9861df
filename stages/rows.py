"""Labelled texts from local files: csv, tsv, txt and jsonl, plain or gzipped, and parquet, a row at a time."""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from stages import provenance
from stages.errors import InputError, listed, reason

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": None}
ENDINGS = (*DELIMITERS, ".jsonl", ".parquet")


class Row(NamedTuple):
    """A row as it was found: its place, its text and label, None where there is none, and what is wrong with it."""

    where: str
    text: Any
    label: Any
    problem: str = ""


class Layout(NamedTuple):
    """How files lay out a row; see the keys of the same names in params.yaml."""

    text_column: str | int
    label_column: str | int
    header: bool
    delimiter: str | None
    quoting: bool


def split_files(path: Path) -> dict[str, Path]:
    """Find the file of each split: one file is train, and of a folder the files named for a split; others are named.

    Raises:
        InputError: there is no such path, no train file, two files for one split, or one that DVC does not see.
    """
    if path.is_file():
        _ending(path)
        return {"train": path}
    if not path.is_dir():
        raise InputError(f"dataset.path: {path} does not exist: set it to a file or to a folder with a train file")
    files: dict[str, Path] = {}
    unread = []
    for file in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(file.name.split(".")[0].lower())
        if split is None or file.suffix == ".dvc":
            unread += [file.name] if file.suffix in ENDINGS else []
            continue
        if not file.is_file():
            raise InputError(f"{file}: named for the {split} split, but no file: put a file there, or rename it")
        _ending(file)
        if split in files:
            raise InputError(f"{path}: both {files[split].name} and {file.name} are {split}: leave one of them")
        files[split] = file
    if unread:
        print(f"{path}: not read, since not named for a split: {listed(unread)}")
    if "train" not in files:
        raise InputError(f"{path}: no train file: name it train with one of the endings {', '.join(ENDINGS)} (or .gz)")
    provenance.check_hashed(path, files.values())
    return files


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a file in order.

    Raises:
        InputError: the file is not what its ending says, is not UTF-8, or lacks a column.
    """
    ending = _ending(path)
    try:
        if ending == ".parquet":
            yield from _parquet(path, layout)
        elif ending == ".jsonl":
            yield from _jsonl(path, layout)
        else:
            yield from _separated(path, layout, layout.delimiter or DELIMITERS[ending])
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: broken gzip file ({error}): fetch it again") from None


def _ending(path: Path) -> str:
    name = path.name.lower()
    ending = Path(name.removesuffix(".gz")).suffix
    if ending not in ENDINGS or name.endswith(".parquet.gz"):
        raise InputError(f"{path}: unknown ending: {', '.join(ENDINGS)} are read, all but parquet also with .gz")
    return ending


def _text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file with their line ends, without a byte order mark."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                raise InputError(
                    f"{path}, line {number}: byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
                ) from None


def _separated(path: Path, layout: Layout, delimiter: str | None) -> Iterator[Row]:
    if delimiter is None:
        raise InputError(f"{path}: a .txt file does not say what separates its columns: set dataset.delimiter")
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(
        _text_lines(path),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if layout.quoting else csv.QUOTE_NONE,
        strict=True,
    )
    start = 1
    try:
        header = next(reader, []) if layout.header else None
        text, label = (_position(path, column, header) for column in (layout.text_column, layout.label_column))
        start = reader.line_num + 1
        columns = len(header or ())
        for fields in reader:
            if fields and not columns:
                columns = len(fields)
                if (last := max(text, label)) >= columns:
                    raise InputError(
                        f"{path}, line {start}: {columns} columns, and none at position {last}: set dataset.delimiter, "
                        "dataset.text_column and dataset.label_column"
                    )
            if delimiter == "\t" and any("\n" in field and "\t" in field for field in fields):
                raise InputError(
                    f"{path}, the row that begins on line {start}: a quoted field with tabs and line ends: set "
                    "dataset.quoting to false if a quote is just a character here, else take its tabs out"
                )
            problem = "more columns than the first line has" if len(fields) > columns else ""
            if fields:
                yield Row(f"{path}, line {start}", _field(fields, text), _field(fields, label), problem)
            start = reader.line_num + 1
    except csv.Error as error:
        reason = str(error).split(" - ")[0]  # what follows is for programmers
        quotes = layout.quoting and "new-line" not in reason
        advice = "fix its quotes, or set dataset.quoting to false" if quotes else "fix its line ends"
        raise InputError(f"{path}, the row that begins on line {start}: {reason}: {advice}") from None


def _position(path: Path, column: str | int, header: list[str] | None) -> int:
    if isinstance(column, int):
        if header is not None and column >= len(header):
            column_name(f"{path}, line 1", [name.strip() for name in header], column)
        return column
    if header is None:
        raise InputError(f"{path}: without a header, columns are positions from 0, not names like {column!r}")
    names = [name.strip() for name in header]
    return names.index(column_name(f"{path}, line 1", names, column))


def _field(fields: list[str], position: int) -> str | None:
    return fields[position] if position < len(fields) else None


def _jsonl(path: Path, layout: Layout) -> Iterator[Row]:
    text, label = layout.text_column, layout.label_column
    if isinstance(text, int) or isinstance(label, int):
        raise InputError(f"{path}: set dataset.text_column and dataset.label_column to names: .jsonl has no positions")
    for number, line in enumerate(_text_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", error)  # without JSON's own count of lines
            raise InputError(f"{path}, line {number}: not JSON ({reason}): each line is to be one object") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: an object is expected, with a text and a label")
        has = "" if text in row and label in row else f" (it has: {listed(list(row)) or 'nothing'})"
        yield Row(f"{path}, line {number}{has}", row.get(text), row.get(label))


def column_name(where: str, names: list[str], column: str | int) -> str:
    """The name of a column that is given by its name or by its position.

    Raises:
        InputError: there is no such column, or more than one.
    """
    name = names[column] if isinstance(column, int) and column < len(names) else column
    if names.count(str(name)) != 1:
        number = "more than one" if name in names else "no"
        raise InputError(
            f"{where}: {number} column {name!r}, there are: {listed(names) or 'none'}: "
            "set dataset.text_column and dataset.label_column, or dataset.header or dataset.delimiter"
        )
    return str(name)


def _parquet(path: Path, layout: Layout) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        columns = [column_name(str(path), names, column) for column in (layout.text_column, layout.label_column)]
        number = 0
        for batch in file.iter_batches(columns=columns):
            for text, label in zip(*(batch[name].to_pylist() for name in columns), strict=True):
                number += 1
                yield Row(f"{path}, row {number}", text, label)
    except InputError:
        raise
    except Exception as error:  # whatever damage makes the library raise
        raise InputError(f"{path}: not a readable parquet file ({reason(error)}): fetch it again") from error

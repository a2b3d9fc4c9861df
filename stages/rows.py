"""Labelled texts from local files: csv, tsv, txt and jsonl, plain or gzipped, and parquet, a row at a time."""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stages.errors import InputError, listed, reason
from stages.files import ending

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": None}


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


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a file in order.

    Raises:
        InputError: the file is not what its ending says, is not UTF-8, or lacks a column.
    """
    found = ending(path)
    try:
        if found == ".parquet":
            yield from _parquet(path, layout)
        elif found == ".jsonl":
            yield from _jsonl(path, layout)
        else:
            yield from _separated(path, layout, layout.delimiter or DELIMITERS[found])
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: broken gzip file ({error}): fetch it again") from None


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
        check_distinct(str(path), text, label)
        first = _field(header, label) if header and isinstance(layout.label_column, int) else None
        start = reader.line_num + 1
        columns = len(header or ())
        known: set[str | None] = set()
        for fields in reader:
            if fields and not columns:
                columns = len(fields)
                if (last := max(text, label)) >= columns:
                    raise InputError(
                        f"{path}, line {start}: {columns} columns, and none at position {last}: set dataset.delimiter, "
                        "dataset.text_column and dataset.label_column"
                    )
            content, given = _field(fields, text), _field(fields, label)
            known.add(given)
            if _holds_rows(fields, delimiter, text, label, known):
                raise InputError(
                    f"{path}, the row that begins on line {start}: a quoted field that seems to hold other rows: set "
                    f"dataset.quoting to false if a quote is just a character here, else take {delimiter!r} out of it"
                )
            problem = "more columns than the first line has" if len(fields) > columns else ""
            if fields == header:
                problem = "the header again"
            elif first and given == first:
                raise InputError(
                    f"{path}, line {start}: its label is {first[:50]!r} as on line 1: set dataset.header to false if "
                    "line 1 is a row, else name the columns in place of their positions"
                )
            if fields:
                yield Row(f"{path}, line {start}", content, given, problem)
            start = reader.line_num + 1
    except csv.Error as error:
        reason = str(error).split(" - ")[0]  # what follows is for programmers
        quotes = layout.quoting and "new-line" not in reason
        advice = "fix its quotes, or set dataset.quoting to false" if quotes else "fix its line ends"
        raise InputError(f"{path}, the row that begins on line {start}: {reason}: {advice}") from None


def _holds_rows(fields: list[str], delimiter: str, text: int, label: int, known: set[str | None]) -> bool:
    """Whether a field has tabs and line ends, which few have, or the text would be rows with known labels unquoted."""
    if delimiter == "\t":
        return any("\n" in field and "\t" in field for field in fields)
    rows = [line.split(delimiter) for line in (_field(fields, text) or "").splitlines()]
    if len(rows) < 2:
        return False
    rows[0] = [""] * text + rows[0]  # what stands before the quote
    whole = rows[:-1] if text < label else rows[1:]  # the label of the last, or of the first, is outside the quotes
    return all(label < len(row) and row[label] and row[label] in known for row in whole)


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
    check_distinct(str(path), text, label)
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


def check_distinct(where: str, text: str | int, label: str | int) -> None:
    """Compare the columns of texts and of labels, both by name or both by position.

    Raises:
        InputError: they are one.
    """
    if text == label:
        raise InputError(
            f"{where}: dataset.text_column and dataset.label_column are one column, {text!r}: name two columns"
        )


def label_name(label: object, names: list[str] | None) -> object:
    """A label by the name that its file or the hub has for it, in whatever order params.yaml has the names."""
    number = int(label) if isinstance(label, float) and label.is_integer() else label  # of a column with gaps
    return names[number] if names and isinstance(number, int) and 0 <= number < len(names) else label


def _parquet(path: Path, layout: Layout) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
        found = file.schema_arrow.names
        columns = [column_name(str(path), found, column) for column in (layout.text_column, layout.label_column)]
        check_distinct(str(path), *columns)
        names = _class_labels(file.schema_arrow, columns[1])
        number = 0
        for batch in file.iter_batches(columns=columns):
            for text, label in zip(*(batch[name].to_pylist() for name in columns), strict=True):
                number += 1
                yield Row(f"{path}, row {number}", text, label_name(label, names))
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

"""The rows of csv, tsv and txt files, and what is wrong with a file that only seems to be one."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from stages.errors import InputError
from stages.rows import ColumnError, Layout, Row, check_distinct, column_name


def delimited(path: Path, lines: Iterable[str], layout: Layout, delimiter: str) -> Iterator[Row]:
    """Yield the rows among the lines of a file whose columns a character separates.

    Raises:
        InputError: a column is missing, quotes do not match, or rows are taken for a header or for one quoted text.
    """
    records = _records(path, lines, layout, delimiter)
    header = next(records, (1, []))[1] if layout.header else None
    text, label = (_position(path, column, header) for column in (layout.text_column, layout.label_column))
    check_distinct(str(path), text, label)
    heading = _field(header, label) if header and isinstance(layout.label_column, int) else None
    names = None if header is None else _bare(header)
    columns = len(header or ())
    known: Counter[str | None] = Counter()
    swallowed: list[tuple[int, set[str]]] = []
    for line, fields in records:
        if not columns:
            columns = len(fields)
            if (last := max(text, label)) >= columns:
                raise InputError(
                    f"{path}, line {line}: {columns} columns, and none at position {last}: set dataset.delimiter, "
                    "dataset.text_column and dataset.label_column"
                )
        content, given = _field(fields, text), _field(fields, label)
        known[given] += 1
        swallowed += [(line, labels) for labels in _labels_within(fields, delimiter, text, label)]
        if heading and given == heading and _bare(fields) != names:
            raise InputError(
                f"{path}, line {line}: its label is {heading[:50]!r} as on line 1: set dataset.header to false if "
                "line 1 is a row, else name the columns in place of their positions"
            )
        yield Row(f"{path}, line {line}", content, given, _problem(fields, names, columns))
    if begun := next((line for line, labels in swallowed if labels <= known.keys()), None):
        raise InputError(
            f"{path}, the row that begins on line {begun}: a quoted field that seems to hold other rows: set "
            f"dataset.quoting to false if a quote is just a character here, else take {delimiter!r} out of it, or "
            "convert the file to .jsonl or .parquet"
        )
    if header is None and len(known) < known.total() and known[first := next(iter(known))] == 1:
        print(f"warning: {path}: its first line alone has the label {first!r}: is it a header? See dataset.header")


def _bare(header: list[str]) -> list[str]:
    """A header's names, in the middle of joined files too, where a byte order mark keeps the quotes on the first."""
    return [name.strip('\ufeff "') for name in header]


def _problem(fields: list[str], names: list[str] | None, columns: int) -> str:
    """What is wrong with a row by its number of fields, or since it is the header; empty where nothing is."""
    if names is not None and _bare(fields) == names:
        return "the header again"
    if len(fields) > columns:
        return "more columns than the first line has"
    if len(fields) < columns and names is None:
        return "fewer columns than the first line has"
    return ""


def _records(path: Path, lines: Iterable[str], layout: Layout, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, a header's included, and the line it begins on; empty lines after the first are none."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(
        lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if layout.quoting else csv.QUOTE_NONE, strict=True
    )
    start, warned = 1, not layout.quoting
    try:
        for fields in reader:
            if not warned and any(field.startswith(' "') and field.rstrip().endswith('"') for field in fields):
                warned = True
                said = "quotes after a space are taken for a part of the field: remove the space if they are not"
                print(f"warning: {path}, line {start}: {said}")
            if fields or (layout.header and start == 1):
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as error:
        reason = str(error).split(" - ")[0]  # what follows is for programmers
        advice = "fix its line ends"
        if layout.quoting and "new-line" not in reason:
            advice = "fix its quotes, or, if a quote is just a character in this file, set dataset.quoting to false"
        raise InputError(f"{path}, the row that begins on line {start}: {reason}: {advice}") from None


def _labels_within(fields: list[str], delimiter: str, text: int, label: int) -> Iterator[set[str]]:
    """The labels of the rows within each quoted field that may have swallowed some: it has, if the file has them all.

    Of ``good,a`` / ``"so he said,a`` / ``and went",b`` a reader of csv takes the last two lines for one row, whose
    text has the label a in it. In a tsv any field with tabs and line ends is meant, which few have; else one of which
    each line, but for the one at the closing or opening quote, may itself be a row.
    """
    for position, field in enumerate(fields):
        if delimiter == "\t" and "\n" in field and "\t" in field:
            yield set()  # whatever the labels are
        rows = [line.split(delimiter) for line in field.splitlines()]
        if len(rows) < 2:
            continue
        rows[0] = [""] * position + rows[0]  # what stands before the quote
        whole = rows[:-1] if position < label else rows[1:]  # the last one's label, or the first's, is outside of it
        if all(max(text, label) < len(row) and row[label] for row in whole):
            yield {row[label] for row in whole}


def _position(path: Path, column: str | int, header: list[str] | None) -> int:
    if header is None:
        if isinstance(column, str):
            raise InputError(
                f"{path}: without a header, columns are positions from 0, not names like {column!r}: set "
                "dataset.text_column and dataset.label_column to positions, or dataset.header to true"
            )
        return column
    if not header:
        raise ColumnError(
            f"{path}, line 1: it is empty", "begin the file with the names of the columns, and the rows below it"
        )
    if isinstance(column, int) and column < len(header):
        return column  # two columns may have one name
    names = [name.strip() for name in header]
    if len(names) == 1 and re.search(r"[,;|\t]", names[0]):
        raise ColumnError(
            f"{path}, line 1: a single column, {names[0][:200]!r}", "set dataset.delimiter, or dataset.header"
        )
    return names.index(column_name(f"{path}, line 1", names, column, ", or dataset.header or dataset.delimiter"))


def _field(fields: list[str], position: int) -> str | None:
    return fields[position] if position < len(fields) else None

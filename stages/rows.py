"""A labelled text as it was found, wherever it comes from, and which columns hold the texts and the labels."""

from decimal import Decimal
from typing import Any, NamedTuple

from stages.errors import InputError, listed

CONTROL = r"[\0-\x1f\x7f-\x9f]"  # characters that no label has


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


class ColumnError(InputError):
    """``what`` a file lacks of its columns, or has twice; the advice is of use if it is the first file read."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what = what


def column_name(where: str, names: list[str], column: str | int, or_set: str = "") -> str:
    """The name of a column that is given by its name or by its position.

    Raises:
        ColumnError: there is no such column, or more than one; ``or_set`` has the other keys that may be wrong.
    """
    name = names[column] if isinstance(column, int) and column < len(names) else column
    if isinstance(name, int) or names.count(name) != 1:  # a position past the last, even where a name looks like it
        number = "more than one" if name in names else "no"
        raise ColumnError(
            f"{where}: {number} column {name!r}, there are: {listed(names) or 'none'}",
            f"set dataset.text_column and dataset.label_column{or_set}",
        )
    return name


def column_names(where: str, names: list[str], text: str | int, label: str | int) -> tuple[str, str]:
    """The names of the columns of texts and of labels.

    Raises:
        InputError: there is no such column, or more than one, or they are one.
    """
    found = column_name(where, names, text), column_name(where, names, label)
    check_distinct(where, *found)
    return found


def check_distinct(where: str, text: str | int, label: str | int) -> None:
    """Compare the columns of texts and of labels, both by name or both by position.

    Raises:
        InputError: they are one.
    """
    if text == label:
        raise InputError(
            f"{where}: dataset.text_column and dataset.label_column are one column, {text!r}: name two columns"
        )


def whole(label: object) -> object:
    """A label that is a whole number as an integer, whatever its column holds: one with gaps is of floats."""
    if isinstance(label, float):
        return int(label) if label.is_integer() else label
    return int(label) if isinstance(label, Decimal) and label == label.to_integral_value() else label


def label_name(label: object, names: list[str] | None) -> object:
    """A label by the name that its file or the hub has for it, in whatever order params.yaml has the names."""
    number = whole(label)
    return names[number] if names and isinstance(number, int) and 0 <= number < len(names) else label

"""A comparison as tables: for a terminal of 80 columns, and in GitHub's Markdown, narrow enough for a phone."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tools.comparison import Comparison, LabelF1
from tools.formatting import NONE, code, console, markdown_table, number, signed, text_table


class Section(NamedTuple):
    """A table of at most four short columns."""

    columns: tuple[str, ...]
    names: int  # how many of the columns, from the left, hold names and values of params; the others, figures
    rows: Sequence[tuple[str, ...]]  # a cell may have two lines


def sections(comparison: Comparison) -> Iterator[Section]:
    """The tables of a comparison, except those without a row."""
    metrics = [
        (name, number(one.base), number(one.head), _change(one.difference, one.interval))
        for name, one in comparison.metrics.items()
    ]
    labels = [(one.label, str(one.rows), *_f1(one)) for one in comparison.labels]
    params = [(key, _values(sides["base"]), _values(sides["head"])) for key, sides in comparison.params.items()]
    for section in (
        Section(("metric", "base", "head", "change\n95% interval"), 1, metrics),
        Section(("label", "rows", "F1\nbase to head", "change"), 1, labels),
        Section(("param", "base", "head"), 3, params),
        Section(("input", ""), 1, list(comparison.inputs.items())),
    ):
        if section.rows:
            yield section


def notes(comparison: Comparison) -> Iterator[str]:
    """What to add to the tables, in sentences."""
    if test := comparison.mcnemar:
        yield (
            f"McNemar's exact test: p = {test.p:.3g} ({test.only_base} rows right only in base, "
            f"{test.only_head} only in head)."
        )
    if comparison.interval_covers:
        yield f"The intervals account for {comparison.interval_covers}."


def show(comparison: Comparison) -> None:
    """Print a comparison on the terminal."""
    print(f"{comparison.verdict}: {comparison.reason}")
    print(f"base: {','.join(comparison.base)}\nhead: {','.join(comparison.head)}")
    for section in sections(comparison):
        columns = [column.replace("\n", ", ") for column in section.columns]
        rows = [[cell.replace("\n", "  ") for cell in row] for row in section.rows]
        console().print("", text_table(columns, rows, section.names), sep="\n")
    print()
    for note in notes(comparison):
        print(note)


def markdown(comparison: Comparison) -> str:
    """A comparison in GitHub's Markdown; names are code, since anyone may have chosen them."""
    sides = (
        f"{name}: {' '.join(map(code, side))}" for name, side in (("base", comparison.base), ("head", comparison.head))
    )
    parts = [f"**{comparison.verdict}**: {comparison.reason}", "<br>".join(sides)]
    for section in sections(comparison):
        rows = [(*map(code, row[: section.names]), *row[section.names :]) for row in section.rows]
        parts.append(markdown_table(section.columns, rows, section.names))
    return "\n\n".join([*parts, *notes(comparison)])


def _f1(one: LabelF1) -> tuple[str, str]:
    if not one.rows:
        return NONE, NONE
    return f"{number(one.base)} to {number(one.head)}", _change(one.difference)


def _change(difference: float | None, interval: tuple[float, float] | None = None) -> str:
    if difference is None:
        return NONE
    return signed(difference) + (f"\n{signed(interval[0])} to {signed(interval[1])}" if interval else "")


def _values(values: list[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values) or NONE

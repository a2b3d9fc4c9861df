"""A comparison as tables: for a terminal of 80 columns, and in GitHub's Markdown, to be read on a phone."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tools.comparison import Comparison
from tools.formatting import NONE, code, number, signed

LONG = 12  # rows: a longer table is folded in Markdown


class Section(NamedTuple):
    """A table of at most four short columns."""

    columns: tuple[str, ...]
    names: int  # how many of the columns, from the left, hold names and values of params; the others, figures
    rows: Sequence[tuple[str, ...]]  # a cell may have two lines


def sections(comparison: Comparison) -> Iterator[Section]:
    """The tables of a comparison, those without a row left out."""
    metrics = [
        (name, number(one.base), number(one.head), _change(one.difference, one.interval))
        for name, one in comparison.metrics.items()
    ]
    labels = [
        (one.label, str(one.rows), f"{number(one.base)} to {number(one.head)}", _change(one.difference))
        for one in comparison.labels
    ]
    params = [(key, _values(sides["base"]), _values(sides["head"])) for key, sides in comparison.params.items()]
    for section in (
        Section(("metric", "base", "head", "change\n95% interval"), 1, metrics),
        Section(("label", "rows", "F1", "change"), 1, labels),
        Section(("param", "base", "head"), 3, params),
        Section(("input", ""), 1, list(comparison.inputs.items())),
    ):
        if section.rows:
            yield section


def notes(comparison: Comparison) -> Iterator[str]:
    """What has to be said beside the tables, in sentences."""
    if test := comparison.mcnemar:
        yield (
            f"McNemar's exact test: p = {test.p:.2g} ({test.only_base} rows only base has right, "
            f"{test.only_head} only head)."
        )
    if comparison.interval_covers:
        yield f"The intervals cover {comparison.interval_covers}."


def show(comparison: Comparison) -> None:
    """Print a comparison on the terminal."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(f"{comparison.verdict}: {comparison.reason}")
    console.print(f"base: {','.join(comparison.base)}\nhead: {','.join(comparison.head)}")
    for section in sections(comparison):
        table = Table(box=None, pad_edge=False)
        for place, column in enumerate(section.columns):
            justify: Any = "left" if place < section.names else "right"
            table.add_column(column.replace("\n", ", "), overflow="fold", justify=justify)
        for row in section.rows:
            table.add_row(*(cell.replace("\n", "  ") for cell in row))
        console.print()
        console.print(table)
    console.print()
    for note in notes(comparison):
        console.print(note)


def markdown(comparison: Comparison) -> str:
    """A comparison in GitHub's Markdown; names, which anyone may have chosen, stand as code and do nothing."""
    sides = (
        f"{name}: {' '.join(map(code, side))}" for name, side in (("base", comparison.base), ("head", comparison.head))
    )
    parts = [f"**{comparison.verdict}**: {comparison.reason}", "<br>".join(sides)]
    for section in sections(comparison):
        rules = ["---" if place < section.names else "--:" for place in range(len(section.columns))]
        rows = [
            _row(code(cell) if place < section.names else cell for place, cell in enumerate(row))
            for row in section.rows
        ]
        table = "\n".join([_row(section.columns), _row(rules), *rows])
        if len(rows) > LONG:
            table = f"<details><summary>{len(rows)} rows</summary>\n\n{table}\n\n</details>"
        parts.append(table)
    return "\n\n".join([*parts, *notes(comparison)])


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"


def _change(difference: float | None, interval: tuple[float, float] | None = None) -> str:
    if difference is None:
        return NONE
    return signed(difference) + (f"\n{signed(interval[0])} to {signed(interval[1])}" if interval else "")


def _values(values: list[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values) or NONE

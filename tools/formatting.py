"""How numbers, names and tables are written in messages and in Markdown."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

NONE = "-"
LONG = 12  # rows: a longer table is folded in Markdown


def number(value: float | None) -> str:
    """An integer as it is, any other number to four digits, a dash for None."""
    if value is None:
        return NONE
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def signed(difference: float) -> str:
    """A difference to four digits, or to its first where those are all 0; without a minus before zero."""
    difference = round(difference, 9) + 0.0  # past the digits that the arithmetic leaves
    return f"{difference:+.1g}" if 0 < abs(difference) < 5e-5 else f"{difference:+.4f}"


def code(name: str) -> str:
    """A name as Markdown code, whatever it contains."""
    return "`" + " ".join(name.split()).replace("`", "'") + "`"


def codes(names: Sequence[str], most: int) -> str:
    """Up to ``most`` names, each as Markdown code, and how many there are more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(code, names[:most])) + more


def console() -> Console:
    """The terminal, which shows names as they are, whatever they contain."""
    return Console(markup=False, emoji=False, highlight=False)


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> Table:
    """A table for a terminal, with the arguments of `markdown_table`."""
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if place < names else "right")
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """A table in GitHub's Markdown, folded if it is long.

    Args:
        columns: their titles.
        rows: of cells; a cell may have several lines.
        names: how many of the columns, from the left, are aligned to the left; the others hold figures.
    """
    rules = ["---" if place < names else "--:" for place in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in row) + " |"
        for row in (columns, rules, *rows)
    ]
    whole = "\n".join(lines)
    return f"<details><summary>{len(rows)} rows</summary>\n\n{whole}\n\n</details>" if len(rows) > LONG else whole

"""How numbers and names are written in tables and messages."""

NONE = "-"


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

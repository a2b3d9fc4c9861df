"""From rows as they were found to splits with numbered labels; what is wrong with a row is said with its place."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stages.entry import InputError
from stages.rows import Row


@dataclass
class Split:
    """The texts of a split and, for each, the position of its label in the label names."""

    texts: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def build_splits(
    found: Mapping[str, Iterable[Row]], names: Sequence[str] | None, *, skip: bool
) -> tuple[dict[str, Split], list[str]]:
    """Check the rows of each delivered split and number their labels alike.

    The known labels are ``names`` in their order, or, where it is None, those of the train rows, sorted. Integer labels
    are positions in ``names``, unless a name is itself an integer.

    Args:
        found: the rows of each split, train first.
        names: the label names, or None to take them from train.
        skip: leave a bad row out and count it, instead of raising.

    Returns:
        The splits, and the label names in order.

    Raises:
        InputError: a row is bad and ``skip`` is off, or a split is empty or has a single class.
    """
    rows = {split: list(split_rows) for split, split_rows in found.items()}
    if names is None:
        names = _sorted({label for row in rows["train"] if (label := _label(row.label))})
    number = {name: position for position, name in enumerate(names)}
    if not any(name.lstrip("-").isdigit() for name in names):
        number |= {str(position): position for position in range(len(names))}
    splits = {split: _build(split_rows, number, names, skip=skip) for split, split_rows in rows.items()}
    for name, split in splits.items():
        _check(name, split, names)
    return splits, list(names)


def _build(rows: list[Row], number: dict[str, int], names: Sequence[str], *, skip: bool) -> Split:
    split = Split()
    for row in rows:
        label = _label(row.label)
        if not isinstance(row.text, str) or not row.text.strip():
            problem = "no text" if row.text is None or isinstance(row.text, str) else "a text that is not a string"
        elif not label:
            problem = (
                "no label" if label is not None or row.label is None else "a label that is not a name or an integer"
            )
        elif label not in number:
            problem = "an unknown label"
        else:
            split.texts.append(row.text)
            split.labels.append(number[label])
            continue
        if not skip:
            detail = f" {label!r}, known are: {_some(names)}" if label and problem == "an unknown label" else ""
            raise InputError(f"{row.where}: {problem}{detail}: mend the row, or set dataset.on_bad_rows to skip")
        split.skipped[problem] += 1
    return split


def _check(name: str, split: Split, names: Sequence[str]) -> None:
    left_out = f" ({split.skipped.total()} bad rows left out)" if split.skipped else ""
    if not split.texts:
        raise InputError(
            f"the {name} split has no rows{left_out}: give it some, or leave its file away to carve it from train"
        )
    if len(set(split.labels)) < 2:
        label = names[split.labels[0]]
        raise InputError(
            f"the {name} split has a single class, {label!r}{left_out}: at least two are needed to tell them apart"
        )


def _label(value: object) -> str | None:
    """A label as a name: integers, also as floats (a parquet column with gaps), by their digits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | bool | int):
        return str(value).strip()
    return None


def _sorted(names: set[str]) -> list[str]:
    integers = all(name.lstrip("-").isdigit() for name in names)
    return sorted(names, key=int) if integers else sorted(names)


def _some(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

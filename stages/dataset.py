"""Turn rows as they were read into splits with numbered labels; an error names the row's place."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from stages.errors import MAX_PROBLEMS, InputError, listed
from stages.paths import SPLITS
from stages.rows import CONTROL, ColumnError, Row, whole

NUMBER = r"-?[0-9]+(\.[0-9]+)?"
REMOVE = "remove it (of a hub dataset, save the other splits as files) to have it carved from train"
UNKNOWN = "an unknown label"
FIX = {UNKNOWN: "fix the row, add its label to dataset.labels (null: to train), or set dataset.on_bad_rows to skip"}
FIX_OF_ANY = "fix the row, or set dataset.on_bad_rows to skip"
FIX_OF_MOST = {  # where most rows have one problem: not to skip them
    UNKNOWN: "set dataset.labels (null: those of train)",
    "more columns than the first line has": "set dataset.delimiter, or put texts that have it in them in quotes",
}
MANY = 20  # labels of one train row each: if these are most of the rows, the column is another


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
    are positions in given ``names``, unless one of these is itself a number.

    Args:
        found: the rows of each split.
        names: the label names, or None to take them from train.
        skip: leave a bad row out and count it, instead of raising.

    Returns:
        The splits, and the label names in order.

    Raises:
        InputError: a row is bad and ``skip`` is off, most train rows have a label of their own, or a split is empty or
            has a single class.
    """
    rows = {split: _read(split, found[split]) for split in SPLITS if split in found}
    positions = names is not None and not any(re.fullmatch(NUMBER, name) for name in names)
    if names is None:
        labels = Counter(str(_label(row.label)) for row in rows["train"] if not _problem(row))
        _check_repeated(labels)
        names = _sorted(set(labels))
    number = {_name(name): position for position, name in enumerate(names)}
    if positions:
        _check_positions((row for own in rows.values() if not all(map(_unlabelled, own)) for row in own), len(names))
        number |= {str(position): position for position in range(len(names))}
    splits = {}
    for split, split_rows in rows.items():
        splits[split] = _build(split, split_rows, number, names, skip=skip)
        _check(split, splits[split], names)
    return splits, list(names)


def _read(split: str, rows: Iterable[Row]) -> list[Row]:
    try:
        return list(rows)
    except ColumnError as error:
        if split == "train":
            raise
        otherwise = f"if the {split} split has no labels, {REMOVE}"
        raise InputError(f"{error.what}: give it the columns that the train split has, or, {otherwise}") from None


def _check_repeated(labels: Counter[str]) -> None:
    once = [label for label, rows in labels.items() if rows == 1]
    if len(once) > max(MANY, labels.total() / 2):
        raise InputError(
            f"params.yaml: dataset.label_column: {len(once)} of {labels.total()} train rows have a label that no other "
            f"has, such as {once[0][:50]!r}: name the column of the labels, or, if it is that, list them in "
            "dataset.labels"
        )


def _check_positions(rows: Iterable[Row], names: int) -> None:
    labels = {_label(row.label) for row in rows}
    for first, absent, otherwise in ((1, 0, ""), (-1, names - 1, ", or remove the rows of -1 if that means no label")):
        last = first + names - 1
        if {str(first), str(last)} <= labels and str(absent) not in labels:
            raise InputError(
                f"params.yaml: dataset.labels: integer labels count from 0, those of the rows go from {first} to "
                f"{last}: set it to null (the numbers are the names then), or count from 0 in the files{otherwise}"
            )


def _build(name: str, rows: list[Row], number: dict[str, int], names: Sequence[str], *, skip: bool) -> Split:
    split = Split()
    bad: list[tuple[Row, str]] = []
    for row in rows:
        exact = _name(str(row.label))
        label = exact if exact in number else _label(row.label)  # a name may be "1.0"
        problem = _problem(row)
        if label in number and not problem:
            split.texts.append(row.text)
            split.labels.append(number[label])
        else:
            bad.append((row, problem or UNKNOWN))
    split.skipped.update(problem for _, problem in bad)
    if bad and not skip:
        raise _refusal(name, rows, bad, names)
    return split


def _refusal(name: str, rows: list[Row], bad: list[tuple[Row, str]], names: Sequence[str]) -> InputError:
    """An error about the bad ones of a split's rows, each with its problem: of all together, or one by one."""
    if name != "train" and len(rows) > 1 and all(map(_unlabelled, rows)):
        return InputError(f"the {name} split has no labels: give it some, or {REMOVE}")
    if len(bad) > max(MAX_PROBLEMS, len(rows) / 2):
        [(most, _)] = Counter(problem for _, problem in bad).most_common(1)
        fix = FIX_OF_MOST.get(most, "set dataset.text_column and dataset.label_column, or fix the file")
        first = next(row for row, problem in bad if problem == most)
        more = f"(and {len(bad) - 1} more of the {len(rows)} rows of {name} are bad)"
        return InputError(f"{_described(first, most, names)} {more}: {fix}")
    return InputError(*(f"{_described(row, problem, names)}: {FIX.get(problem, FIX_OF_ANY)}" for row, problem in bad))


def _described(row: Row, problem: str, names: Sequence[str]) -> str:
    label = f" {str(_label(row.label))[:50]!r}, known are: {listed(names)}" if problem == UNKNOWN else ""
    return f"{row.where}: {problem}{label}"


def _unlabelled(row: Row) -> bool:
    """Whether a row has no label, by an empty field or by -1, as in a test split whose labels are kept back."""
    return row.label is None or row.label != row.label or _label(row.label) in {"", "-1"}  # the second: NaN


def _check(name: str, split: Split, names: Sequence[str]) -> None:
    reasons = ", ".join(f"{count} with {reason}" for reason, count in split.skipped.items())
    left_out = f" (bad rows left out: {reasons})" if split.skipped else ""
    if not split.texts:
        most = next((problem for problem, _ in split.skipped.most_common(1)), "")
        carve = "" if name == "train" else f", or {REMOVE}"
        raise InputError(f"the {name} split has no rows{left_out}: {FIX_OF_MOST.get(most, 'give it some')}{carve}")
    if len(set(split.labels)) < 2:
        label = names[split.labels[0]]
        raise InputError(
            f"the {name} split has a single class, {label[:50]!r}{left_out}: at least two are needed: check "
            "dataset.label_column, or add rows of another label"
        )


def _problem(row: Row) -> str:
    """What is wrong with a row, whatever the known labels are."""
    if row.problem:
        return row.problem
    if row.text is None or (isinstance(row.text, str) and not row.text.strip()):
        return "no text"
    if not _is_text(row.text):
        return "a text that is not a string of Unicode"
    label = _label(row.label)
    if label:
        return "a label with a control character" if re.search(CONTROL, label) else ""
    if label == "" or row.label is None or row.label != row.label:  # the last: NaN
        return "no label"
    fraction = isinstance(row.label, float | Decimal)
    return f"a label that is {'a fraction, which only a string may be' if fraction else 'not a name or an integer'}"


def _label(value: object) -> str | None:
    """A label as a name: integers by their digits, also as floats (a column with gaps, 1.0); booleans by name."""
    value = whole(value)
    if isinstance(value, str) and (digits := re.fullmatch(r"\s*(-?[0-9]+)\.0+\s*", value)):
        value = digits[1]
    if isinstance(value, int) or _is_text(value):
        return _name(str(value))
    return None


def _name(label: str) -> str:
    """A label's name, however an accent in it is composed and whatever space is around it."""
    return unicodedata.normalize("NFC", label.strip())


def _sorted(names: set[str]) -> list[str]:
    integers = all(re.fullmatch("-?[0-9]{1,18}", name) for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if integers else sorted(names)


def _is_text(value: object) -> bool:
    """Whether a value is a string that UTF-8 can hold: JSON can spell half of a surrogate pair."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)

"""A split that was not delivered is carved from train: stratified, by seed, rows of equal text kept together."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from stages.dataset import Split
from stages.errors import InputError
from stages.words import normalize


class Text(NamedTuple):
    """A text of train, all of whose rows go one way."""

    digest: bytes  # by which it is drawn
    rows: list[int]  # those that have it, but for case, punctuation and spacing
    labels: set[int]  # of these rows
    stays: bool  # in train, since another split has it too


def carve(train: Split, fraction: float, seed: int, name: str, others: Iterable[Split] = ()) -> tuple[Split, Split]:
    """Part ``train`` into what stays and a new split ``name`` of about ``fraction`` of its rows, both in train's order.

    Rows are drawn by a hash of seed and text: where texts differ, a row added to train moves at most one other row of
    each label between the splits, by rounding. Rows whose texts are equal but for case, punctuation and spacing, as the
    audit counts them, stay together, so that a label may be off its share by half of the most repeated text's rows; of
    several labels among them the first row's counts. Where rounding would leave a new split of two rows or more with a
    single class, each label gives a row if it can. Every label stays in train, and so do texts that one of ``others``,
    the splits at hand, has too: the audit calls them leaks.

    Raises:
        InputError: train is too small for the new split to hold two classes.
    """
    elsewhere = {normalize(text) for split in others for text in split.texts}
    strata = _strata(train, f"{name} {seed}", elsewhere)
    taken = _taken(strata, fraction)
    if _classes(train, taken) < 2 <= round(fraction * len(train.texts)):
        taken = _taken(strata, fraction, one_each=True)
    if _classes(train, taken) < 2:
        most = _taken(strata, 0.5, one_each=True)
        texts = "two texts of each of two labels" + (" that no other split has" if elsewhere else "")
        raise InputError(
            f"the train split's {len(train.texts)} rows are too few, or too many of one label, to carve "
            f"{100 * fraction:.3g}% of them as {name} with two classes: "
            + (f"raise dataset.{name}_fraction" if _classes(train, most) > 1 else f"give it {texts}")
            + f", or give a {name} file"
        )
    stays, carved = Split(skipped=train.skipped), Split()
    for row, (text, label) in enumerate(zip(train.texts, train.labels, strict=True)):
        side = carved if row in taken else stays
        side.texts.append(text)
        side.labels.append(label)
    return stays, carved


def _classes(split: Split, rows: set[int]) -> int:
    return len({split.labels[row] for row in rows})


def _strata(train: Split, drawn_by: str, elsewhere: set[str]) -> list[list[Text]]:
    """The texts of train by their first row's label, in the order of a hash of each and ``drawn_by``."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(train.texts):
        rows[normalize(text)].append(row)
    strata: defaultdict[int, list[Text]] = defaultdict(list)
    for text, own in rows.items():
        digest = hashlib.blake2b(f"{drawn_by} {text}".encode(), digest_size=16).digest()
        labels = {train.labels[row] for row in own}
        strata[train.labels[own[0]]].append(Text(digest, own, labels, text in elsewhere))
    return [sorted(texts) for _, texts in sorted(strata.items())]


def _taken(strata: list[list[Text]], fraction: float, *, one_each: bool = False) -> set[int]:
    """The rows to carve: of each stratum about ``fraction``, so that every label keeps a text in train.

    With ``one_each`` at least half a row of each, which rounds to one.
    """
    texts_left = Counter(label for stratum in strata for text in stratum for label in text.labels)
    taken: set[int] = set()
    due = 0.0  # rows
    for stratum in strata:
        due += fraction * sum(len(text.rows) for text in stratum)
        if one_each:
            due = max(due, 0.5)
        for text in stratum:
            nearer = len(text.rows) <= 2 * due  # the new split is nearer to its size with them than without
            if nearer and not text.stays and all(texts_left[label] > 1 for label in text.labels):
                taken.update(text.rows)
                texts_left.subtract(text.labels)
                due -= len(text.rows)
        due = min(max(due, -0.5), 0.5)  # what rounding leaves; other labels make up for nothing else
    return taken

"""A split that was not delivered is carved from train: stratified, by seed, rows of equal text kept together."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable

from stages.dataset import Split
from stages.errors import InputError
from stages.words import normalize


def carve(train: Split, fraction: float, seed: int, name: str, others: Iterable[Split] = ()) -> tuple[Split, Split]:
    """Part ``train`` into what stays and a new split ``name`` of about ``fraction`` of its rows, both in train's order.

    Rows are drawn by a hash of seed and text: where texts differ, a row added to train moves at most one other row of
    each label between the splits, by rounding. Rows whose texts are equal but for case, punctuation and spacing, as the
    audit counts them, stay together; of several labels among them the first row's counts. Every label stays in train,
    and so do texts that one of ``others``, the splits at hand, has too: the audit calls them leaks.

    Raises:
        InputError: train is too small for the new split to hold two classes.
    """
    elsewhere = {normalize(text) for split in others for text in split.texts}
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(train.texts):
        groups[normalize(text)].append(row)
    strata: defaultdict[int, list[tuple[bytes, list[int], bool]]] = defaultdict(list)
    for text, rows in groups.items():
        digest = hashlib.blake2b(f"{name} {seed} {text}".encode(), digest_size=16).digest()
        strata[train.labels[rows[0]]].append((digest, rows, text in elsewhere))

    texts_left = Counter(label for rows in groups.values() for label in {train.labels[row] for row in rows})  # in train
    taken: set[int] = set()
    due = 0.0  # rows
    for _, stratum in sorted(strata.items()):
        due += fraction * sum(len(rows) for _, rows, _ in stratum)
        for _, rows, stay in sorted(stratum):
            held = {train.labels[row] for row in rows}
            nearer = len(rows) <= 2 * due  # the new split is nearer to its size with them than without
            if nearer and not stay and all(texts_left[label] > 1 for label in held):
                taken.update(rows)
                texts_left.subtract(held)
                due -= len(rows)
        due = min(max(due, -0.5), 0.5)  # what rounding leaves; other labels make up for nothing else
    stays, carved = Split(skipped=train.skipped), Split()
    for row, (text, label) in enumerate(zip(train.texts, train.labels, strict=True)):
        side = carved if row in taken else stays
        side.texts.append(text)
        side.labels.append(label)
    if len(set(carved.labels)) < 2:
        giving = [len(stratum) > 1 and not all(stay for *_, stay in stratum) for stratum in strata.values()]
        texts = "two texts of each of two labels" + (" that no other split has" if elsewhere else "")
        raise InputError(
            f"the train split's {len(train.texts)} rows are too few, or too much of one label, to carve {fraction:.0%} "
            f"of them as {name} with two classes: "
            + (f"raise dataset.{name}_fraction" if sum(giving) > 1 else f"give it {texts}")
            + f", or give a {name} file"
        )
    return stays, carved

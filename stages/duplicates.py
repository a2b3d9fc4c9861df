"""Texts that occur more than once, exactly or nearly.

Two texts are near-duplicates where the sets of their 5-character shingles have a Jaccard similarity of at least 0.8
(Broder 1997, "On the resemblance and containment of documents"). MinHash with locality-sensitive hashing proposes
candidates, of which those with a likely estimate are verified by their exact similarity: there are no false positives,
and a pair at 0.8 is found with a probability of 0.98. A text whose candidates have cost `BUDGET`, as texts around the
same boilerplate do, is compared with no more of them, which is said.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from rensa import RMinHash, RMinHashLSH

from stages import tables
from stages.words import normalize

SIMILARITY = 0.8
SHINGLE = 5  # characters
PERMUTATIONS, BANDS, SEED = 200, 25, 1
LIKELY = 0.735  # estimated similarity from which a pair is checked: 99% of the pairs at 0.8 have it
CHECK, BUDGET = 250, 50_000  # what verifying costs, and a text may cost: an estimate costs 1
ALMOST = math.nextafter(1, 0)  # of texts with the same shingles, which only repeat differently; 1 is for equal ones


def near_duplicates(texts: Sequence[str], among: Sequence[str]) -> dict[int, tuple[int, float]]:
    """For each text with a near-duplicate ``among`` others, by its position: the other's, and their similarity.

    The first one that is equal but for case, punctuation and spacing is given, else the first that is similar enough.
    """
    first: dict[str, int] = {}
    for position, text in enumerate(map(normalize, among)):
        first.setdefault(text, position)
    normalized = [normalize(text) for text in texts]
    found = {position: (first[text], 1.0) for position, text in enumerate(normalized) if text in first}

    waiting = [position for position in range(len(normalized)) if position not in found]
    index = RMinHashLSH(SIMILARITY, PERMUTATIONS, BANDS)
    digests = np.empty((len(waiting), PERMUTATIONS), dtype=np.uint32)
    for start, shingles in _chunks([normalized[position] for position in waiting]):
        minhashes = _minhashes(shingles)
        index.insert_many(minhashes, start)
        digests[start : start + len(shingles)] = [minhash.digest() for minhash in minhashes]
    others = list(first.values())
    spent = np.zeros(len(waiting))
    for start, shingles in _chunks(list(first)):
        minhashes = _minhashes(shingles)
        for offset, minhash in enumerate(minhashes):
            keys = np.array(sorted(index.query(minhash)), dtype=np.int64)
            digest = np.array(minhash.digest(), dtype=np.uint32)
            spent[keys] += 1
            for key in keys[(digests[keys] == digest).mean(axis=1) >= LIKELY].tolist():
                position = waiting[key]
                similarity = _jaccard(shingles[offset], _shingles(normalized[position]))
                if similarity >= SIMILARITY:
                    found[position] = (others[start + offset], min(similarity, ALMOST))
                    spent[key] = math.inf
                else:
                    spent[key] += CHECK
            for key in keys[spent[keys] >= BUDGET].tolist():
                index.remove(key)  # templates would make it a candidate again and again
    if many := np.count_nonzero((spent >= BUDGET) & (spent < math.inf)):
        print(f"{many} texts were compared with only some of those nearly like them: near-duplicates may be missed")
    return dict(sorted(found.items()))


def _shingles(text: str) -> set[str]:
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def _minhashes(shingles: list[set[str]]) -> list[RMinHash]:
    return list(RMinHash.from_token_sets(shingles, PERMUTATIONS, SEED))


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[set[str]]]]:
    for part in tables.parts(texts):
        yield part.start, [_shingles(text) for text in texts[part]]

"""The statistics of two classifiers evaluated on the same rows: the paired bootstrap and McNemar's exact test.

A side is one classifier, or several of one recipe that differ only in their training seed; its score is their mean.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import binomtest, norm, t

METRICS = ("accuracy", "f1", "f1_macro")  # those of stages.metrics.scores, in the order of every axis of metrics here
RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0
DIGITS = 12
NUMBERS = 2**22  # held at a time, so that memory does not grow with rows, labels and resamples multiplied

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class McNemar:
    """How many rows only one side is right on, and how likely so uneven a split is if the sides are equally good."""

    only_base: int
    only_head: int
    p: float


def mcnemar(labels: Numbers, base: Numbers, head: Numbers) -> McNemar:
    """McNemar's test (1947) of equal accuracy, in its exact, two-sided form: a sign test on the rows that differ.

    Args:
        labels: label numbers, ``[rows]``.
        base: label numbers predicted by the one classifier, ``[rows]``.
        head: those predicted by the other, ``[rows]``.
    """
    only_base = int(np.sum((base == labels) & (head != labels)))
    only_head = int(np.sum((base != labels) & (head == labels)))
    differ = only_base + only_head
    return McNemar(only_base, only_head, float(binomtest(only_head, differ).pvalue) if differ else 1.0)


def intervals(labels: Numbers, base: Numbers, head: Numbers, classes: int) -> Floats:
    """The 95% intervals ``[low and high, metrics]`` of head's scores minus base's.

    The percentile interval of the paired bootstrap (Efron & Tibshirani 1993, chapter 13): rows are resampled, each with
    its label and all its predictions. Where both sides have several seeds, these are resampled too, independently of
    the rows and of each other, and the interval is stretched about the difference from the normal distribution's to
    Student's t, because a few seeds tell little of their spread (Hesterberg 2015); the degrees of freedom are Welch's
    (1947), so that seeds alike stretch nothing.

    Args:
        labels: label numbers, ``[rows]``.
        base: label numbers predicted by base's classifiers, ``[seeds of base, rows]``.
        head: those predicted by head's, ``[seeds of head, rows]``.
        classes: how many labels there are.
    """
    drawn, freedom = differences(labels, base, head, classes)
    tail = (1 - LEVEL) / 2
    limits = np.quantile(drawn, (tail, 1 - tail), axis=0)
    before, after = (scores(labels, side, classes).mean(axis=1) for side in (base, head))
    observed = after - before
    stretch = t.ppf(tail, freedom) / norm.ppf(tail)
    return np.asarray((observed + (limits - observed) * stretch).round(DIGITS))


def differences(labels: Numbers, base: Numbers, head: Numbers, classes: int) -> tuple[Floats, Floats]:
    """Head's scores minus base's on each resample, ``[resamples, metrics]``; for the arguments see ``intervals``.

    With them the degrees of freedom ``[metrics]`` of what their spread is taken from, infinite where it is rows alone.

    All that the scores need of a resample is how often each combination of a label and its predictions was drawn. These
    counts are multinomial, and the entries of the confusion matrices are sums of them.
    """
    generator = np.random.default_rng(SEED)
    rows, sides = len(labels), (base, head)
    cells, counts = np.unique(np.vstack([labels, *sides]), axis=1, return_counts=True)
    sums = _sums(cells, classes)
    step = max(1, NUMBERS // max(sums.shape))
    parts = []
    for start in range(0, RESAMPLES, step):
        drawn = generator.multinomial(rows, counts / rows, size=min(step, RESAMPLES - start))
        parts.append(_scores((sums @ drawn.T).reshape(-1, classes, len(drawn)), rows))
    of_sides = np.split(np.concatenate(parts, axis=-1), [len(base)], axis=1)
    difference = of_sides[1].mean(axis=1) - of_sides[0].mean(axis=1)
    freedom = np.full(len(METRICS), np.inf)
    if seeds_are_resampled(base, head):
        observed = [scores(labels, side, classes) for side in sides]
        difference, freedom = _with_seeds(generator, difference, of_sides, observed)
    # Sums of floats that are equal on paper differ by a hair, and whether 0 lies in an interval must not hang on it.
    return difference.T.round(DIGITS), freedom


def scores(labels: Numbers, side: Numbers, classes: int) -> Floats:
    """The scores ``[metrics, seeds]`` of a side's predictions ``[seeds, rows]``."""
    sums = _sums(np.vstack([labels, side]), classes).sum(axis=1)
    return _scores(sums.reshape(-1, classes, 1), len(labels))[..., 0]


def seeds_are_resampled(base: Numbers, head: Numbers) -> bool:
    """Whether both sides ``[seeds, rows]`` have several seeds, so that the spread among seeds is known on both."""
    return min(len(base), len(head)) > 1


def _sums(cells: Numbers, classes: int) -> sparse.csr_array:
    """The 0-1 matrix that sums the counts of ``cells`` ``[1 + classifiers, cells]`` into those that F1 is made of.

    Its rows are, ``classes`` each: the rows of a label; then for each classifier those it gets right, by label; then
    for each classifier those it gives a label.
    """
    labels, predictions = cells[0], cells[1:]
    right = np.where(predictions == labels, labels, -1)
    entries = np.vstack([labels, right, predictions])
    block, cell = np.nonzero(entries >= 0)
    row = block * classes + entries[block, cell]
    shape = (len(entries) * classes, cells.shape[1])
    return sparse.csr_array((np.ones(len(row), np.int64), (row, cell)), shape=shape)


def _scores(sums: Numbers, rows: int) -> Floats:
    """The scores ``[metrics, classifiers, resamples]`` from the sums ``[1 + 2 * classifiers, classes, resamples]``."""
    support, (right, given) = sums[0], np.split(sums[1:], 2)
    f1 = 2 * right / np.maximum(support + given, 1)
    present = (support > 0).sum(axis=0)  # of a label without rows, F1 is 0 here
    return np.stack([right.sum(axis=1) / rows, (f1 * support).sum(axis=1) / rows, f1.sum(axis=1) / present])


def _degrees_of_freedom(of_rows: Floats, base: Floats, head: Floats) -> Floats:
    """Welch's degrees of freedom ``[metrics]``.

    Args:
        of_rows: the variance of the difference of the sides' means that is not of their seeds, ``[metrics]``.
        base: scores, ``[metrics, seeds of base]``.
        head: scores, ``[metrics, seeds of head]``.
    """
    of_means = [side.var(axis=1, ddof=1) / side.shape[1] for side in (base, head)]
    spread = of_means[0] ** 2 / (base.shape[1] - 1) + of_means[1] ** 2 / (head.shape[1] - 1)
    variance = of_rows + of_means[0] + of_means[1]
    freedom: Floats = np.divide(variance**2, spread, out=np.full_like(variance, np.inf), where=spread > 0)
    return freedom


def _with_seeds(
    generator: np.random.Generator, difference: Floats, drawn: list[Floats], observed: list[Floats]
) -> tuple[Floats, Floats]:
    """``difference`` with the seeds resampled too, ``[metrics, resamples]``, and its degrees of freedom, ``[metrics]``.

    Each resample draws one seed fewer than a side has: only then is the spread of the drawn means that of the mean (Rao
    & Wu 1988), which among three seeds would else come out a third too small. Among these seeds is also what the rows
    do to each of them by itself, which is therefore taken out of the spread that comes from the rows.

    Args:
        generator: draws the seeds.
        difference: of the sides' means on each resample of the rows, ``[metrics, resamples]``.
        drawn: for each side, the scores of its seeds on these, ``[metrics, seeds, resamples]``.
        observed: for each side, those on all rows, ``[metrics, seeds]``.
    """
    by_itself = np.zeros(len(difference))
    of_seeds = np.zeros_like(difference)
    for sign, of_side, on_all in zip((-1, 1), drawn, observed, strict=True):
        seeds = on_all.shape[1]
        by_itself += (of_side - on_all[..., None]).var(axis=1, ddof=1).mean(axis=1) / seeds
        weights = generator.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=RESAMPLES) / (seeds - 1)
        of_seeds += sign * (on_all @ weights.T)
    center = (observed[1].mean(axis=1) - observed[0].mean(axis=1))[:, None]
    variance = difference.var(axis=1)
    of_rows = np.maximum(variance - by_itself, 0)
    share = np.divide(of_rows, variance, out=np.zeros_like(variance), where=variance > 0)
    return (difference - center) * np.sqrt(share)[:, None] + of_seeds, _degrees_of_freedom(of_rows, *observed)

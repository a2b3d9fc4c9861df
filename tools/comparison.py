"""Compare the runs of two sides: how their figures differ, what may have caused it, and whether it may be chance.

A side is one run, or several of one recipe that differ only in their training seed; its figures are its runs' means.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from stages import metrics
from tools import paired
from tools.formatting import code, codes, signed
from tools.revisions import TEST_FILE, Run

FEW = 5  # labels to name

BETTER, WORSE, WITHIN_NOISE, NOT_COMPARABLE = "better", "worse", "within noise", "not comparable"


@dataclass(frozen=True)
class Metric:
    """A figure of both sides; if they are comparable, head's minus base's and the 95% interval of that."""

    base: float
    head: float
    difference: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class LabelF1:
    """The F1 of a label on both sides, and how many test rows have that label."""

    label: str
    rows: int
    base: float
    head: float
    difference: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `--json` prints; if the sides are not comparable, much of it is null or empty."""

    verdict: str
    reason: str
    base: list[str]  # revisions
    head: list[str]
    rows: int | None = None  # of the test split
    interval_covers: str | None = None
    metrics: dict[str, Metric]
    mcnemar: paired.McNemar | None = None  # one run against one
    labels: list[LabelF1] = field(default_factory=list)
    params: dict[str, dict[str, list[Any]]]  # those that differ: each side's values, none where it has no such key
    inputs: dict[str, str]  # those that differ, and how

    def worse_by_more_than(self, margin: float) -> bool:
        """Whether head is worse, and the whole interval of the difference in accuracy lies below ``-margin``."""
        interval = self.metrics["accuracy"].interval
        return self.verdict == WORSE and interval is not None and interval[1] < -margin


def compare(base: list[Run], head: list[Run]) -> Comparison:
    """Compare two sides."""
    common: dict[str, Any] = {
        "base": [run.revision for run in base],
        "head": [run.revision for run in head],
        "params": _params(base, head),
        "inputs": _inputs(base[0].inputs, head[0].inputs),
    }
    before, after = _scores(base), _scores(head)
    if reason := _why_not_comparable(base + head):
        figures = {name: Metric(before[name], after[name]) for name in before}
        return Comparison(verdict=NOT_COMPARABLE, reason=reason, metrics=figures, **common)
    labels, names = base[0].labels, base[0].names
    old, new = (np.stack([run.predictions for run in side]) for side in (base, head))
    limits = dict(zip(paired.METRICS, paired.intervals(labels, old, new, len(names)).T.tolist(), strict=True))
    mcnemar = paired.mcnemar(labels, old[0], new[0]) if len(old) == len(new) == 1 else None
    verdict, reason = _verdict(after["accuracy"] - before["accuracy"], limits["accuracy"], mcnemar)
    return Comparison(
        verdict=verdict,
        reason=reason,
        rows=len(labels),
        interval_covers=_interval_covers(old, new),
        metrics={
            name: Metric(before[name], after[name], after[name] - before[name], (low, high))
            for name, (low, high) in limits.items()
        },
        mcnemar=mcnemar,
        labels=_labels(labels, names, old, new),
        **common,
    )


def _why_not_comparable(runs: list[Run]) -> str:
    first = runs[0]
    for run in runs:
        if run.names != first.names:
            return _other_labels(first, run)
    for run in runs:
        if run.test_file is None:
            return f"{code(run.revision)} does not say which `{TEST_FILE}` it was evaluated on: run `dvc repro` there"
        if run.test_file != first.test_file:
            return (
                f"the test files differ: the MD5 of `{TEST_FILE}` is {str(first.test_file)[:8]} at "
                f"{code(first.revision)}, {run.test_file[:8]} at {code(run.revision)}; if the test split is carved "
                "from train, it changes with train: to keep it, put the three parquet files of data/raw in the place "
                "of yours"
            )
    return ""


def _other_labels(one: Run, other: Run) -> str:
    if set(one.names) == set(other.names):
        pairs = enumerate(zip(one.names, other.names, strict=True))
        number, (here, there) = next((number, pair) for number, pair in pairs if len(set(pair)) > 1)
        return (
            f"the labels are ordered differently: label {number} is {code(here)} at {code(one.revision)}, "
            f"{code(there)} at {code(other.revision)}"
        )
    parts = []
    for run, rest in ((one, other), (other, one)):
        names = [name for name in run.names if name not in rest.names]
        parts += [f"only {code(run.revision)} has {codes(names, FEW)}"] if names else []
    return f"the label sets differ: {'; '.join(parts)}"


def _scores(side: list[Run]) -> dict[str, float]:
    scores = [metrics.scores(run.labels, run.predictions) for run in side]
    return {name: float(np.mean([score[name] for score in scores])) for name in paired.METRICS}


def _verdict(difference: float, limits: tuple[float, float], test: paired.McNemar | None) -> tuple[str, str]:
    low, high = limits
    interval = f"accuracy {signed(difference)}; its 95% interval, {signed(low)} to {signed(high)},"
    if low <= 0 <= high:
        return WITHIN_NOISE, f"{interval} includes 0"
    verdict, side = (BETTER, "above") if low > 0 else (WORSE, "below")
    if test is not None and test.p > 1 - paired.LEVEL:  # of very few rows that differ, a bootstrap is too sure
        return WITHIN_NOISE, f"{interval} is {side} 0, but McNemar's exact test does not confirm it: p = {test.p:.3g}"
    return verdict, f"{interval} is {side} 0"


def _interval_covers(base: npt.NDArray[np.int64], head: npt.NDArray[np.int64]) -> str:
    if paired.seeds_are_resampled(base, head):
        seeds = f"{len(base)} seeds against {len(head)}, also resampled"
        return f"sampling of the test rows and the training seed ({seeds})"
    return "sampling of the test rows, not the training seed"


def _labels(
    labels: npt.NDArray[np.int64], names: list[str], base: npt.NDArray[np.int64], head: npt.NDArray[np.int64]
) -> list[LabelF1]:
    known = list(range(len(names)))
    support = np.bincount(labels, minlength=len(names))
    f1 = [
        np.mean([f1_score(labels, run, labels=known, average=None, zero_division=0) for run in side], axis=0)
        for side in (base, head)
    ]
    rows = zip(names, support.tolist(), *(side.tolist() for side in f1), strict=True)
    return [LabelF1(name, count, one, two, two - one) for name, count, one, two in rows]


def _params(base: list[Run], head: list[Run]) -> dict[str, dict[str, list[Any]]]:
    keys = sorted(base[0].params.keys() | head[0].params.keys())
    values = {key: {"base": _values(key, base), "head": _values(key, head)} for key in keys}
    return {key: sides for key, sides in values.items() if sides["base"] != sides["head"]}


def _values(key: str, side: list[Run]) -> list[Any]:
    values = [run.params[key] for run in side if key in run.params]
    return sorted((value for place, value in enumerate(values) if value not in values[:place]), key=repr)


def _inputs(base: dict[str, str], head: dict[str, str]) -> dict[str, str]:
    def change(path: str) -> str:
        return "only in head" if path not in base else "only in base" if path not in head else "changed"

    return {path: change(path) for path in sorted(base.keys() | head.keys()) if base.get(path) != head.get(path)}

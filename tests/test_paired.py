"""The statistics of tools.compare, held against naive computations and against simulated pairs whose truth is known."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit
from scipy.stats import binom, norm, ttest_ind
from sklearn.metrics import accuracy_score, f1_score

from stages import metrics
from tools import paired

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CLASSES = 6
ALMOST_NEVER = 1e-6  # how often chance alone would break a bound that is drawn with it


def judged(generator: np.random.Generator, rows: int, *accuracies: float) -> tuple[Numbers, ...]:
    """Labels, of which the last is rare, and the predictions of classifiers that are right about as often as said."""
    shares = np.array([0.3, 0.25, 0.2, 0.14, 0.1, 0.01])
    labels = generator.choice(CLASSES, rows, p=shares)
    right = [generator.random(rows) < accuracy for accuracy in accuracies]
    return labels, *(np.where(hit, labels, generator.integers(0, CLASSES - 1, rows)) for hit in right)


def naive_differences(labels: Numbers, base: Numbers, head: Numbers, resamples: int) -> Floats:
    """Rows drawn one by one, and scikit-learn's scores of what was drawn, ``[resamples, metrics]``."""
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(resamples):
        rows = generator.integers(0, len(labels), len(labels))
        before, after = (metrics.scores(labels[rows], side[rows]) for side in (base, head))
        drawn.append([after[name] - before[name] for name in paired.METRICS])
    return np.array(drawn)


def population(generator: np.random.Generator, base: float, head: float, alike: float) -> Floats:
    """The probability of each label with its two predictions, ``[labels, base, head]``, at these accuracies.

    The larger ``alike``, up to 1, the more often both classifiers give the same answer.
    """
    joint = np.empty((CLASSES, CLASSES, CLASSES))
    for label, mistakes in enumerate(generator.dirichlet(np.ones(CLASSES - 1), CLASSES)):
        answers = [np.insert(mistakes * (1 - accuracy), label, accuracy) for accuracy in (base, head)]
        same = np.minimum(*answers) * alike
        rest = [answer - same for answer in answers]
        joint[label] = np.diag(same) + np.outer(*rest) / rest[0].sum()
    shares = np.arange(1, CLASSES + 1) / np.arange(1, CLASSES + 1).sum()
    return np.asarray(joint * shares[:, None, None])


def true_differences(joint: Floats) -> Floats:
    """Head's scores minus base's over the whole population, ``[metrics]``, by scikit-learn's weighted rows."""
    labels, *sides = (part.ravel() for part in np.indices(joint.shape))
    keywords: dict[str, Any] = {"sample_weight": joint.ravel()}
    before, after = (
        np.array(
            [
                accuracy_score(labels, side, **keywords),
                f1_score(labels, side, average="weighted", **keywords),
                f1_score(labels, side, average="macro", **keywords),
            ]
        )
        for side in sides
    )
    return np.asarray(after - before)


def samples(generator: np.random.Generator, joint: Floats, rows: int, count: int) -> Iterator[tuple[Numbers, ...]]:
    for _ in range(count):
        cells = generator.choice(joint.size, rows, p=joint.ravel())
        yield tuple(np.unravel_index(cells, joint.shape))


def bounds(trials: int, low: float, high: float) -> tuple[float, float]:
    """Between which counts a binomial with a rate from ``low`` to ``high`` falls, but almost never."""
    return float(binom.ppf(ALMOST_NEVER, trials, low)), float(binom.isf(ALMOST_NEVER, trials, high))


def excludes_zero(limits: Floats) -> bool:
    return bool(limits[0, 0] > 0 or limits[1, 0] < 0)


@pytest.mark.parametrize("rows", [1, 7, 500])
def test_scores_are_those_of_the_metrics(rows: int) -> None:
    labels, one, two = judged(np.random.default_rng(0), rows, 0.8, 0.4)
    given = paired.scores(labels, np.stack([one, two]), CLASSES)
    for place, predictions in enumerate((one, two)):
        expected = metrics.scores(labels, predictions)
        assert given[:, place] == pytest.approx([expected[name] for name in paired.METRICS], abs=1e-12)


def test_a_label_without_rows_does_not_count() -> None:
    labels, predictions = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    assert metrics.scores(labels, predictions)["f1_macro"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.scores(labels, labels)["f1_macro"] == 1


def test_the_interval_of_macro_f1_has_the_change_in_it_where_labels_have_few_rows() -> None:
    labels = np.arange(77)
    head = np.where(labels % 5 < 3, (labels + 7) % 77, labels)
    (change,) = paired.scores(labels, head[None], 77)[2] - 1
    low, high = paired.intervals(labels, labels[None], head[None], 77)[:, 2]
    assert low <= change <= high


def test_differences_are_spread_as_those_of_a_naive_bootstrap() -> None:
    labels, base, head = judged(np.random.default_rng(0), 120, 0.7, 0.8)
    resamples = 400
    naive = naive_differences(labels, base, head, resamples)
    given, _ = paired.differences(labels, base[None], head[None], CLASSES)
    spread = naive.std(axis=0)
    assert np.abs(given.mean(axis=0) - naive.mean(axis=0)) == pytest.approx(0, abs=5 * spread.max() / resamples**0.5)
    assert given.std(axis=0) / spread == pytest.approx(1, rel=5 / (2 * resamples) ** 0.5)
    for quantile in (0.025, 0.975):
        apart = np.quantile(given, quantile, axis=0) - np.quantile(naive, quantile, axis=0)
        standard_error = (quantile * (1 - quantile) / resamples) ** 0.5 / norm.pdf(norm.ppf(quantile))
        assert np.abs(apart / spread).max() < 5 * standard_error


def test_differences_in_accuracy_are_spread_as_the_rows_that_differ_say() -> None:
    labels, base, head = judged(np.random.default_rng(0), 500, 0.8, 0.84)
    of_rows = (head == labels).astype(float) - (base == labels)
    given = paired.differences(labels, base[None], head[None], CLASSES)[0][:, 0]
    assert given.mean() == pytest.approx(of_rows.mean(), abs=5 * of_rows.std() / (500 * paired.RESAMPLES) ** 0.5)
    assert given.std() == pytest.approx(of_rows.std() / 500**0.5, rel=5 / (2 * paired.RESAMPLES) ** 0.5)


@pytest.mark.parametrize(
    ("rows", "bases", "heads"), [(500, (0.7, 0.75, 0.8), (0.76, 0.84)), (300, (0.7, 0.74), (0.8, 0.84))]
)
def test_differences_of_several_seeds_are_spread_as_rows_and_the_seeds_own_part_say(
    rows: int, bases: tuple[float, ...], heads: tuple[float, ...]
) -> None:
    labels, *seeds = judged(np.random.default_rng(0), rows, *bases, *heads)
    sides = np.stack(seeds[: len(bases)]), np.stack(seeds[len(bases) :])
    base, head = (side == labels for side in sides)
    variance = (head.mean(axis=0) - base.mean(axis=0)).var() / rows  # of the rows, the seeds as they are
    for side in (base, head):
        of_seeds = side.mean(axis=1).var(ddof=1)
        from_rows = (side - side.mean(axis=0)).var(axis=1).sum() / (len(side) - 1) / rows  # with seeds all alike
        assert of_seeds > from_rows
        variance += (of_seeds - from_rows) / len(side)  # which is among the seeds already
    given = paired.differences(labels, *sides, CLASSES)[0][:, 0]
    assert given.std() == pytest.approx(variance**0.5, rel=5 / (2 * paired.RESAMPLES) ** 0.5)


def test_three_seeds_that_differ_by_chance_alone_make_an_interval_narrower_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 1_000)
    generator, widths = np.random.default_rng(5), []
    for _ in range(20):
        labels, open_to_chance = generator.integers(0, CLASSES, 300), generator.random(300) < 0.24
        wrong = open_to_chance & (generator.random((6, 300)) < 0.5)
        seeds = np.where(wrong, (labels + 1) % CLASSES, labels)
        for base, head in ((seeds[:1], seeds[3:4]), (seeds[:3], seeds[3:])):
            low, high = paired.intervals(labels, base, head, CLASSES)
            widths.append(high[0] - low[0])
    one, three = np.reshape(widths, (20, 2)).mean(axis=0)
    assert 3**-0.5 < three / one < 0.9


@pytest.mark.parametrize("seeds", [1, 2])
def test_differences_are_the_same_twice_and_in_parts(monkeypatch: pytest.MonkeyPatch, seeds: int) -> None:
    labels, *several = judged(np.random.default_rng(0), 300, *(0.6, 0.7, 0.8, 0.9)[: 2 * seeds])
    base, head = np.stack(several[:seeds]), np.stack(several[seeds:])
    whole, _ = paired.differences(labels, base, head, CLASSES)
    monkeypatch.setattr(paired, "NUMBERS", 5_000)
    assert np.array_equal(whole, paired.differences(labels, base, head, CLASSES)[0])


@pytest.mark.parametrize(("base", "head"), [(1, 1), (3, 2), (1, 3)])
def test_a_classifier_does_not_differ_from_itself_or_from_several_just_like_it(base: int, head: int) -> None:
    labels, one = judged(np.random.default_rng(0), 300, 0.7)  # a sum of thirds is not always the whole, in floats
    bases, heads = np.stack([one] * base), np.stack([one] * head)
    assert not paired.differences(labels, bases, heads, CLASSES)[0].any()
    assert not paired.intervals(labels, bases, heads, CLASSES).any()


def test_a_recipe_does_not_differ_from_itself_whatever_its_seeds() -> None:
    labels, *seeds = judged(np.random.default_rng(0), 300, 0.7, 0.75)
    limits = paired.intervals(labels, np.stack(seeds), np.stack(seeds), CLASSES)
    assert np.isfinite(limits).all()
    assert (limits[0] < 0).all()
    assert (limits[1] > 0).all()
    assert np.abs(limits).max() < 1


def test_an_interval_over_seeds_that_scatter_lies_about_the_change() -> None:
    labels, *seeds = judged(np.random.default_rng(0), 300, 0.6, 0.7, 0.75, 0.9)
    base, head = np.stack(seeds[:2]), np.stack(seeds[2:])
    change = (paired.scores(labels, head, CLASSES) - paired.scores(labels, base, CLASSES)).mean(axis=1)
    low, high = paired.intervals(labels, base, head, CLASSES)
    assert np.abs((low + high) / 2 - change).max() < 0.02 * (high - low).min()


def test_degrees_of_freedom_are_welchs() -> None:
    draw = np.random.default_rng(0)
    base, head = draw.normal(0, 1, (3, 3)), draw.normal(0, 2, (3, 5))
    expected = ttest_ind(base, head, axis=1, equal_var=False).df
    assert paired._degrees_of_freedom(np.zeros(3), base, head) == pytest.approx(expected)  # noqa: SLF001


def test_the_interval_of_two_seeds_a_side_that_scatter_hardly_depends_on_what_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels, *seeds = judged(np.random.default_rng(0), 300, 0.6, 0.9, 0.7, 0.9)
    widths = []
    for number in range(8):
        monkeypatch.setattr(paired, "SEED", number)
        low, high = paired.intervals(labels, np.stack(seeds[:2]), np.stack(seeds[2:]), CLASSES)
        widths.append(high - low)
    assert (np.ptp(widths, axis=0) / np.mean(widths, axis=0)).max() < 0.03


def test_mcnemar_is_a_sign_test_on_the_rows_that_differ() -> None:
    labels, base, head = judged(np.random.default_rng(0), 400, 0.8, 0.86)
    test = paired.mcnemar(labels, base, head)
    only_base = sum(one == label != two for label, one, two in zip(labels, base, head, strict=True))
    only_head = sum(two == label != one for label, one, two in zip(labels, base, head, strict=True))
    assert (test.only_base, test.only_head) == (only_base, only_head)
    assert only_base < only_head
    assert test.p == pytest.approx(2 * binom.cdf(only_base, only_base + only_head, 0.5))


def test_mcnemar_of_equals_is_1() -> None:
    labels, base = judged(np.random.default_rng(0), 100, 0.7)
    assert paired.mcnemar(labels, base, base) == paired.McNemar(0, 0, 1.0)


@pytest.mark.parametrize(("rows", "base", "head"), [(300, 0.80, 0.86), (1000, 0.92, 0.90)])
def test_95_of_100_intervals_cover_the_truth(
    monkeypatch: pytest.MonkeyPatch, rows: int, base: float, head: float
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 1_000)
    generator = np.random.default_rng(2)
    joint = population(generator, base, head, alike=0.8)
    truth, trials = true_differences(joint), 300
    limits = [paired.intervals(y, a[None], b[None], CLASSES) for y, a, b in samples(generator, joint, rows, trials)]
    covered = np.sum([(low <= truth) & (truth <= high) for low, high in limits], axis=0)
    fewest, most = bounds(trials, 0.93, 0.965)
    assert ((fewest <= covered) & (covered <= most)).all()


def test_5_of_100_pairs_of_equals_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 1_000)
    generator = np.random.default_rng(3)
    joint, trials = population(generator, 0.85, 0.85, alike=0.8), 400
    pairs = list(samples(generator, joint, 300, trials))
    apart = sum(excludes_zero(paired.intervals(y, a[None], b[None], CLASSES)) for y, a, b in pairs)
    fewest, most = bounds(trials, 0.04, 0.06)
    assert fewest <= apart <= most
    assert sum(paired.mcnemar(*pair).p < 0.05 for pair in pairs) <= bounds(trials, 0.0, 0.05)[1]


def test_seeds_that_scatter_are_told_apart_one_against_one_but_not_two_against_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 500)
    generator, rows, trials = np.random.default_rng(4), 600, 300
    one_by_one, two_by_two = 0, 0
    for _ in range(trials):
        labels, difficulty = generator.integers(0, CLASSES, rows), generator.normal(2.5, 3, rows)
        skill = generator.normal(0, 0.6, 4)  # of four training seeds of one recipe
        right = generator.random((4, rows)) < expit(1.5 * (difficulty + skill[:, None]))
        seeds = np.where(right, labels, (labels + 1) % CLASSES)
        one_by_one += excludes_zero(paired.intervals(labels, seeds[:1], seeds[2:3], CLASSES))
        two_by_two += excludes_zero(paired.intervals(labels, seeds[:2], seeds[2:], CLASSES))
    assert two_by_two <= bounds(trials, 0.0, 0.05)[1]
    assert one_by_one > bounds(trials, 0.0, 0.05)[1]


def test_an_interval_leaves_out_a_fortieth_of_the_resamples_on_either_side() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 6, 200)
    base, head = (np.where(draw.random(200) < accuracy, labels, 0)[None] for accuracy in (0.7, 0.8))
    drawn, _ = paired.differences(labels, base, head, 6)
    low, high = paired.intervals(labels, base, head, 6)
    for share in ((drawn < low).mean(axis=0), (drawn > high).mean(axis=0)):
        assert (share <= 0.025).all()
    for share in ((drawn <= low).mean(axis=0), (drawn >= high).mean(axis=0)):
        assert (share >= 0.025).all()

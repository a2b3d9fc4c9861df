"""The hardest rows and the labels that are likely errors."""

import numpy as np
import pandas as pd
import pytest

from stages import evaluate, hardest, metrics

NAMES = ["no", "yes"]
# thresholds, the mean probability of a label among its own rows: (.9 + .8 + .2) / 3 = .63 for no, .65 for yes
LABELS = np.array([0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32)


@pytest.fixture
def table() -> pd.DataFrame:
    return hardest.table([f"text {row}" for row in range(5)], LABELS, PROBABILITIES, NAMES)


def test_the_rows_come_by_their_loss(table: pd.DataFrame) -> None:
    assert table["row"].tolist() == [2, 3, 4, 1, 0]
    assert table["loss"].tolist() == [round(float(-np.log(p)), 4) for p in (0.2, 0.6, 0.7, 0.8, 0.9)]
    assert table.loc[0, ["text", "label", "prediction"]].tolist() == ["text 2", "no", "yes"]
    assert table.loc[0, "probability"] == 0.8


def test_the_loss_of_a_label_with_next_to_no_probability_is_not_cut_short() -> None:
    probabilities = np.array([[1e-30, 1], [1, 0]], dtype=np.float32)
    assert metrics.losses(np.array([0, 0]), probabilities).tolist() == pytest.approx([69.08, 0], abs=0.01)


def test_a_label_has_a_rank_where_another_is_confident_and_none_elsewhere(table: pd.DataFrame) -> None:
    assert table.loc[0, "label_error"] == 1
    assert table["label_error"].isna().tolist() == [False, True, True, True, True]


def test_planted_label_errors_are_suspected_the_least_self_confident_first() -> None:
    draw = np.random.default_rng(0)
    true = draw.integers(0, 3, 300)
    probabilities = np.full((300, 3), 0.05)
    probabilities[np.arange(300), true] = 0.9 + draw.random(300) / 100
    labels = true.copy()
    planted = np.array([5, 80, 200])
    labels[planted] = (true[planted] + 1) % 3
    probabilities[planted, labels[planted]] = [0.03, 0.01, 0.02]
    ranks = hardest.label_error_ranks(labels, probabilities.astype(np.float32))
    assert ranks[planted].tolist() == [3, 1, 2]
    assert np.count_nonzero(ranks) == 3


def test_a_row_whose_label_is_predicted_is_not_suspected() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]], dtype=np.float32)  # thresholds .75, .25
    assert hardest.label_error_ranks(np.array([0, 0, 1, 1]), probabilities).tolist() == [0, 0, 1, 0]


def test_a_label_that_no_row_has_suspects_nobody() -> None:
    probabilities = np.hstack([PROBABILITIES * 0.1, np.full((5, 1), 0.9, dtype=np.float32)])
    assert not hardest.label_error_ranks(LABELS, probabilities)[[0, 1, 3, 4]].any()


def test_only_so_many_rows_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardest, "ROWS", 2)
    assert hardest.table(["text"] * 5, LABELS, PROBABILITIES, NAMES)["row"].tolist() == [2, 3]


def test_the_loss_of_a_label_of_no_probability_is_a_number() -> None:
    probabilities = np.array([[0.0, 1.0], [0.5, 0.5]], dtype=np.float32)
    table = hardest.table(["text"] * 2, LABELS[:2], probabilities, NAMES)
    assert np.isfinite(table["loss"]).all()
    assert table["row"].tolist() == [0, 1]


def test_the_loss_in_the_metrics_is_that_of_test() -> None:
    def evaluated(sure: float) -> evaluate.Evaluated:
        probabilities = np.array([[sure, 1 - sure], [1 - sure, sure]], dtype=np.float32)
        return evaluate.Evaluated(np.array([0, 1]), probabilities, np.zeros(2, dtype=bool))

    figures = evaluate.summarize({"validation": evaluated(0.9), "test": evaluated(0.6)})
    assert figures["loss"] == round(-np.log(0.6), 4)


def test_a_probability_that_is_just_the_mean_of_a_labels_own_rows_suspects_too() -> None:
    probabilities = np.array([[0.25, 0.75], [0.45, 0.55], [0.25, 0.75]], dtype=np.float32)  # thresholds .35 and .75
    assert hardest.label_error_ranks(np.array([0, 0, 1]), probabilities).tolist() == [1, 0, 0]


def test_where_every_row_of_test_is_leaked_there_are_no_figures_without_them() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    alone, leaked = (evaluate.Evaluated(np.array([0, 1]), probabilities, np.full(2, every)) for every in (False, True))
    figures = evaluate.summarize({"validation": alone, "test": leaked})
    assert figures["leaked_rows"] == 2
    assert not [name for name in figures if name.endswith("_without_leaked")]


def test_rows_that_are_equally_hard_stand_in_the_order_of_the_rows() -> None:
    probabilities = np.array([*[[0.6, 0.4], [0.2, 0.8], [0.1, 0.9]] * 100, [0.3, 0.7]], dtype=np.float32)
    labels = np.array([*[0] * 300, 1])
    table = hardest.table(["text"] * 301, labels, probabilities, NAMES)
    assert table["row"].tolist() == list(range(2, 300, 3))
    assert table["label_error"].tolist() == list(range(1, 101))


def test_probabilities_have_four_digits() -> None:
    table = hardest.table(["text"], np.array([0]), np.array([[0.123456, 0.876544]], dtype=np.float32), NAMES)
    assert table["probability"].tolist() == [0.8765]

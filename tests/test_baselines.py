"""The baselines are what they say: converged, chosen on validation, judged as the classifier is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from clones import DEFAULTS
from own_data import Workspace, own_dataset
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from token_rows import make_rows

from stages import baselines, download, inference, paths, tables
from stages.batching import TokenizedRows
from stages.errors import InputError


def split_of(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of three overlapping classes, ``[rows, 4]``, and their labels."""
    labels = draw.integers(0, 3, rows)
    return draw.normal(size=(rows, 4)) + labels[:, None], labels


@pytest.fixture(scope="module")
def points() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    draw = np.random.default_rng(0)
    splits = {split: split_of(draw, rows) for split, rows in zip(paths.SPLITS, (400, 200, 200), strict=True)}
    return {split: x for split, (x, _) in splits.items()}, {split: y for split, (_, y) in splits.items()}


def test_the_majority_class_is_that_of_train() -> None:
    labels = {"train": np.array([0, 1, 1]), "validation": np.array([0, 0, 1]), "test": np.array([0, 1])}
    report = baselines.majority(labels)
    assert {split: report[split]["accuracy"] for split in paths.EVALUATED} == {"validation": 0.3333, "test": 0.5}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_tfidf_knows_the_words_of_train_only(workspace: Workspace, split: str) -> None:
    own_dataset(workspace, {f"{split}.csv": "text,label\nunheard,a\nof,b\n"})
    download.main()
    features = baselines.tfidf(2)
    assert features["train"].nnz
    assert not features[split].nnz


def test_tfidf_counts_pairs_of_words_and_a_word_that_repeats_less_each_time(workspace: Workspace) -> None:
    rows = "".join(f"word{row} again,{'ab'[row % 2]}\n" for row in range(20))
    own_dataset(workspace, {"train.csv": f"text,label\n{rows}yes yes yes no,a\n"})
    download.main()
    *_, last = baselines.tfidf(2)["train"].toarray()
    # by rising weight: "no", "yes no" alike, "yes yes" twice, "yes" three times; each in this row alone
    weights = sorted(last[last > 0])
    assert weights == pytest.approx(weights[0] * np.array([1, 1, 1 + np.log(2), 1 + np.log(3)]))


def test_tfidf_takes_the_most_frequent_words_where_labels_are_too_many_for_all(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"word{row} again,{'ab'[row % 2]}\n" for row in range(20))
    own_dataset(workspace, {"train.csv": f"text,label\n{rows}"})
    download.main()
    monkeypatch.setattr(baselines, "MAX_COEFFICIENTS", 7)
    features = baselines.tfidf(2)["train"]
    assert features.shape[1] == 3
    assert (features.getnnz(axis=1) > 0).all(), "each row has the word again"


@pytest.mark.parametrize(("text", "good", "bad"), [("今天{}天", "好", "坏"), ("app{}", "好", "坏"), ("so{}", "!", "?")])
def test_each_character_of_a_script_without_spaces_is_a_word_and_each_mark_of_punctuation(
    workspace: Workspace, text: str, good: str, bad: str
) -> None:
    rows = "".join(f"{text.format(bad if row % 2 else good)} w{row},{'ab'[row % 2]}\n" for row in range(20))
    own_dataset(workspace, {"train.csv": f"text,label\n{rows}", "test.csv": f"text,label\n{good},a\n{bad},b\n"})
    download.main()
    assert baselines.tfidf(2)["test"].getnnz(axis=1).tolist() == [1, 1]


def test_a_combining_mark_is_part_of_its_word(workspace: Workspace) -> None:
    rows = "".join(f"cafe\u0301 {'हिन्दी' if row % 2 else 'बहुत'} w{row},{'ab'[row % 2]}\n" for row in range(20))
    own_dataset(workspace, {"train.csv": f"text,label\n{rows}", "test.csv": "text,label\nहिन्दी,a\ncafe,b\n"})
    download.main()
    assert baselines.tfidf(2)["test"].getnnz(axis=1).tolist() == [1, 0]


def test_hidden_states_are_standardized_as_train_is(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)
    rows = {split: TokenizedRows(tables.read(paths.tokenized(split))) for split in paths.SPLITS}
    for features in baselines.hidden_states(rows, DEFAULTS["dataset"]["labels"]).values():
        assert features["train"].mean(axis=0) == pytest.approx(0, abs=1e-4)
        assert features["train"].std(axis=0) == pytest.approx(1, abs=1e-3)
        assert features["test"].mean(axis=0) != pytest.approx(0, abs=1e-4)


def test_each_baseline_has_accuracy_and_f1_on_validation_and_test(pipeline: Path) -> None:
    report = json.loads((pipeline / "metrics/baselines.json").read_text(encoding="utf-8"))
    assert list(report) == ["majority", "tfidf", "first_token", "mean_pooling"]
    for name, figures in report.items():
        assert set(figures) - {"C"} == {"validation", "test"}, name
        assert all(set(figures[split]) == {"accuracy", "f1"} for split in paths.EVALUATED), name


def test_the_regression_is_converged(points: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]) -> None:
    features, labels = points
    report = baselines.regression(features, labels, [0.1])
    other = LogisticRegression(C=0.1, solver="lbfgs", tol=1e-10, max_iter=10_000)
    other.fit(features["train"], labels["train"])
    expected = baselines.scores(labels, {split: other.predict(features[split]) for split in paths.EVALUATED})
    assert report == {"C": 0.1} | expected


def test_the_regularization_is_chosen_on_validation(
    points: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
) -> None:
    features, labels = points
    grid = [1e-4, 1e-2, 1]
    alone = [baselines.regression(features, labels, [c]) for c in grid]
    best = max(alone, key=lambda report: report["validation"]["f1"])
    assert baselines.regression(features, labels, grid) == best


def test_a_regularization_with_which_the_regression_does_not_converge_is_left_out(
    points: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = baselines.regression(*points, [1e-6])
    monkeypatch.setattr(baselines, "MAX_ITERATIONS", 6)
    with pytest.warns(ConvergenceWarning):
        assert baselines.regression(*points, [1e-6, 1000]) == alone
    assert "did not converge in 6 steps with C 1000: left out" in capsys.readouterr().out


def test_a_regression_that_converges_with_no_regularization_is_an_error(
    points: tuple[dict[str, np.ndarray], dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "MAX_ITERATIONS", 1)
    with pytest.warns(ConvergenceWarning), pytest.raises(InputError, match="logistic regression converges with no C"):
        baselines.regression(*points, [1])


@pytest.mark.parametrize(
    ("name", "pooling"), [("first_token", "first_token_pooling"), ("mean_pooling", "mean_pooling")]
)
def test_hidden_states_are_named_for_how_they_are_pooled(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, name: str, pooling: str
) -> None:
    monkeypatch.chdir(pipeline)
    monkeypatch.setattr(inference, pooling, lambda hidden, _: torch.zeros_like(hidden[:, 0]))
    rows = {split: TokenizedRows(tables.read(paths.tokenized(split))) for split in paths.SPLITS}
    features = baselines.hidden_states(rows, DEFAULTS["dataset"]["labels"])
    assert {key for key, states in features.items() if not states["train"].any()} == {name}


@pytest.mark.parametrize("split", paths.SPLITS)
def test_a_text_of_any_split_that_is_longer_than_the_model_takes_is_an_error(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    monkeypatch.chdir(pipeline)
    rows = dict.fromkeys(paths.SPLITS, make_rows([3, 40])) | {split: make_rows([3, 300])}
    with pytest.raises(InputError, match="texts of 300 tokens, but the model has 256 positions"):
        baselines.hidden_states(rows, DEFAULTS["dataset"]["labels"])


def test_hidden_states_that_are_no_numbers_are_an_error(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)
    monkeypatch.setattr(inference, "mean_pooling", lambda hidden, _: torch.full_like(hidden[:, 0], torch.nan))
    rows = {split: TokenizedRows(tables.read(paths.tokenized(split))) for split in paths.SPLITS}
    with pytest.raises(InputError, match=r"^models/pretrained/model: its hidden states hold NaN or inf: "):
        baselines.hidden_states(rows, DEFAULTS["dataset"]["labels"])


def test_the_regularization_is_chosen_by_f1_and_of_equals_the_first_is_taken(
    points: tuple[dict[str, np.ndarray], dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([(0.9, 0.5), (0.5, 0.6), (0.7, 0.6)])
    monkeypatch.setattr(
        baselines, "scores", lambda *_: {"validation": dict(zip(("accuracy", "f1"), next(figures), strict=True))}
    )
    assert baselines.regression(*points, [0.01, 0.1, 1])["C"] == 0.1

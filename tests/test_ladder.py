"""The ladder shows the fine-tuned model above the baselines, and says so where it is not."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from clones import change_params
from conftest import Call, Refused
from edits import edit_json
from rich.console import Console

from stages import hashing, paths
from stages.errors import InputError
from tools import ladder, results
from tools.formatting import text_table

METRICS = {"accuracy": 0.8, "f1": 0.79, "validation_accuracy": 0.82, "validation_f1": 0.81}


PREDICTIONS = tuple(map(paths.predictions, paths.EVALUATED))
FIGURES = (paths.AUDIT, paths.TOKENS, paths.BASELINES, paths.METRICS, paths.PLOTS, *PREDICTIONS)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(tfidf: float, mean: float, other_rows: str | None = None) -> None:
    """Write the figures of both stages, of the same rows but for the split ``other_rows``."""
    baselines = {
        name: {split: {"accuracy": f1, "f1": f1} for split in ("validation", "test")}
        for name, f1 in (("mean_pooling", mean), ("majority", 0.2), ("tfidf", tfidf))
    }
    Path("metrics").mkdir()
    Path("metrics/baselines.json").write_text(json.dumps(baselines), encoding="utf-8")
    Path("metrics/metrics.json").write_text(json.dumps(METRICS | {"loss": 1.0}), encoding="utf-8")
    Path(paths.PLOTS).mkdir()
    Path("data/predictions").mkdir(parents=True)
    score_labels({"joy": (0.5, 7), "fear": (0.1, 3)})
    count_tokens()
    find_leaks()
    record(other_rows)


def score_labels(scores: dict[str, tuple[float, int]], absent: Collection[int] = ()) -> None:
    """Write each label's recall, and how many test rows have it; validation has all labels but those ``absent``."""
    labels = {
        "validation": set(range(len(scores))) - set(absent),
        "test": [number for number, (_, support) in enumerate(scores.values()) if support],
    }
    for split, numbers in labels.items():
        pd.DataFrame({"label": list(numbers)}).to_parquet(paths.predictions(split))
    lines = [f'"{label}",0.5,{recall},0.5,{support}' for label, (recall, support) in scores.items()]
    text = "\n".join(['"label","precision","recall","f1","support"', *lines])
    Path(results.PER_CLASS).write_text(text, encoding="utf-8")


def count_tokens(**dropped: int) -> None:
    """Write how many tokens each split has."""
    counts = {split: {"tokens": 90, "unknown": 0, "dropped": dropped.get(split, 0)} for split in paths.SPLITS}
    Path(paths.TOKENS).write_text(json.dumps(counts), encoding="utf-8")


def find_leaks(
    skipped: dict[str, dict[str, int]] | None = None, delivered: Collection[str] = paths.SPLITS, **rows: int
) -> None:
    """Write the audit's figures."""
    figures: dict[str, Any] = {
        "splits": {split: {} for split in delivered},
        "leaked_rows": {split: {"rows": rows.get(split, 0)} for split in paths.EVALUATED},
        "skipped_rows": {split: {} for split in paths.SPLITS} | (skipped or {}),
    }
    Path(paths.AUDIT).write_text(json.dumps(figures), encoding="utf-8")


def record(other_rows: str | None = None) -> None:
    """Write what the stages say of their inputs and outputs, as these are."""
    for stage in ("audit", "tokenize", "baselines", "evaluate"):
        path = Path(paths.provenance(stage))
        path.parent.mkdir(parents=True, exist_ok=True)
        deps = {paths.tokenized(split): stage if split == other_rows else "the same" for split in paths.EVALUATED}
        outs = {name: hashing.md5(Path(name)) for name in FIGURES}
        path.write_text(json.dumps({"deps": deps, "outs": outs}), encoding="utf-8")


def test_the_rungs_rise_by_validation_to_the_fine_tuned_model() -> None:
    write(tfidf=0.6, mean=0.5)
    f1 = {"validation": 0.2, "test": 0.9}
    edit_json(Path(paths.BASELINES), majority={split: dict.fromkeys(ladder.SCORES, f1[split]) for split in f1})
    assert [rung.model for rung in ladder.rungs()] == [
        "majority class",
        "frozen, mean pooling",
        "TF-IDF",
        "fine-tuned",
    ]
    assert ladder.rungs()[-1].f1 == 0.79


def test_a_model_above_its_ladder_is_no_finding() -> None:
    write(tfidf=0.6, mean=0.5)
    assert ladder.findings(ladder.rungs()) == []


@pytest.mark.parametrize(
    ("file", "path", "command"),
    [
        (paths.AUDIT, paths.AUDIT, "dvc checkout"),
        (paths.TOKENS, paths.TOKENS, "dvc checkout"),
        (paths.BASELINES, paths.BASELINES, "dvc checkout"),
        (paths.METRICS, paths.METRICS, "git checkout metrics/metrics.json` and `dvc checkout"),
        (results.PER_CLASS, paths.PLOTS, "dvc checkout"),
    ],
)
def test_figures_that_git_or_dvc_has_changed_alone_are_a_finding(file: str, path: str, command: str) -> None:
    write(tfidf=0.6, mean=0.5)
    Path(file).write_text(Path(file).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert ladder.findings(ladder.rungs()) == [
        f"{path} is not of the run whose outputs are here: run `{command}`, or `dvc repro`"
    ]


@pytest.mark.parametrize("path", PREDICTIONS)
def test_predictions_that_dvc_has_changed_alone_are_a_finding(path: str) -> None:
    write(tfidf=0.6, mean=0.5)
    pd.DataFrame({"label": [1, 0]}).to_parquet(path)
    assert ladder.findings(ladder.rungs()) == [
        f"{path} is not of the run whose outputs are here: run `dvc checkout`, or `dvc repro`"
    ]


@pytest.mark.parametrize("split", paths.EVALUATED)
def test_figures_of_two_runs_are_a_finding(split: str) -> None:
    write(tfidf=0.6, mean=0.5, other_rows=split)
    assert ladder.findings(ladder.rungs()) == [
        "the baselines were not evaluated on the rows that the fine-tuned model was: run `dvc repro`"
    ]


def test_a_model_that_is_not_better_is_a_finding_on_each_split_where_it_is_not() -> None:
    write(tfidf=0.8, mean=0.5)
    assert ladder.findings(ladder.rungs()) == [
        "the fine-tuned model does not beat TF-IDF on test: F1 0.7900 against 0.8000"
    ]


def test_rows_that_leak_are_a_finding_of_their_split() -> None:
    write(tfidf=0.6, mean=0.5)
    find_leaks(validation=3)
    record()
    said = "3 validation rows are near-duplicates of train rows (listed in data/audit/findings.csv)"
    said += ": the scores on validation may be optimistic"
    assert ladder.findings(ladder.rungs()) == [said]


def test_bad_rows_that_were_left_out_are_a_finding_where_they_are_evaluated() -> None:
    write(tfidf=0.6, mean=0.5)
    find_leaks(skipped={"train": {"no text": 9}, "test": {"an unknown label": 33, "no text": 1}})
    record()
    said = "bad test rows were left out (33 with an unknown label, 1 with no text)"
    assert ladder.findings(ladder.rungs()) == [f"{said}: the scores on test do not cover them"]


def test_bad_rows_that_were_left_out_are_a_finding_of_each_split_that_was_carved_from_the_rest() -> None:
    write(tfidf=0.6, mean=0.5)
    find_leaks(skipped={"train": {"no text": 9}}, delivered=["train", "validation"])
    record()
    assert ladder.findings(ladder.rungs()) == [
        "bad train rows were left out (9 with no text) before test was carved: the scores on test do not cover them"
    ]


def test_labels_of_which_no_test_row_is_predicted_right_are_a_finding() -> None:
    write(tfidf=0.6, mean=0.5)
    score_labels({"joy": (0.5, 7), "NA": (0.0, 1), "1": (0.0, 2), "fear": (0.1, 3)})
    record()
    assert ladder.findings(ladder.rungs()) == ["no test row of these labels is predicted right: `NA`, `1`"]


def test_labels_that_no_test_row_has_are_a_finding() -> None:
    write(tfidf=0.6, mean=0.5)
    score_labels({"joy": (0.5, 7), "NA": (0.0, 0), "fear": (0.0, 0)})
    record()
    assert ladder.findings(ladder.rungs()) == [
        "no test row has these labels: `NA`, `fear`: the scores on test do not cover them"
    ]


def test_labels_that_no_validation_row_has_are_a_finding() -> None:
    write(tfidf=0.6, mean=0.5)
    score_labels({"joy": (0.5, 7), "NA": (0.5, 1), "fear": (0.5, 1)}, absent=[1])
    record()
    assert ladder.findings(ladder.rungs()) == [
        "no validation row has these labels: `NA`: the scores on validation do not cover them"
    ]


def test_tokens_that_are_dropped_are_a_finding_of_their_split() -> None:
    write(tfidf=0.6, mean=0.5)
    count_tokens(train=30, validation=10, test=60)
    record()
    assert [finding.partition(":")[0] for finding in ladder.findings(ladder.rungs())] == [
        "25% of train's tokens are dropped",
        "40% of test's tokens are dropped",
    ]


def test_each_split_has_a_best_baseline_of_its_own() -> None:
    write(tfidf=0.6, mean=0.5)
    path = Path("metrics/baselines.json")
    baselines = json.loads(path.read_text(encoding="utf-8"))
    baselines["mean_pooling"]["test"]["f1"] = 0.85
    path.write_text(json.dumps(baselines), encoding="utf-8")
    record()
    assert ladder.findings(ladder.rungs()) == [
        "the fine-tuned model does not beat frozen, mean pooling on test: F1 0.7900 against 0.8500"
    ]


def test_a_model_that_is_as_good_as_its_best_baseline_only_equals_it() -> None:
    write(tfidf=0.81, mean=0.5)
    assert [line.partition(":")[0] for line in ladder.findings(ladder.rungs())] == [
        "the fine-tuned model only equals TF-IDF on validation",
        "the fine-tuned model does not beat TF-IDF on test",
    ]


def test_without_a_run_it_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"metrics/baselines\.json does not exist: run `dvc repro`"):
        ladder.rungs()


@pytest.mark.parametrize(
    ("baselines", "said"),
    [
        ("<<<<<<< HEAD", r"damaged \(JSONDecodeError: .*\): run `dvc repro`"),
        ("{}", "no baselines in it: run `dvc repro`"),
        ('{"tfidf": {}}', r"damaged \(KeyError: 'validation'\): run `dvc repro`"),
    ],
    ids=["conflict", "none", "other figures"],
)
def test_figures_that_are_not_such_as_the_pipeline_writes_are_named(baselines: str, said: str) -> None:
    write(tfidf=0.6, mean=0.5)
    Path("metrics/baselines.json").write_text(baselines, encoding="utf-8")
    with pytest.raises(InputError, match=rf"^metrics/baselines\.json: {said}$"):
        ladder.rungs()


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (paths.AUDIT, "dvc pull"),
        (paths.TOKENS, "dvc pull"),
        (results.PER_CLASS, "dvc pull"),
        ("data/predictions/validation.parquet", "dvc pull"),
        (paths.BASELINES, "dvc pull"),
        (paths.METRICS, "git checkout metrics/metrics.json"),
    ],
)
def test_figures_that_are_missing_are_named_with_what_brings_them_back(path: str, command: str) -> None:
    write(tfidf=0.6, mean=0.5)
    Path(path).unlink()
    with pytest.raises(InputError, match=f"^{path} does not exist: run `dvc repro`, or `{command}`$"):
        ladder.markdown()


def test_a_metric_that_is_no_figure_is_named() -> None:
    write(tfidf=0.6, mean=0.5)
    edit_json(Path(paths.METRICS), f1=None)
    with pytest.raises(InputError, match=r"^metrics/metrics\.json: damaged \(TypeError: "):
        ladder.rungs()


@pytest.mark.parametrize("path", [paths.AUDIT, paths.TOKENS, results.PER_CLASS, paths.predictions("test")])
def test_figures_behind_the_findings_that_are_not_such_as_a_stage_writes_are_named(path: str) -> None:
    write(tfidf=0.6, mean=0.5)
    Path(path).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=f"^{path}: damaged "):
        ladder.findings(ladder.rungs())


def test_the_ladder_is_shown_again_on_demand(pipeline: Path, call: Call) -> None:
    code, said, error = call(ladder.main, pipeline)
    assert (code, error) == (0, "")
    rows = [line.split("  ")[0] for line in said.splitlines()]
    assert {"model", *ladder.NAMES.values(), "fine-tuned"} <= set(rows)
    assert "\nwarning: the fine-tuned model does not beat " in said  # it is the tiny random checkpoint
    assert "params.yaml" not in said


def test_params_that_have_changed_since_the_run_are_warned_of(copy: Path, call: Call) -> None:
    change_params(copy, train__seed=5, dataset__seed=3)
    said = call(ladder.main, copy)[1].splitlines()
    assert [line for line in said if "params.yaml" in line] == [
        "warning: params.yaml: dataset.seed is 3, but download ran with 0: run `dvc repro`",
        "warning: params.yaml: train.seed is 5, but train ran with 42: run `dvc repro`",
    ]


def test_a_merge_with_conflicts_is_named_before_the_metrics_that_it_has_cut(copy: Path, refused: Refused) -> None:
    for file in ("dvc.lock", paths.METRICS):
        (copy / file).write_text("<<<<<<< HEAD\n", encoding="utf-8")
    assert refused(ladder.main, copy).startswith("dvc.lock has merge conflicts: take one side (")


def test_figures_without_a_lock_are_shown(copy: Path, call: Call) -> None:
    (copy / "dvc.lock").unlink()
    assert call(ladder.main, copy)[1].startswith("                ")


def test_no_figure_is_cut_short_in_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write(tfidf=0.6, mean=0.5)
    Console(width=30).print(ladder.table(ladder.rungs()))
    assert "…" not in capsys.readouterr().out
    Console(width=4).print(text_table(("f1",), [("0.8200",)]))
    assert "".join(capsys.readouterr().out.split()) == "f10.8200"


def test_each_figure_stands_under_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    write(tfidf=0.6, mean=0.5)
    figures = {"validation": {"accuracy": 0.1, "f1": 0.2}, "test": {"accuracy": 0.3, "f1": 0.4}}
    Path("metrics/baselines.json").write_text(json.dumps({"tfidf": figures}), encoding="utf-8")
    Console(width=80).print(ladder.table(ladder.rungs()))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "            validation  validation      test    test",
        "model         accuracy          F1  accuracy      F1",
        "TF-IDF          0.1000      0.2000    0.3000  0.4000",
        "fine-tuned      0.8200      0.8100    0.8000  0.7900",
    ]

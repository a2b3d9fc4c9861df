"""`python -m tools.compare` says whether a revision is better or worse, whether that may be luck, and what differs."""

import functools
import json
import re
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from clones import DEFAULTS, STAGES, change_params, commit, git, run
from conftest import Call, Refused
from edits import restamp
from stand_ins import read_csv

from stages import tables
from tools import compare, revisions

PREDICTIONS = "data/predictions/test.parquet"
Numbers = npt.NDArray[np.int64]


def rewrite_predictions(
    folder: Path, predict: Callable[[Numbers], Numbers], names: list[str] | None = None, **stamp: Any
) -> None:
    """Put predictions made up from the labels in the place of the model's: a stand-in for a better or worse one."""
    table = tables.read(str(folder / PREDICTIONS))
    columns = {name: table[name] for name in table.column_names}
    columns["prediction"] = predict(table["label"].to_numpy())
    names = names or tables.label_names(table.schema)
    schema = tables.schema(tables.PREDICTIONS, names, "label", "prediction", **tables.metadata(table.schema) | stamp)
    (folder / PREDICTIONS).unlink()
    tables.write(folder / PREDICTIONS, schema, **columns)


def record(folder: Path) -> None:
    """Have dvc.lock say that the stages ran on what lies there, and gave it."""
    with chdir(folder):
        for stage in STAGES:
            restamp(stage)
    run("dvc", "commit", "--force", cwd=folder)


def put_on(branch: str, folder: Path) -> None:
    """Commit what lies there, data and all, on a new branch, and go back to main."""
    git("checkout", "--quiet", "-b", branch, cwd=folder)
    record(folder)
    commit(folder, branch)
    git("checkout", "--quiet", "main", cwd=folder)
    run("dvc", "checkout", cwd=folder)


@pytest.fixture(scope="module")
def repository(pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with branches and an experiment to compare; no test changes it."""
    folder = shutil.copytree(pipeline, tmp_path_factory.mktemp("compare") / "clone", symlinks=True)
    rewrite_predictions(folder, lambda labels: labels)
    put_on("right", folder)
    change_params(folder, train__seed=43)
    rewrite_predictions(folder, lambda labels: np.maximum(labels, 1))
    put_on("nearly-right", folder)
    change_params(folder, train__epochs=3)
    put_on("epochs", folder)
    change_params(folder, train__seed=43)
    rewrite_predictions(folder, np.zeros_like)
    record(folder)
    run("dvc", "exp", "save", "--force", "--name", "another-seed", cwd=folder)
    git("checkout", "--quiet", ".", cwd=folder)
    run("dvc", "checkout", cwd=folder)
    return folder


@pytest.fixture
def compared(call: Call) -> Call:
    """The command in this process: gives the exit code and what it prints on stdout and stderr."""
    return functools.partial(call, compare.main)


def document(result: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = result
    assert (code, err) == (0, "")
    return dict(json.loads(out))


def test_better_worse_and_within_noise_are_told_apart(repository: Path, compared: Call) -> None:
    assert compared(repository, "main", "right")[1].startswith("better: accuracy +")
    assert compared(repository, "right", "main")[1].startswith("worse: accuracy -")
    assert compared(repository, "main", "epochs")[1].startswith("within noise: accuracy +0.0000; its 95% interval, ")


def test_it_runs_as_a_command_and_leaves_everything_as_it_was(repository: Path) -> None:
    done = run("python", "-m", "tools.compare", "right", cwd=repository)
    assert done.stdout.startswith("worse: ")
    assert "base: right\nhead: workspace\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert git("status", "--porcelain", cwd=repository) == ""
    assert run("dvc", "status", cwd=repository).stdout == "Data and pipelines are up to date.\n"


def test_figures_are_those_of_metrics_json(repository: Path, compared: Call) -> None:
    recorded = json.loads((repository / "metrics/metrics.json").read_text(encoding="utf-8"))
    figures = document(compared(repository, "right", "--json"))["metrics"]
    assert {name: round(figure["head"], 4) for name, figure in figures.items()} == {
        name: recorded[name] for name in ("accuracy", "f1", "f1_macro")
    }
    for figure in figures.values():
        assert figure["base"] == 1.0
        assert figure["difference"] == figure["head"] - 1.0
        assert figure["interval"][0] < figure["difference"] < figure["interval"][1]


def test_f1_by_label_is_that_of_the_plots(repository: Path, compared: Call) -> None:
    rows = document(compared(repository, "right", "--json"))["labels"]
    scores = read_csv(repository / "metrics/plots/per_class.csv")
    plotted = {row["label"]: (float(row["f1"]), int(row["support"])) for row in scores}
    assert {row["label"]: row["rows"] for row in rows} == {label: support for label, (_, support) in plotted.items()}
    for row in rows:
        assert row["head"] == pytest.approx(plotted[row["label"]][0], abs=1e-4)
    assert all(row["difference"] == row["head"] - row["base"] for row in rows)


def test_the_same_comparison_prints_the_same(repository: Path, compared: Call) -> None:
    assert compared(repository, "right", "--json") == compared(repository, "right", "--json")


def test_params_and_inputs_that_differ_are_named(repository: Path, compared: Call) -> None:
    result = document(compared(repository, "main", "epochs", "--json"))
    assert result["params"] == {"train.epochs": {"base": [2], "head": [3]}}
    assert result["inputs"] == {}
    assert "train.epochs  2     3" in compared(repository, "main", "epochs")[1]
    assert "param" not in compared(repository, "main", "right")[1]


def test_an_experiment_goes_by_its_name(repository: Path, compared: Call) -> None:
    result = document(compared(repository, "main", "another-seed", "--json"))
    assert result["params"] == {"train.seed": {"base": [42], "head": [43]}}


def test_one_run_against_one_says_what_the_interval_leaves_out(repository: Path, compared: Call) -> None:
    printed = compared(repository, "main", "right")[1]
    assert "The intervals account for sampling of the test rows, not the training seed." in printed
    assert "McNemar's exact test: p = " in printed
    base = revisions.read("main")
    wrong = (base.labels != base.predictions).sum()
    assert f"(0 rows right only in base, {wrong} only in head)" in printed


def test_several_seeds_are_compared_by_their_means(repository: Path, compared: Call) -> None:
    result = document(compared(repository, "main,another-seed", "right", "--json"))
    alone = [document(compared(repository, side, "right", "--json")) for side in ("main", "another-seed")]
    for name, figure in result["metrics"].items():
        assert figure["base"] == np.mean([one["metrics"][name]["base"] for one in alone])
    assert result["mcnemar"] is None
    assert result["interval_covers"] == "sampling of the test rows, not the training seed"
    assert result["params"] == {"train.seed": {"base": [42, 43], "head": [42]}}


def test_several_seeds_on_both_sides_are_resampled_too(repository: Path, compared: Call) -> None:
    result = document(compared(repository, "main,another-seed", "right,nearly-right", "--json"))
    covers = "sampling of the test rows and the training seed (2 seeds against 2, also resampled)"
    assert result["interval_covers"] == covers
    assert result["base"] == ["main", "another-seed"]
    assert result["verdict"] == "better"


def test_markdown_is_of_narrow_tables(repository: Path, compared: Call) -> None:
    lines = compared(repository, "main", "epochs", "--md")[1].splitlines()
    assert lines[0].startswith("**within noise**: accuracy +0.0000")
    assert "base: `main`<br>head: `epochs`" in lines
    assert "| `train.epochs` | `2` | `3` |" in lines
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) > 10
    assert all(row.count("|") <= 5 for row in rows)
    assert max(len(cell) for row in rows for part in row.split("|") for cell in part.split("<br>")) <= 24


def test_worse_fails_where_that_is_asked_for(repository: Path, compared: Call) -> None:
    assert compared(repository, "right", "main")[0] == 0
    code, printed, _ = compared(repository, "right", "main", "--fail-if", "worse")
    assert (code, printed.splitlines()[0].split(":")[0]) == (1, "worse")
    assert compared(repository, "main", "right", "--fail-if", "worse")[0] == 0
    assert compared(repository, "main", "epochs", "--fail-if", "worse")[0] == 0


def test_a_margin_is_what_the_whole_interval_has_to_lie_beyond(repository: Path, compared: Call) -> None:
    high = document(compared(repository, "right", "main", "--json"))["metrics"]["accuracy"]["interval"][1]
    assert high < 0
    fail = ("right", "main", "--fail-if", "worse", "--margin")
    assert compared(repository, *fail, "0")[0] == 1
    assert compared(repository, *fail, str(-high - 1e-6))[0] == 1
    assert compared(repository, *fail, str(-high))[0] == 0


@pytest.mark.parametrize("margin", ["-0.1", "1", "nan", "much"])
def test_an_invalid_margin_is_refused(repository: Path, compared: Call, margin: str) -> None:
    code, _, said = compared(repository, "main", "--fail-if", "worse", f"--margin={margin}")
    assert code == 2
    assert "argument --margin: " in said


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (("--margin", "0.01"), "--margin only works with --fail-if worse"),
        (("--margin", "0"), "--margin only works with --fail-if worse"),
        (("--json", "--md"), "not allowed with argument"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    repository: Path, compared: Call, options: tuple[str, str], refusal: str
) -> None:
    code, _, said = compared(repository, "main", *options)
    assert code == 2
    assert refusal in said


@pytest.mark.long
def test_another_test_file_is_not_comparable(copy: Path, compared: Call) -> None:
    path = copy / "data/small/test.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("\n", "\nonce more i feel ", 1), encoding="utf-8")
    run("dvc", "repro", cwd=copy)
    code, printed, _ = compared(copy, "HEAD")
    assert code == 0
    assert printed.startswith("not comparable: the test files differ: the MD5 of `data/raw/test.parquet` is ")
    assert "to keep it, put the three parquet files of data/raw in the place of yours\n" in printed
    assert "data/small  changed" in printed
    assert re.search(r"^accuracy( +\d\.\d{4}){2} +-$", printed, re.MULTILINE)
    code, printed, said = compared(copy, "HEAD", "--fail-if", "worse")
    assert code == 1
    assert printed.startswith("not comparable: ")
    assert said.startswith("error: --fail-if worse: the sides are not comparable")


def test_another_label_set_is_not_comparable(copy: Path, compared: Call) -> None:
    labels = [*DEFAULTS["dataset"]["labels"][:5], "awe | `wonder`"]
    change_params(copy, dataset__labels=labels)
    rewrite_predictions(copy, lambda labels: labels, labels)
    record(copy)
    _, printed, _ = compared(copy, "HEAD", "--md")
    said = "the label sets differ: only `HEAD` has `surprise`; only `workspace` has `awe | 'wonder'`\n"
    assert printed.startswith(f"**not comparable**: {said}")
    assert "| `accuracy` | 0." in printed
    assert """"fear", "awe \\| 'wonder'"]` |""" in printed


@pytest.mark.long
def test_another_max_length_is_comparable(copy: Path, compared: Call) -> None:
    change_params(copy, tokenize__max_length=24)
    run("dvc", "repro", cwd=copy)
    assert document(compared(copy, "HEAD", "--json"))["verdict"] != "not comparable"


def test_predictions_that_do_not_say_what_they_judged_are_not_comparable(copy: Path, compared: Call) -> None:
    rewrite_predictions(copy, lambda labels: labels, deps={})
    record(copy)
    code, printed, said = compared(copy, "HEAD")
    assert (code, said) == (0, "")
    assert printed.startswith("not comparable: `workspace` does not say which `data/raw/test.parquet` it")
    assert compared(copy, "HEAD", "--fail-if", "worse")[0] == 1


def test_predictions_come_from_the_remote_without_being_pulled(
    repository: Path, tmp_path: Path, compared: Call
) -> None:
    git("clone", "--quiet", str(repository), "bare", cwd=tmp_path)
    bare = tmp_path / "bare"
    shutil.copytree(repository / ".dvc/cache/files", tmp_path / "remote/files")
    run("dvc", "remote", "add", "--default", "remote", str(tmp_path / "remote"), cwd=bare)
    result = document(compared(bare, "origin/right", "origin/main", "--json"))
    assert result["verdict"] == "worse"
    assert not (bare / "data/predictions").exists()
    assert not (bare / ".dvc/cache/files").exists()


@pytest.fixture
def refused(refused: Refused) -> Refused:
    """What the command says of revisions that it refuses."""
    return functools.partial(refused, compare.main)


def test_an_unknown_revision_is_named(repository: Path, refused: Refused) -> None:
    said = refused(repository, "no-such")
    assert said.startswith("no-such: unknown Git revision 'no-such': name a branch, tag, commit or experiment")
    assert refused(repository, "main,", "right").startswith("'main,': a revision's name is empty")


def test_runs_of_two_recipes_do_not_make_a_side(repository: Path, refused: Refused) -> None:
    said = refused(repository, "main,epochs", "right")
    assert said.startswith(
        "main,epochs: differ in train.epochs: join only runs of one recipe that differ in train.seed"
    )
    assert refused(repository, "main,right", "right").startswith("main,right: differ in nothing: ")


def test_a_revision_that_is_no_commit_is_named(repository: Path, refused: Refused) -> None:
    assert refused(repository, "HEAD:README.md").startswith("HEAD:README.md: not a commit of a git")

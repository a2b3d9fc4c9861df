"""`python -m tools.seeds` runs seeds through the cache and gives their mean and standard deviation."""

import functools
import os
import re
import shutil
import statistics
import sys
from pathlib import Path

import pytest
from clones import TREE, change_params, commit, git, ran, run, set_params
from conftest import Refused
from dvc.exceptions import NotDvcRepoError
from edits import edit_json, used_by
from rich.console import Console
from stand_ins import write_program

from stages.errors import InputError
from tools import seeds

FIGURE = re.compile(r"\d+(\.\d{4})?")


@pytest.fixture
def refused(copy: Path, refused: Refused) -> Refused:
    """What the command says, in `copy`, where it runs nothing."""
    return functools.partial(refused, seeds.main, copy)


@pytest.mark.long
def test_two_seeds_run_once_and_their_mean_is_given(copy: Path) -> None:
    first = run("python", "-m", "tools.seeds", "2", cwd=copy).stdout
    commit = git("rev-parse", "--short", "HEAD", cwd=copy).strip()
    cells = [re.split(r" {2,}", line.rstrip()) for line in first.splitlines()]
    rows = {name: list(map(float, row)) for name, *row in cells if all(map(FIGURE.fullmatch, row))}
    one, two = rows[f"{commit}-seed1"], rows[f"{commit}-seed2"]
    assert one != two
    assert rows["mean"] == pytest.approx([statistics.mean(pair) for pair in zip(one, two, strict=True)], abs=1e-4)
    assert rows["standard deviation"] == pytest.approx(
        [statistics.stdev(pair) for pair in zip(one, two, strict=True)], abs=1e-4
    )
    assert ran(first) == ["train", "evaluate"] * 2
    assert git("status", "--porcelain", cwd=copy) == ""

    again = run("python", "-m", "tools.seeds", "2", cwd=copy).stdout
    assert "Running stage" not in again
    assert again.splitlines()[-1] == f"as one side of a comparison: {commit}-seed1,{commit}-seed2"


@pytest.mark.long
def test_an_experiment_that_never_starts_is_named(copy: Path) -> None:
    folder = copy.rename(copy.with_name("cl\u00e9"))  # where DVC cannot set up an experiment, and waits for it
    code = "import tools.seeds as seeds; seeds.POLL = 3; print(seeds.run_experiments(1))"
    done = run("python", "-c", code, cwd=folder, check=False, env={"PYTHONPATH": str(folder)})
    assert re.search(r"InputError: \w+-seed1 failed: see `dvc queue logs \w+-seed1`", done.stderr)


def printed(metrics: dict[str, dict[str, float]]) -> list[str]:
    """The lines of the table in 80 columns."""
    console = Console(width=80)
    with console.capture() as output:
        console.print(seeds.table(metrics))
    return [line.rstrip() for line in output.get().splitlines()]


def test_the_table_is_without_leaked_rows_so_that_80_columns_hold_it() -> None:
    scores = {"accuracy": 1.0, "f1": 1.0, "f1_macro": 0.5, "loss": 0.25}
    leaked = {"leaked_rows": 3, "accuracy_without_leaked": 1.0, "f1_without_leaked": 1.0}
    run = scores | leaked | {"validation_accuracy": 1.0, "validation_f1": 0.75, "validation_f1_macro": 0.5}
    assert printed({"abcdef0-seed1": run, "abcdef0-seed2": run | {"accuracy": 0.5}}) == [
        "                                                                           val",
        "                                          f1               val     val      f1",
        "                    accuracy      f1   macro    loss  accuracy      f1   macro",
        "abcdef0-seed1         1.0000  1.0000  0.5000  0.2500    1.0000  0.7500  0.5000",
        "abcdef0-seed2         0.5000  1.0000  0.5000  0.2500    1.0000  0.7500  0.5000",
        "mean                  0.7500  1.0000  0.5000  0.2500    1.0000  0.7500  0.5000",
        "standard deviation    0.3536  0.0000  0.0000  0.0000    0.0000  0.0000  0.0000",
    ]


def test_one_seed_has_no_standard_deviation() -> None:
    assert [line.split() for line in printed({"abcdef0-seed1": {"accuracy": 0.5}})] == [
        ["accuracy"],
        ["abcdef0-seed1", "0.5000"],
        ["mean", "0.5000"],
    ]


def test_the_metrics_of_each_experiment_stand_by_its_name(inside: Path) -> None:
    accuracies = {"one": 0.25, "two": 0.5}
    for name, accuracy in accuracies.items():
        edit_json(inside / "metrics/metrics.json", accuracy=accuracy)
        run("dvc", "exp", "save", "--force", "--name", name, cwd=inside)
    read = seeds.read_metrics(["two", "one"])
    assert list(read) == ["two", "one"]
    assert {name: metrics["accuracy"] for name, metrics in read.items()} == accuracies


def test_experiments_whose_results_are_lost_are_all_named_before_anything_runs(
    copy: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git("rev-parse", "--short", "HEAD", cwd=copy).strip()
    for name in (f"{head}-seed1", f"{head}-seed3"):
        run("dvc", "exp", "save", "--force", "--name", name, cwd=copy)
    shutil.rmtree(copy / ".dvc/cache")
    monkeypatch.setattr(seeds, "_run_queue", lambda: pytest.fail("a run"))
    said = refused("3")
    assert said.startswith(f"{head}-seed1: data/predictions/test.parquet is not in DVC's cache, and no remote gives it")
    assert said.endswith(f"; or run it anew: `dvc exp remove {head}-seed1 {head}-seed3`, and this again")
    assert "seed2" not in run("dvc", "queue", "status", cwd=copy).stdout


@pytest.mark.parametrize("number", ["0", "1001"])
def test_no_seed_at_all_is_refused_and_so_are_too_many(pipeline: Path, number: str) -> None:
    done = run("python", "-m", "tools.seeds", number, cwd=pipeline, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("error: N: from 1 to 1000 seeds can be run\n")


def test_data_of_ones_own_that_changed_since_the_run_are_refused(copy: Path, tmp_path: Path, refused: Refused) -> None:
    rows = shutil.copytree(copy / "data/small", tmp_path / "own")
    change_params(copy, dataset__path=str(rows))
    run("dvc", "repro", "download", cwd=copy)
    commit(copy, "rows outside of the clone")
    (rows / "more.txt").touch()
    assert refused("1") == (
        f"the data has changed since dvc.lock was written (download: changed deps: {rows}: modified): "
        "run `dvc repro` and commit dvc.lock and metrics/metrics.json"
    )


@pytest.mark.long
def test_data_that_git_does_not_have_are_taken_along(copy: Path) -> None:
    shutil.copytree(copy / "data/small", copy / "data/own/rows")
    change_params(copy, dataset__path="data/own/rows")
    run("dvc", "repro", cwd=copy)
    commit(copy, "rows that git ignores")
    assert "-seed1" in run("python", "-m", "tools.seeds", "1", cwd=copy).stdout


@pytest.mark.parametrize(
    ("path", "untracked"),
    [
        ("data/own", ["data/own/"]),
        ("data/own/rows.csv", ["data/own/"]),
        ("models/own", ["models/own/config.json"]),
        ("data/sample", []),
        ("data/mine", ["data/mine/caf\u00e9\n.csv"]),
    ],
)
def test_what_git_does_not_have_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, untracked: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", cwd=tmp_path)
    tracked = ("data/sample/rows.csv", "models/own/README.md", "data/mine/README.md")
    for name in (*tracked, "data/own/rows.csv", "models/own/config.json", "data/mine/caf\u00e9\n.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git("add", *tracked, cwd=tmp_path)
    assert seeds.untracked([Path(path)]) == untracked


def test_a_folder_without_git_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^`git status .*`: fatal: not a git repository .*: run this at the top of"):
        seeds.run_experiments(1)


def test_a_folder_without_dvc_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((TREE / "params.yaml").read_bytes())
    git("init", "--quiet", cwd=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message", "no DVC", cwd=tmp_path)
    with pytest.raises(NotDvcRepoError, match=r"^you are not inside of a DVC repository"):
        seeds.run_experiments(1)


def test_what_the_seeds_start_may_reach_the_hub(pipeline: Path, tmp_path: Path) -> None:
    write_program(tmp_path / "git", 'echo "offline: $HF_HUB_OFFLINE" >&2', "exit 1")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "0"}
    done = run(sys.executable, "-m", "tools.seeds", "1", cwd=pipeline, check=False, env=environment)
    assert "offline: 0" in done.stderr


def test_uncommitted_changes_are_refused(copy: Path, refused: Refused) -> None:
    change_params(copy, train__epochs=1)
    assert refused("2").startswith("there are uncommitted changes (params.yaml): commit them")


def test_data_outside_the_clone_by_a_relative_path_are_refused(copy: Path, refused: Refused) -> None:
    shutil.copytree(copy / "data/small", copy.parent / "own")
    set_params(copy, dataset__path="../own")
    commit(copy, "data elsewhere")
    assert refused("2") == "params.yaml: ../own is outside the clone: make the path absolute"


def test_a_folder_whose_name_begins_with_two_dots_is_in_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_params(tmp_path, dataset__path="..own")
    monkeypatch.chdir(tmp_path)
    assert seeds._sources()[0] == Path("..own")  # noqa: SLF001


def test_seeds_are_not_run_beside_a_dvc_that_runs_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    used_by(tmp_path, os.getpid(), "write")
    with pytest.raises(InputError, match=r"^DVC is running stages here: wait until it has finished$"):
        seeds.run_experiments(1)


def test_an_experiment_that_dvc_has_queued_is_waiting(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("dvc", "exp", "run", "--queue", "--name", "later", "-S", "train.seed=9", cwd=copy)
    monkeypatch.chdir(copy)
    assert seeds._waiting() == ["later"]  # noqa: SLF001
    seeds._fail_dead()  # noqa: SLF001
    assert seeds._waiting() == ["later"]  # noqa: SLF001


def test_params_that_are_wrong_stop_the_seeds_before_any_is_queued(
    copy: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "run_experiments", lambda _: pytest.fail("queued"))
    change_params(copy, train__epochs=0)
    assert "train.epochs: should be greater than or equal to 1" in refused("2")


def test_a_shallow_clone_is_refused(pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("clone", "--quiet", "--depth", "1", pipeline.as_uri(), "shallow", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "shallow")
    with pytest.raises(InputError, match="into a shallow clone: run `git fetch --unshallow`"):
        seeds.run_experiments(1)

"""A change on a branch, from its run to the merge: every tool says what happened, and the way back runs nothing."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clones import change_params, commit, git, run, stages_run
from conftest import Call, Verify

from tools import compare, gate

Compared = Callable[[str], dict[str, Any]]


@pytest.fixture
def compared(copy: Path, call: Call) -> Compared:
    """The comparison of the workspace with a branch."""

    def comparison(base: str) -> dict[str, Any]:
        code, said, _ = call(compare.main, copy, base, "--json")
        assert code == 0
        return dict(json.loads(said))

    return comparison


def test_a_branch_says_what_it_changed_and_merges_without_a_run(copy: Path, compared: Compared, verify: Verify) -> None:
    before = (copy / "metrics/metrics.json").read_bytes()

    git("checkout", "--quiet", "-b", "slower", cwd=copy)
    change_params(copy, train__learning_rate=1e-4)
    assert stages_run(copy) == ["train", "evaluate"]
    commit(copy, "a lower learning rate")
    after = (copy / "metrics/metrics.json").read_bytes()
    assert before != after

    metrics = json.loads(run("dvc", "metrics", "diff", "main", "--json", cwd=copy).stdout)["metrics/metrics.json"]
    assert "loss" in metrics
    for name, change in metrics.items():
        assert (change["old"], change["new"]) == (json.loads(before)[name], json.loads(after)[name])
    table = run("dvc", "metrics", "diff", "main", cwd=copy).stdout.splitlines()
    assert len(table) <= 24
    assert max(map(len, table)) <= 80
    params = json.loads(run("dvc", "params", "diff", "main", "--json", cwd=copy).stdout)
    assert params == {"params.yaml": {"train.learning_rate": {"old": 0.01, "new": 0.0001, "diff": -0.0099}}}
    plots = json.loads(run("dvc", "plots", "diff", "main", "--json", cwd=copy).stdout)["data"]
    revisions = {revision for plot in plots.values() for part in plot for revision in part["revisions"]}
    assert revisions == {"main", "workspace"}
    comparison = compared("main")
    assert comparison["params"] == {"train.learning_rate": {"base": [0.01], "head": [0.0001]}}
    assert comparison["inputs"] == {}
    assert comparison["verdict"] in {"better", "worse", "within noise"}
    for name, figure in comparison["metrics"].items():
        assert round(figure["base"], 4) == json.loads(before)[name]
        assert round(figure["head"], 4) == json.loads(after)[name]

    git("checkout", "--quiet", "main", cwd=copy)  # and no `dvc checkout`
    assert stages_run(copy) == []
    assert git("status", "--porcelain", cwd=copy) == ""
    assert (copy / "metrics/metrics.json").read_bytes() == before

    git("merge", "--quiet", "--no-ff", "--message", "merge", "slower", cwd=copy)
    run("dvc", "checkout", cwd=copy)
    assert stages_run(copy) == []
    assert git("status", "--porcelain", cwd=copy) == ""
    assert verify(copy, "--cache") == ""
    assert (copy / "metrics/metrics.json").read_bytes() == after
    assert compared("slower")["params"] == {}


@pytest.mark.long
def test_branches_whose_results_conflict_are_run_together_once_one_side_is_taken(copy: Path, verify: Verify) -> None:
    git("branch", "other", cwd=copy)
    change_params(copy, train__learning_rate=1e-4)
    run("dvc", "repro", cwd=copy)
    commit(copy, "a lower learning rate")
    git("checkout", "--quiet", "other", cwd=copy)
    change_params(copy, train__seed=7)
    run("dvc", "repro", cwd=copy)
    commit(copy, "another seed")
    merged = git("merge", "--no-edit", "-", cwd=copy, check=False)
    conflicts = re.findall(r"^CONFLICT .* in (.*)", merged, re.MULTILINE)
    assert conflicts == ["dvc.lock", "metrics/metrics.json"]
    refused = run("python", "-m", "tools.repro", cwd=copy, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: dvc.lock has merge conflicts: take one side")

    git("checkout", "--ours", *conflicts, cwd=copy)
    said = run("python", "-m", "tools.repro", cwd=copy).stdout
    assert re.search(r"^ran +train, evaluate *$", said, re.MULTILINE)
    assert verify(copy, "--cache") == ""


def test_a_pipeline_in_a_folder_of_another_repository_is_read_as_one_of_its_own(
    copy: Path, compared: Compared, verify: Verify, call: Call
) -> None:
    shutil.rmtree(copy / ".git")
    git("init", "--quiet", cwd=copy.parent)
    git("add", copy.name, cwd=copy.parent)
    commit(copy.parent, "with a pipeline in it")
    assert verify(copy, "--cache") == ""
    assert compared("HEAD")["verdict"] == "within noise"
    assert call(gate.main, copy, "HEAD")[1].startswith("run=false\n")
    assert stages_run(copy) == []

"""`tools.repro`, behind `make repro`, in this process: what it runs, sums up and records, and what it refuses to do."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from clones import PIPELINE_PARAMS, TREE, git, run, set_params
from conftest import Call
from edits import append

from stages.errors import InputError
from tools import ladder, repair, repro


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes and a committed params.yaml."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TREE / "recipes", tmp_path / "recipes")
    (tmp_path / "params.yaml").write_bytes((TREE / "params.yaml").read_bytes())
    git("init", "--quiet", cwd=tmp_path)
    git("add", "--all", cwd=tmp_path)
    git("commit", "--quiet", "--message", "params", cwd=tmp_path)
    return tmp_path


def test_a_recipe_never_overwrites_edits_that_are_only_staged(folder: Path) -> None:
    append(folder / "params.yaml", "# mine\n")
    git("add", "params.yaml", cwd=folder)
    with pytest.raises(InputError, match=r"^params\.yaml has uncommitted edits: commit them, or undo them with"):
        repro.use_recipe("emotion-files")


def test_a_recipe_takes_the_place_of_params_that_are_gone(folder: Path) -> None:
    (folder / "params.yaml").unlink()
    repro.use_recipe("emotion-files")
    assert (folder / "params.yaml").read_bytes() == (folder / "recipes/emotion-files.yaml").read_bytes()


class Runs:
    """Stands in for `dvc repro`: what it answers, call by call, and the options that it was given."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.options: list[tuple[str, ...]] = []

    def __call__(self, *options: str) -> tuple[int, dict[str, str]]:
        self.options.append(options)
        return self.answers[len(self.options) - 1]


@pytest.fixture
def played(pipeline: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`tools.repro` on results that are there, with stand-ins for the runs, the repairs around them, and the clock."""

    def play(runs: Runs, *options: str, repairs: Sequence[list[str]] = ()) -> tuple[int, str, str]:
        found = iter(repairs)
        monkeypatch.setattr(repro, "reproduce", runs)
        monkeypatch.setattr(repair, "repair", lambda: next(found, []))
        seconds = iter((100, 190))
        monkeypatch.setattr(repro, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
        return call(repro.main, pipeline, *options)

    return play


def test_stages_that_ran_and_were_run_again_are_summed_up_and_recorded(played: Call, tmp_path: Path) -> None:
    first = {"download": "pulled", "train": "from cache", "evaluate": "ran"}
    second = {"download": "unchanged", "train": "ran", "evaluate": "unchanged"}
    runs, record = Runs((0, first), (0, second)), tmp_path / "report/run.json"
    repairs = [["a lock cut short"], ["train was made from others"]]
    code, said, _ = played(runs, "--pull", "--record", str(record), repairs=repairs)
    assert code == 0
    assert runs.options == [("--pull",), ()]
    assert said.startswith("a lock cut short\ntrain was made from others\n")
    summed_up = [re.split(r" {2,}", line.rstrip()) for line in said.splitlines()]
    assert [row for row in summed_up if row[0] in {"pulled", "from cache", "ran", "unchanged"}] == [
        ["pulled", "download"],
        ["ran", "train, evaluate"],
    ]
    assert json.loads(record.read_text(encoding="utf-8")) == {
        "seconds": 90,
        "stages": {"download": "pulled", "train": "ran", "evaluate": "ran"},
    }


def test_the_summary_of_a_run_shows_the_ladder_and_warns(played: Call) -> None:
    _, said, _ = played(Runs((0, {"train": "ran"})))
    rows = [line.split("  ")[0] for line in said.splitlines()]
    assert {"model", *ladder.NAMES.values(), "fine-tuned"} <= set(rows)
    assert "warning: the fine-tuned model does not beat" in said  # it is the tiny random checkpoint


@pytest.mark.parametrize("again", [False, True])
def test_a_run_that_failed_is_not_summed_up(
    played: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, again: bool
) -> None:
    runs = Runs((0, {"train": "from cache"}), (255, {})) if again else Runs((255, {"train": "ran"}))
    monkeypatch.setattr(repair, "unstored", lambda: ["train"] if runs.options else [])
    repairs = [[], ["made from others"]]
    code, said, error = played(runs, "--record", str(tmp_path / "run.json"), repairs=repairs)
    assert code == 1
    assert len(runs.options) == 1 + again
    assert said == ("made from others\n" if again else "")
    assert error.startswith("train has finished, but DVC did not store it: fix what it reports above and run ")
    assert not list(tmp_path.glob("*.json"))


def test_data_that_is_absent_is_an_error_before_any_run_unless_it_is_to_be_pulled(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs((1, {}))
    monkeypatch.setattr(repro, "reproduce", runs)
    monkeypatch.setattr(repair, "unstored", list)
    shutil.rmtree(copy / "data/small")
    code, _, error = call(repro.main, copy)
    assert (code, runs.options) == (1, [])
    assert error.startswith("error: params.yaml: dataset.path: data/small does not exist: ")
    assert call(repro.main, copy, "--pull") == (1, "", "")
    assert runs.options == [("--pull",)]


def test_a_frozen_stage_is_called_frozen(inside: Path) -> None:
    run("dvc", "freeze", "train", cwd=inside)
    set_params(inside, **PIPELINE_PARAMS | {"train__seed": 5})
    code, stages = repro.reproduce()
    assert (code, stages["train"], stages["evaluate"]) == (0, "frozen", "unchanged")

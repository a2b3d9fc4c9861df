"""`make` and the summary at the end of `make repro`."""

import functools
import json
import os
from pathlib import Path

import pytest
from clones import TREE, git, make_clone, run
from conftest import Refused
from edits import append

import tools.repro


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clone(tmp_path_factory.mktemp("make") / "clone")


@pytest.fixture
def with_recipe(clone: Path) -> Path:
    git("checkout", "--quiet", "params.yaml", cwd=clone)
    return clone


@pytest.fixture
def refused(with_recipe: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """What `make repro` says of a recipe or of params.yaml, where it runs nothing."""
    monkeypatch.setattr(tools.repro, "reproduce", lambda *_: pytest.fail("a run"))
    return functools.partial(refused, tools.repro.main, with_recipe)


def test_make_alone_lists_the_commands() -> None:
    listed = run("make", cwd=TREE).stdout
    for command in ("install", "repro", "test", "test-all", "bench", "lint"):
        assert f"make {command} " in listed


def test_an_unknown_recipe_is_refused_with_the_known_ones(refused: Refused) -> None:
    assert refused("nope").startswith("RECIPE=nope: no such recipe: take one of default, emotion-distilbert, ")


def test_a_recipe_never_overwrites_uncommitted_edits(with_recipe: Path, refused: Refused) -> None:
    params = with_recipe / "params.yaml"
    edited = params.read_text(encoding="utf-8") + "# mine\n"
    params.write_text(edited, encoding="utf-8")
    assert refused("emotion-files").startswith("params.yaml has uncommitted edits")
    assert params.read_text(encoding="utf-8") == edited


def test_a_recipe_never_overwrites_edits_that_git_is_told_to_ignore(with_recipe: Path, refused: Refused) -> None:
    git("update-index", "--skip-worktree", "params.yaml", cwd=with_recipe)
    append(with_recipe / "params.yaml", "# mine\n")
    said = refused("emotion-files")
    git("update-index", "--no-skip-worktree", "params.yaml", cwd=with_recipe)
    assert said.startswith("params.yaml has uncommitted edits")


def test_a_recipe_waits_for_the_end_of_a_run(with_recipe: Path, refused: Refused) -> None:
    params, users = with_recipe / "params.yaml", with_recipe / ".dvc/tmp/rwlock"
    before = params.read_bytes()
    users.parent.mkdir(parents=True, exist_ok=True)
    users.write_text(json.dumps({"write": {"models": {"pid": os.getpid(), "cmd": "dvc repro"}}}), encoding="utf-8")
    said = refused("emotion-files")
    users.unlink()
    assert said.startswith("DVC is running stages here: wait until it has finished")
    assert params.read_bytes() == before


def test_a_recipe_follows_another(with_recipe: Path, refused: Refused) -> None:
    params = with_recipe / "params.yaml"
    params.write_bytes((with_recipe / "recipes/emotion-distilbert.yaml").read_bytes())
    said = refused("emotion-files")
    assert params.read_bytes() == (with_recipe / "recipes/emotion-files.yaml").read_bytes()
    assert "uncommitted" not in said


def test_a_misspelt_key_is_refused_before_any_stage_runs(with_recipe: Path, refused: Refused) -> None:
    params = with_recipe / "params.yaml"
    text = params.read_text(encoding="utf-8").replace("  epochs:", "  epoch: 3\n  epochs:")
    params.write_text(text, encoding="utf-8")
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "epoch: 3" in line)
    assert refused() == f"params.yaml, line {line}: train.epoch: unknown key, did you mean train.epochs?"


def test_every_param_is_listed_with_its_value(with_recipe: Path) -> None:
    listed = run("python", "-m", "tools.params", cwd=with_recipe).stdout
    assert "train.learning_rate" in listed
    assert "AdamW's learning rate at its peak" in " ".join(listed.split())

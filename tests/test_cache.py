"""What was run before is never run again: back and forth, across branches, clones, remotes and experiments."""

import os
import re
import shutil
from pathlib import Path

import pytest
from clones import PIPELINE_PARAMS, STAGES, commit, git, ran, run, set_params, stages_run
from dvc.repo import Repo
from edits import flip

from stages import hashing

OTHER = PIPELINE_PARAMS | {"train__seed": 3}


def experiment(clone: Path, *options: str) -> list[str]:
    """Run an experiment and give the stages that ran."""
    return ran(run("dvc", "exp", "run", *options, cwd=clone).stdout)


def with_another_seed(clone: Path) -> Path:
    """Run another seed on a branch of its own, and go back to the first branch."""
    git("checkout", "--quiet", "-b", "other", cwd=clone)
    set_params(clone, **OTHER)
    assert stages_run(clone) == ["train", "evaluate"]
    commit(clone, "another seed")
    git("checkout", "--quiet", "-", cwd=clone)
    return clone


def push(clone: Path, tmp_path: Path) -> None:
    """Push what the lock of the moment names, and the run-cache, to a remote."""
    run("dvc", "remote", "add", "--local", "--force", "--default", "store", str(tmp_path / "store"), cwd=clone)
    run("dvc", "push", "--run-cache", cwd=clone)


def pushed_and_cloned(clone: Path, tmp_path: Path) -> Path:
    """Push, and clone to another path that pulls."""
    push(clone, tmp_path)
    away = tmp_path / "far" / "away"
    git("clone", "--quiet", str(clone), str(away), cwd=tmp_path)
    run("dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"), cwd=away)
    run("dvc", "pull", "--run-cache", "--allow-missing", cwd=away)
    return away


@pytest.fixture(scope="module")
def pulled(pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that has pulled what another pushed."""
    folder = tmp_path_factory.mktemp("pulled")
    return pushed_and_cloned(shutil.copytree(pipeline, folder / "first", symlinks=True), folder)


@pytest.fixture
def away(pulled: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(pulled, tmp_path / "away", symlinks=True)


def test_a_clone_that_pulls_runs_no_stage(away: Path) -> None:
    assert stages_run(away) == []
    assert git("status", "--short", cwd=away) == ""


def test_make_repro_says_which_stages_were_pulled(away: Path) -> None:
    for gone in (".dvc/cache", "models", "data/provenance"):  # so that there is nothing here to be stored
        shutil.rmtree(away / gone)
    said = run("python", "-m", "tools.repro", "--pull", cwd=away).stdout
    assert f"pulled {', '.join(STAGES)}" in " ".join(said.split())


@pytest.fixture
def store(pulled: Path, away: Path, tmp_path: Path) -> Path:
    """The remote of ``away``, whose cache is empty: a copy that a test may change."""
    store = shutil.copytree(pulled.parents[1] / "store", tmp_path / "store")
    run("dvc", "remote", "modify", "--local", "store", "url", str(store), cwd=away)
    shutil.rmtree(away / ".dvc/cache")
    return store


def stored(store: Path, file: Path) -> Path:
    """Where a remote has a file; it is taken out of the clone."""
    digest = hashing.md5(file)
    file.unlink()
    return store / "files/md5" / digest[:2] / digest[2:]


def test_what_a_remote_has_lost_is_made_again(away: Path, store: Path) -> None:
    stored(store, away / "data/tokenized/train.parquet").unlink()
    said = run("python", "-m", "tools.repro", "--pull", cwd=away).stdout
    assert re.search(r"^ran +tokenize *$", said, re.MULTILINE)


def test_what_a_remote_has_damaged_is_not_taken_where_it_is_verified(away: Path, store: Path) -> None:
    file = away / "data/tokenized/train.parquet"
    damaged = stored(store, file)
    damaged.chmod(0o644)
    flip(damaged)
    run("dvc", "remote", "modify", "--local", "store", "verify", "true", cwd=away)
    assert run("dvc", "pull", cwd=away, check=False).returncode
    assert not file.exists()


@pytest.mark.long
def test_a_clone_that_pulls_the_run_cache_trains_nothing_that_was_trained_elsewhere(copy: Path, tmp_path: Path) -> None:
    with_another_seed(copy)
    for branch in ("other", "-"):
        git("checkout", "--quiet", branch, cwd=copy)
        run("dvc", "checkout", cwd=copy)
        push(copy, tmp_path)
    clone = pushed_and_cloned(copy, tmp_path)
    set_params(clone, **OTHER)
    said = run("dvc", "repro", "--pull", cwd=clone).stdout
    assert "Stage 'train' is cached" in said
    # metrics.json lives in git and not in the cache, so a remote cannot give it back: evaluate, of seconds, runs again
    assert ran(said) == ["evaluate"]


@pytest.mark.long
def test_after_dvc_gc_no_branch_is_trained_again(copy: Path) -> None:
    with_another_seed(copy)
    run("dvc", "checkout", cwd=copy)
    run("dvc", "gc", "--all-branches", "--force", cwd=copy)
    git("checkout", "--quiet", "other", cwd=copy)
    said = run("dvc", "repro", cwd=copy).stdout
    assert "Stage 'train' is cached" in said
    assert ran(said) == ["evaluate"]  # as above: metrics.json is in git and not in the cache


def test_git_sees_an_edit_of_the_params_that_follows_a_checkout_at_once(copy: Path) -> None:
    # Git holds an edit of equal size in the second of its own checkout to be none, but for a mark that it leaves in its
    # index. Were DVC to write that index (core.autostage), params.yaml would stay as it is under `git reset --hard`.
    params = copy / "params.yaml"
    edited = params.read_text(encoding="utf-8").replace("max_leaked_rows: null", "max_leaked_rows: 9999")
    os.utime(params, (1e9, 1e9))
    git("config", "core.trustctime", "false", cwd=copy)
    git("update-index", "--refresh", cwd=copy)
    os.utime(copy / ".git/index", (1e9, 1e9))
    params.write_text(edited, encoding="utf-8")
    os.utime(params, (1e9, 1e9))
    assert stages_run(copy) == ["audit"]
    assert "params.yaml" in git("diff", "--name-only", cwd=copy).splitlines()


def test_a_cleared_dvc_tmp_runs_no_stage(copy: Path) -> None:
    shutil.rmtree(copy / ".dvc/tmp")
    assert stages_run(copy) == []


def test_outputs_taken_away_come_back_without_a_run(copy: Path) -> None:
    for folder in ("data/raw", "data/tokenized", "data/predictions", "models/classifier", "models/pretrained"):
        shutil.rmtree(copy / folder)
    assert stages_run(copy) == []
    assert (copy / "models/classifier/model.safetensors").exists()


def test_a_checkpoint_in_models_own_is_kept_by_dvc_and_git(inside: Path, tiny_random_checkpoint: Path) -> None:
    shutil.copytree(tiny_random_checkpoint, inside / "models/own/tiny")
    run("dvc", "add", "models/own/tiny", cwd=inside)
    git("add", "models/own/tiny.dvc", cwd=inside)
    assert git("status", "--short", cwd=inside) == "A  models/own/tiny.dvc\n"
    with Repo() as repo:
        assert "models/own/tiny.dvc" in [stage.addressing for stage in repo.index.stages]


@pytest.mark.long
def test_an_experiment_hits_the_cache_in_the_workspace_and_in_a_temporary_folder(copy: Path) -> None:
    assert experiment(copy, "--name", "first", "-S", "train.seed=3") == ["train", "evaluate"]
    git("reset", "--quiet", "--hard", cwd=copy)
    assert experiment(copy, "--name", "again", "--temp", "-S", "train.seed=3") == []


def test_a_temporary_folder_of_a_fresh_clone_runs_what_changed_only(away: Path) -> None:
    assert experiment(away, "--name", "apart", "--temp", "-S", "audit.max_leaked_rows=9999") == ["audit"]
    assert git("status", "--short", cwd=away) == ""


@pytest.mark.long
def test_queued_experiments_of_a_fresh_clone_run_what_changed_only(away: Path) -> None:
    for seed in (3, 4):
        run("dvc", "exp", "run", "--queue", "--name", f"seed{seed}", "-S", f"train.seed={seed}", cwd=away)
    run("dvc", "queue", "start", "--jobs", "1", cwd=away)
    for seed in (3, 4):
        log = run("dvc", "queue", "logs", "--follow", f"seed{seed}", cwd=away).stdout
        assert ran(log) == ["train", "evaluate"]
    run("dvc", "queue", "stop", cwd=away)
    assert experiment(away, "--name", "again", "--temp", "-S", "train.seed=3") == []
    run("dvc", "exp", "apply", "seed4", cwd=away)
    assert stages_run(away) == []

"""What a stage was made from is what it read: an edit while it runs, or a merge of two runs, is found out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import STAGES, git, run, set_params
from edits import append
from own_data import Fail, Workspace, own_dataset

from stages import download, provenance, tokenize


def lock_of(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"])


@pytest.fixture
def midway(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have something done when a function is called for the first time."""

    def plan(owner: Any, name: str, action: Callable[[], object]) -> None:
        whole = getattr(owner, name)

        def instead(*arguments: Any) -> Any:
            monkeypatch.setattr(owner, name, whole)
            action()
            return whole(*arguments)

        monkeypatch.setattr(owner, name, instead)

    return plan


def test_a_param_edited_while_its_stage_runs_is_an_error(
    workspace: Workspace, fail: Fail, midway: Callable[..., None]
) -> None:
    own_dataset(workspace, {})
    download.main()
    text = Path("params.yaml").read_text(encoding="utf-8")
    edited = text.replace("max_length: 128", "max_length: 64")
    assert edited != text
    midway(tokenize, "tokenize_texts", lambda: Path("params.yaml").write_text(edited, encoding="utf-8"))
    assert fail(tokenize.main) == "tokenize.max_length: edited while tokenize ran, nothing is written: run again"


def test_a_row_edited_while_download_runs_is_an_error(
    workspace: Workspace, fail: Fail, midway: Callable[..., None]
) -> None:
    own_dataset(workspace, {})
    midway(download, "download_checkpoint", lambda: append(Path("own/train.csv"), "one more,a\n"))
    assert fail(download.main) == "own: edited while download ran, nothing is written: run again"


def test_an_edit_of_what_a_stage_does_not_read_stops_nothing(workspace: Workspace, midway: Callable[..., None]) -> None:
    own_dataset(workspace, {})
    download.main()
    midway(tokenize, "tokenize_texts", lambda: append(Path("params.yaml"), "# a comment\n"))
    tokenize.main()
    assert Path("data/provenance/tokenize.json").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_leaves_its_inputs_in_the_terms_of_dvc_lock(pipeline: Path, stage: str) -> None:
    locked = lock_of(pipeline)[stage]
    stamp = yaml.safe_load((pipeline / f"data/provenance/{stage}.json").read_text(encoding="utf-8"))
    assert stamp == {
        "stage": stage,
        "deps": {dep["path"]: dep["md5"] for dep in locked["deps"]},
        "params": locked.get("params", {}).get("params.yaml", {}),
    }


def test_a_folder_is_hashed_as_dvc_does_without_what_is_git_s(tmp_path: Path) -> None:
    (tmp_path / "data/.git").mkdir(parents=True)
    (tmp_path / "data/train.csv").write_text("text,label\n", encoding="utf-8")
    before = provenance.md5(tmp_path / "data")
    (tmp_path / "data/.git/HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    assert provenance.md5(tmp_path / "data") == before


def test_two_runs_conflict_in_a_merge_and_forced_together_run_again(copy: Path) -> None:
    """One branch edits the code of tokenize to the same result, the other a param: together they were never run."""
    params = yaml.safe_load((copy / "params.yaml").read_text(encoding="utf-8"))
    git("branch", "other", cwd=copy)
    append(copy / "stages/tokenize.py", "# the same result\n")
    run("dvc", "repro", "tokenize", cwd=copy)
    git("commit", "--quiet", "--all", "--message", "code", cwd=copy)
    git("checkout", "--quiet", "other", cwd=copy)
    run("dvc", "checkout", "--quiet", cwd=copy)
    changed = {f"{section}__{key}": value for section, keys in params.items() for key, value in keys.items()}
    set_params(copy, **changed | {"tokenize__max_length": 64})
    run("dvc", "repro", "tokenize", cwd=copy)
    git("commit", "--quiet", "--all", "--message", "param", cwd=copy)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    merged = run("git", *identity, "merge", "--no-edit", "-", cwd=copy, check=False)
    assert "Merge conflict in dvc.lock" in merged.stdout
    git("merge", "--abort", cwd=copy)
    git("merge", "--quiet", "--no-edit", "-X", "theirs", "-", cwd=copy)
    run("dvc", "checkout", "--quiet", cwd=copy)
    assert run("dvc", "status", "tokenize", cwd=copy).stdout == "Data and pipelines are up to date.\n"

    said = run("python", "-m", "tools.verify", cwd=copy, check=False).stderr
    assert "error: dvc.lock: tokenize: its outputs were made from other inputs" in said
    assert "run=true\n" in run("python", "-m", "tools.gate", "main", cwd=copy).stdout
    assert "ran " in run("python", "-m", "tools.repro", cwd=copy).stdout
    assert run("python", "-m", "tools.verify", cwd=copy).stdout.startswith("verified")

"""What a stage was made from is what it read: an edit while it runs, or a merge of two runs, is found out."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from clones import PIPELINE_PARAMS, STAGES, commit, git, run, set_params
from conftest import Verify
from dvc.utils.serialize import load_yaml
from edits import append, edit_json, substitute
from own_data import Fail, Workspace, own_checkpoint, own_dataset

from stages import download, hashing, paths, provenance, tokenize
from stages.errors import InputError

CHANGED = PIPELINE_PARAMS | {"audit__max_leaked_rows": 9999}  # which runs audit alone, to the same result


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
    midway(tokenize, "tokenize_texts", lambda: substitute(Path("params.yaml"), "max_length: 128", "max_length: 64"))
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
def test_each_stage_leaves_its_inputs_and_outputs_in_the_terms_of_dvc_lock(pipeline: Path, stage: str) -> None:
    locked = lock_of(pipeline)[stage]
    stamp = yaml.safe_load((pipeline / f"data/provenance/{stage}.json").read_text(encoding="utf-8"))
    assert stamp == {
        "stage": stage,
        "deps": {dep["path"]: dep["md5"] for dep in locked["deps"]},
        "params": locked.get("params", {}).get("params.yaml", {}),
        "outs": {out["path"]: out["md5"] for out in locked["outs"] if out["path"] != f"data/provenance/{stage}.json"},
    }


def test_folders_are_hashed_as_dvc_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, outside = tmp_path / "clone", tmp_path / "outside"
    for name in ("train.csv", "train.csv.bak", "a/b/é", "a/b-c", "a/.hg", ".git/HEAD", "linked"):
        for folder in (clone / "own", outside):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(tmp_path) if name == "linked" else (folder / name).write_text(name, "utf-8")
    monkeypatch.chdir(clone)
    git("init", "--quiet", cwd=clone)
    run("dvc", "init", "--quiet", cwd=clone)
    Path(".dvcignore").write_text("*.bak\n", encoding="utf-8")
    stage = {"cmd": "true", "deps": ["own", str(outside)]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"stage": stage}}), encoding="utf-8")
    run("dvc", "repro", "--quiet", cwd=clone)
    deps = {dep["path"]: dep for dep in lock_of(clone)["stage"]["deps"]}
    assert deps["own"]["nfiles"] < deps[str(outside)]["nfiles"]
    for path, dep in deps.items():
        assert hashing.md5(Path(path)) == dep["md5"]


def test_the_page_in_the_folder_for_checkpoints_is_no_input(inside: Path) -> None:
    before = hashing.md5(Path("models/own"))
    append(inside / "models/own/README.md", "more\n")
    assert hashing.md5(Path("models/own")) == before


def test_a_file_of_rows_that_dvc_does_not_see_is_an_error(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {})
    Path(".dvcignore").write_text("own/test.*\n", encoding="utf-8")
    assert fail(download.main).startswith("own/test.csv: hidden from DVC, by a pattern in .dvcignore")


def test_a_dataset_that_is_a_dvc_repository_within_this_one_is_an_error(workspace: Workspace, fail: Fail) -> None:
    (own_dataset(workspace, {}) / "own/.dvc").mkdir()
    assert fail(download.main).startswith("own/test.csv: hidden from DVC, ")


def test_a_file_of_the_checkpoint_that_dvc_does_not_see_is_an_error(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path
) -> None:
    own_checkpoint(workspace, tiny_random_checkpoint)
    Path(".dvcignore").write_text("config.json\n", encoding="utf-8")
    assert fail(download.main).startswith("own-model/config.json: hidden from DVC, ")


def test_two_runs_conflict_in_a_merge_and_forced_together_run_again(copy: Path, verify: Verify) -> None:
    """One branch edits the code of audit to the same result, the other a param: together they were never run."""
    git("branch", "other", cwd=copy)
    append(copy / "stages/audit.py", "# the same result\n")
    run("dvc", "repro", "audit", cwd=copy)
    commit(copy, "code")
    git("checkout", "--quiet", "other", cwd=copy)
    run("dvc", "checkout", "--quiet", cwd=copy)
    set_params(copy, **CHANGED)
    run("dvc", "repro", "audit", cwd=copy)
    commit(copy, "param")
    merged = git("merge", "--no-edit", "-", cwd=copy, check=False)
    assert "Merge conflict in dvc.lock" in merged
    git("merge", "--abort", cwd=copy)
    git("merge", "--quiet", "--no-edit", "-X", "theirs", "-", cwd=copy)
    run("dvc", "checkout", "--quiet", cwd=copy)
    assert run("dvc", "status", "audit", cwd=copy).stdout == "Data and pipelines are up to date.\n"

    assert "error: dvc.lock: audit: its inputs and outputs are not of one run" in verify(copy)
    assert "run=true\n" in run("python", "-m", "tools.gate", "main", cwd=copy).stdout
    assert ("audit", "ran") in outcomes(run("python", "-m", "tools.repro", cwd=copy).stdout)
    assert verify(copy) == ""


def test_a_run_that_dvc_commit_made_up_is_run_again_and_forgotten(copy: Path, verify: Verify) -> None:
    set_params(copy, **CHANGED)
    run("dvc", "commit", "--force", cwd=copy)
    assert "DVC's run cache has outputs" in verify(copy, "--cache")

    order = list(load_yaml(copy / "dvc.lock")["stages"])
    said = run("python", "-m", "tools.repro", cwd=copy).stdout
    assert list(load_yaml(copy / "dvc.lock")["stages"]) == order
    assert "dvc.lock: audit: its inputs and outputs are not of one run, as after a merge: that entry is removed" in said
    assert ("audit", "ran") in outcomes(said)
    assert verify(copy, "--cache") == ""
    assert audited_with(copy) == CHANGED["audit__max_leaked_rows"]


def test_a_made_up_run_that_the_run_cache_gives_later_is_run_again_at_once(copy: Path, verify: Verify) -> None:
    set_params(copy, **CHANGED)
    run("dvc", "commit", "--force", cwd=copy)
    git("checkout", "--quiet", "dvc.lock", "params.yaml", cwd=copy)
    assert verify(copy) == ""

    set_params(copy, **CHANGED)
    said = run("python", "-m", "tools.repro", cwd=copy).stdout
    assert "Stage 'audit' is cached" in said
    assert ("audit", "ran") in outcomes(said)
    assert audited_with(copy) == CHANGED["audit__max_leaked_rows"]
    assert verify(copy, "--cache") == ""


def test_an_edited_output_that_dvc_commit_took_is_made_again_and_forgotten(copy: Path, verify: Verify) -> None:
    edit_json(copy / paths.AUDIT, splits={})
    run("dvc", "commit", "--force", "audit", cwd=copy)
    assert "up to date" in run("dvc", "status", "audit", cwd=copy).stdout
    said = "error: dvc.lock: audit: its inputs and outputs are not of one run, as after a merge: run `make repro`\n"
    assert verify(copy) == said
    run("python", "-m", "tools.repro", cwd=copy)
    assert verify(copy, "--cache") == ""
    assert json.loads((copy / paths.AUDIT).read_text(encoding="utf-8"))["splits"] != {}


def test_a_number_written_otherwise_is_the_same_run(copy: Path, verify: Verify) -> None:
    substitute(copy / "params.yaml", "max_grad_norm: 1.0\n", "max_grad_norm: 1\n")
    assert verify(copy) == ""
    run("dvc", "commit", "--force", "train", cwd=copy)
    assert lock_of(copy)["train"]["params"]["params.yaml"]["train.max_grad_norm"].__class__ is int
    assert verify(copy) == ""


@pytest.mark.parametrize("prefix", [False, True], ids=["beside it", "under a prefix"])
def test_bytecode_of_a_module_from_before_its_edit_is_not_run(copy: Path, tmp_path: Path, *, prefix: bool) -> None:
    module = copy / "stages/paths.py"
    kept = {"PYTHONPYCACHEPREFIX": str(tmp_path / "prefix")} if prefix else {}
    run("python", "-m", "compileall", "-q", "stages", cwd=copy, env=kept)
    before = module.stat()
    substitute(module, 'PRETRAINED = "models/pretrained/model"', 'PRETRAINED = "models/pretrained/MODEL"')
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))  # as some tools leave it
    said = run("python", "-c", "from stages import paths; print(paths.PRETRAINED)", cwd=copy, env=kept).stdout
    assert said == "models/pretrained/MODEL\n"
    assert not [file for file in tmp_path.rglob("*.pyc") if "stages" in file.parts]


def audited_with(clone: Path) -> Any:
    """The limit that the audit says it was made with."""
    made = yaml.safe_load((clone / "data/provenance/audit.json").read_text(encoding="utf-8"))
    return made["params"]["audit.max_leaked_rows"]


def outcomes(said: str) -> list[tuple[str, str]]:
    """What became of each stage, in the last lines of `make repro`."""
    lines = (line for line in said.splitlines() if line.startswith(("ran ", "from cache ", "unchanged ")))
    return [(stage.strip(","), line.split("  ")[0]) for line in lines for stage in line.split()[1:]]


def test_an_input_that_comes_up_while_a_stage_runs_is_an_error(workspace: Workspace) -> None:
    workspace()
    stamp = provenance.inputs("audit")
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/train.parquet").touch()
    with pytest.raises(InputError, match=r"^data/raw/train\.parquet: edited while audit ran, nothing is written"):
        provenance.check_unchanged(stamp)


def test_a_path_that_is_absolute_and_in_the_clone_is_written_as_dvc_writes_it(workspace: Workspace) -> None:
    own_dataset(workspace, {}, dataset__path=str(Path.cwd() / "own"))
    assert "own" in provenance.inputs("download")["deps"]


def test_an_input_that_goes_while_a_stage_runs_is_an_error(workspace: Workspace) -> None:
    workspace()
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/train.parquet").touch()
    stamp = provenance.inputs("audit")
    Path("data/raw/train.parquet").unlink()
    with pytest.raises(InputError, match=r"^data/raw/train\.parquet: edited while audit ran, nothing is written"):
        provenance.check_unchanged(stamp)


def test_inputs_that_dvc_yaml_lists_in_another_order_are_the_same() -> None:
    deps = {"data/raw/test.parquet": "1", "data/raw/train.parquet": "2"}
    one, other = ({"stage": "audit", "deps": dict(order)} for order in (deps.items(), reversed(deps.items())))
    assert provenance.text(one) == provenance.text(other)

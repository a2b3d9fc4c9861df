"""`make repro` stores what a stage has finished where DVC, killed or out of room, did not."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from clones import STAGES, change_params, run, stages_run
from conftest import Call, Verify
from dvc.utils.serialize import load_yaml, modify_yaml
from edits import edit_json, in_cache, used_by

from stages import paths
from tools import repair


def test_a_stage_is_unstored_where_its_outputs_are_of_its_inputs_and_not_in_the_lock(inside: Path) -> None:
    assert repair.unstored() == []
    with modify_yaml("dvc.lock") as lock:
        del lock["stages"]["train"]
    assert repair.unstored() == ["train"]
    Path("dvc.lock").write_bytes(b"")  # as a full disk leaves it
    assert "train" in repair.unstored()
    change_params(inside, train__seed=5)
    assert "train" not in repair.unstored()


@pytest.mark.usefixtures("inside")
def test_a_stage_with_only_some_of_its_outputs_is_not_unstored() -> None:
    with modify_yaml("dvc.lock") as lock:
        del lock["stages"]["evaluate"]
    assert repair.unstored() == ["evaluate"]
    Path("data/predictions/test.parquet").unlink()
    assert repair.unstored() == []
    Path(paths.provenance("evaluate")).unlink()
    assert repair.unstored() == []


@pytest.mark.usefixtures("inside")
def test_every_stage_is_unstored_where_there_is_no_lock() -> None:
    Path("dvc.lock").unlink()
    assert repair.unstored() == list(STAGES)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("content", [b"<<<<<<< HEAD\n", None], ids=["with conflicts", "absent"])
def test_nothing_is_unstored_where_the_params_cannot_be_read(content: bytes | None) -> None:
    Path("dvc.lock").unlink()
    Path("params.yaml").write_bytes(content) if content else Path("params.yaml").unlink()
    assert repair.unstored() == []


def test_outputs_of_which_the_cache_lacks_a_file_are_stored_anew_and_nothing_runs(
    inside: Path, call: Call, verify: Verify
) -> None:
    in_cache(inside, "data/predictions/hardest.csv").unlink()
    assert repair.unstored() == ["evaluate"]
    shutil.rmtree(inside / ".dvc/cache")
    assert repair.unstored() == list(STAGES)
    code, said, _ = call(repair.main, inside)
    assert (code, said.count(" had finished, and DVC did not have it: stored now\n")) == (0, 6)
    assert verify(inside, "--cache") == ""
    assert stages_run(inside) == []
    shutil.rmtree(inside / ".dvc/cache")
    change_params(inside, train__seed=5)
    assert repair.unstored() == [stage for stage in STAGES if stage != "train"]  # whose inputs are others now


@pytest.mark.usefixtures("inside")
def test_a_stage_whose_provenance_is_no_output_is_not_unstored() -> None:
    file = paths.provenance("baselines")
    with modify_yaml("dvc.yaml") as definition:
        definition["stages"]["baselines"]["outs"].remove(file)
    Path(file).unlink()
    assert repair.unstored() == []


def test_a_stage_is_not_unstored_where_its_inputs_are_those_of_another_branch(inside: Path) -> None:
    change_params(inside, tokenize__max_length=64)
    with modify_yaml("dvc.lock") as lock:  # that of a branch with another tokenize.max_length, just checked out
        tokenized = {out["path"]: out for out in lock["stages"]["tokenize"]["outs"]}
        tokenized["data/tokenized/train.parquet"]["md5"] = "0" * 32
        trained = {out["path"]: out for out in lock["stages"]["train"]["outs"]}
        trained[paths.provenance("train")]["md5"] = "0" * 32
    assert repair.unstored() == []


@pytest.mark.usefixtures("inside")
def test_a_stage_is_unstored_where_the_one_before_it_is() -> None:
    with modify_yaml("dvc.lock") as lock:
        for stage in ("tokenize", "train"):
            for out in lock["stages"][stage]["outs"]:
                out["md5"] = "0" * 32
    assert repair.unstored() == ["tokenize", "train"]


def test_what_dvc_had_not_stored_is_stored_as_the_stage_left_it(copy: Path, call: Call) -> None:
    lock = load_yaml(copy / "dvc.lock")
    with modify_yaml(copy / "dvc.lock") as cut_short:
        del cut_short["stages"]["train"]
    assert call(repair.main, copy) == (0, "train had finished, and DVC did not have it: stored now\n", "")
    assert load_yaml(copy / "dvc.lock") == lock
    assert call(repair.main, copy) == (0, "nothing to repair\n", "")


def test_a_lock_file_is_repaired_before_anything_is_stored_in_it(copy: Path, call: Call) -> None:
    lock = (copy / "dvc.lock").read_bytes()
    (copy / "dvc.lock").write_bytes(lock[:4000].rpartition(b"5:")[0])
    code, said, _ = call(repair.main, copy)
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("dvc.lock was cut short ")
    assert (copy / "dvc.lock").read_bytes() == lock


def test_nothing_is_stored_beside_a_dvc_that_runs_stages(inside: Path) -> None:
    with modify_yaml("dvc.lock") as lock:
        del lock["stages"]["train"]
    used_by(inside, os.getpid())
    assert repair.store_finished() == []


@pytest.mark.usefixtures("inside")
def test_other_dvc_commands_are_waited_for_before_a_stage_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(repair, "output", lambda *command, **_: ran.append(command))
    monkeypatch.setattr(repair, "unstored", lambda: ["train"])
    repair.store_finished()
    assert ran == [("dvc", "--wait-for-lock", "commit", "--force", "train")]


def test_nothing_is_stored_of_outputs_that_were_edited(copy: Path, call: Call) -> None:
    with modify_yaml(copy / "dvc.lock") as lock:
        del lock["stages"]["train"]
    edit_json(copy / "models/classifier/config.json", id2label={})
    assert call(repair.main, copy) == (0, "nothing to repair\n", "")


@pytest.mark.long
def test_a_finished_stage_that_dvc_could_not_store_is_named_and_stored_by_the_next_run(copy: Path) -> None:
    change_params(copy, train__seed=5)
    runs = copy / ".dvc/cache/runs"
    shutil.rmtree(runs)
    runs.mkdir()
    for number in range(256):
        (runs / f"{number:02x}").touch()  # in the place of a folder, so that no run can be stored
    failed = run("python", "-m", "tools.repro", cwd=copy, check=False)
    assert failed.returncode == 1
    assert "\ntrain has finished, but DVC did not store it: " in failed.stderr
    shutil.rmtree(runs)
    again = run("python", "-m", "tools.repro", cwd=copy).stdout
    assert again.startswith("train had finished, and DVC did not have it: stored now\n")
    assert "Running stage 'train'" not in again
    assert "Running stage 'evaluate'" in again


def without_root_s_rights(*command: str) -> tuple[str, ...]:
    """The command, held by permissions even where root runs it."""
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *command) if os.geteuid() == 0 else command


@pytest.mark.parametrize("folder", [".dvc/cache/files/md5", ".dvc/cache/files/md5/??", ".dvc/cache/runs", ".dvc"])
def test_nothing_runs_where_dvc_could_not_store_it(copy: Path, folder: str) -> None:
    unwritable = min(copy.glob(folder))
    if folder == ".dvc":  # where the cache is still to be made
        shutil.rmtree(copy / ".dvc/cache")
    unwritable.chmod(0o500)
    repro = without_root_s_rights(sys.executable, "-m", "tools.repro")
    if folder == ".dvc/cache/runs":
        assert "Stage 'train' didn't change, skipping" in run(*repro, cwd=copy).stdout  # there is nothing to store
    change_params(copy, train__seed=5)
    done = run(*repro, cwd=copy, check=False)
    said = f"error: {unwritable}: no permission to write to it, so that DVC could not store what is to run: change that"
    assert (done.returncode, done.stdout, done.stderr.partition(", or take")[0]) == (1, "", said)

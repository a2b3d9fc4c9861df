"""`python -m tools.verify` on the data and on DVC's cache: what is missing, damaged or of a stage of one's own."""

import json
import shutil
from pathlib import Path

import pytest
from clones import change_params, git, keep_data_in_dvc, run
from conftest import Verify
from dvc.utils.serialize import dump_yaml, modify_yaml
from edits import append, cached, flip, in_cache

from stages import hashing
from tools import verify as tool
from tools.changes import Change


def test_a_flipped_byte_in_the_cache_is_found_by_rehashing(copy: Path, verify: Verify) -> None:
    flip(in_cache(copy, "data/tokenized/train.parquet"))
    assert verify(copy) == ""
    said = verify(copy, "--cache")
    assert said.startswith("error: data/tokenized/train.parquet is damaged in the cache: delete ")
    assert said.count("\n") == 1


def test_data_in_dvc_that_are_damaged_in_the_cache_are_named(copy: Path, verify: Verify) -> None:
    keep_data_in_dvc(copy, "/inner")
    (copy / "unread").write_text("of no stage\n", encoding="utf-8")
    run("dvc", "add", "unread", cwd=copy)
    run("dvc", "repro", cwd=copy)
    assert verify(copy, "--cache") == ""
    for file in ("unread", "data/small/test.csv"):
        flip(cached(copy, hashing.md5(copy / file)))
    assert verify(copy) == ""
    assert verify(copy, "--cache").startswith("error: data/kept/inner/test.csv is damaged in the cache: delete ")


def test_data_that_their_dvc_file_lists_file_by_file_need_no_list_in_the_cache(copy: Path, verify: Verify) -> None:
    keep_data_in_dvc(copy)
    run("dvc", "repro", cwd=copy)
    with modify_yaml(copy / "data/kept.dvc") as tracked:  # as `dvc push` leaves it for a remote with version_aware
        list_of_files = cached(copy, tracked["outs"][0]["md5"])
        tracked["outs"] = [{"path": "kept", "hash": "md5", "files": json.loads(list_of_files.read_bytes())}]
    list_of_files.unlink()
    assert verify(copy, "--cache") == ""


def test_an_output_that_dvc_lock_lists_file_by_file_is_rehashed(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.lock") as lock:  # as `dvc push` leaves it for a remote with version_aware
        [classifier] = [out for out in lock["stages"]["train"]["outs"] if out["path"] == "models/classifier"]
        classifier["files"] = json.loads(cached(copy, classifier.pop("md5")).read_bytes())
    assert verify(copy, "--cache") == ""
    damaged = classifier["files"][0]
    flip(cached(copy, damaged["md5"]))
    assert verify(copy, "--cache").startswith(
        f"error: models/classifier/{damaged['relpath']} is damaged in the cache: "
    )


@pytest.mark.parametrize("path", ["data/kept", "data/kept/inner"])
def test_data_in_dvc_that_changed_unseen_or_are_gone_are_brought_back_as_is_said(
    copy: Path, verify: Verify, path: str
) -> None:
    shutil.copytree(copy / "data/small", copy / path)
    run("dvc", "add", "data/kept", cwd=copy)
    change_params(copy, dataset__path=path)
    run("dvc", "repro", cwd=copy)
    flip(copy / path / "test.csv", silently=True)
    assert verify(copy).endswith(f"; else delete it and run `dvc checkout {path}`\n")
    for command in ("checkout", path), ("pull",):
        shutil.rmtree(copy / path)
        assert verify(copy) == f"error: {path} is missing: run `dvc pull`\n"
        run("dvc", *command, cwd=copy)
        assert verify(copy) == ""


def test_a_clone_without_data_is_told_to_pull(pipeline: Path, tmp_path: Path, verify: Verify) -> None:
    git("clone", "--quiet", str(pipeline), str(tmp_path / "bare"), cwd=tmp_path)
    said = verify(tmp_path / "bare")
    assert said.count("error: models/classifier is missing: run `dvc pull` or `dvc repro`") == 1


def test_what_is_missing_and_no_stage_makes_is_to_be_put_back(copy: Path, verify: Verify) -> None:
    (copy / "stages/progress.py").unlink()
    advice = "no stage makes it: put it back, by `git checkout` if git has it"
    assert f"error: stages/progress.py is missing: {advice}\n" in verify(copy)
    shutil.rmtree(copy / "models/classifier")
    assert "models/classifier is missing: run `dvc pull` or `dvc repro`\n" in verify(copy)


def test_data_that_are_missing_are_named_with_what_brings_them(copy: Path, verify: Verify) -> None:
    shutil.rmtree(copy / "data/small")
    missing = "error: data/small is missing:"
    assert verify(copy) == f"{missing} no stage makes it: put it back, by `git checkout` if git has it\n"
    (copy / "data/small.dvc").touch()  # as `dvc add` makes it
    assert verify(copy) == f"{missing} run `dvc pull`\n"


def test_data_that_a_stage_of_ones_own_makes_may_be_missing_until_it_has_run(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["prepare"] = {"cmd": "cp -r data/small data/made", "outs": ["data/made"]}
    change_params(copy, dataset__path="data/made")
    run("python", "-m", "tools.repro", cwd=copy)
    shutil.rmtree(copy / "data/made")
    assert "error: data/made is missing: run `dvc repro`\n" in verify(copy)


def test_a_stage_of_ones_own_that_always_runs_is_no_mismatch(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        outs = [{"data/made": {"cache": False}}]
        stage = {"cmd": "rm -rf data/made && cp -r data/small data/made", "outs": outs, "always_changed": True}
        definition["stages"]["prepare"] = stage
    change_params(copy, dataset__path="data/made")
    run("python", "-m", "tools.repro", cwd=copy)
    assert verify(copy, "--cache") == ""


def test_what_a_stage_of_ones_own_that_has_never_run_makes_is_sought_in_no_cache(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["prepare"] = {"cmd": "make data", "outs": ["data/small"]}
    said = verify(copy, "--cache")
    assert said.startswith("error: prepare: ")
    assert "cache" not in said


def test_a_stage_of_ones_own_that_makes_the_data_is_held_against_what_it_reads(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["prepare"] = {
            "cmd": "rm -rf data/made && cp -r data/small data/made", "deps": ["data/small"], "outs": ["data/made"]
        }  # fmt: skip
        definition["stages"]["after"] = {"cmd": "cp metrics/metrics.json .", "deps": ["metrics/metrics.json"]}
    change_params(copy, dataset__path="data/made")
    run("python", "-m", "tools.repro", cwd=copy)
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["after"]["cmd"] = "true"
    assert verify(copy) == ""
    append(copy / "data/small/train.csv", "one more row,joy\n")
    assert verify(copy) == "error: prepare: changed deps: data/small: modified: run `dvc repro`\n"


def test_a_stage_of_another_dvc_yaml_that_makes_the_data_is_held_against_what_it_reads(
    copy: Path, verify: Verify
) -> None:
    (copy / "prepare").mkdir()
    stage = {"cmd": "rm -rf made && cp -r ../data/small made", "deps": ["../data/small"], "outs": ["made"]}
    dump_yaml(copy / "prepare/dvc.yaml", {"stages": {"prepare": stage}})
    run("dvc", "repro", "prepare/dvc.yaml", cwd=copy)
    change_params(copy, dataset__path="prepare/made")
    run("dvc", "repro", cwd=copy)
    assert verify(copy) == ""
    append(copy / "data/small/train.csv", "one more row,joy\n")
    said = "error: prepare/dvc.yaml:prepare: changed deps: data/small: modified: run `dvc repro`\n"
    assert verify(copy) == said


def test_data_other_than_their_dvc_file_says_are_named(copy: Path, verify: Verify) -> None:
    keep_data_in_dvc(copy)
    run("dvc", "repro", cwd=copy)
    assert verify(copy) == ""
    advice = "if the edit is yours, run `dvc repro` (first `touch` what you edited, if DVC sees no change)"
    advice += "; else delete it and run `dvc checkout data/kept`"
    append(copy / "data/kept/train.csv", "one more row,joy\n")
    assert verify(copy) == f"error: data/kept does not match dvc.lock (download): {advice}\n"
    run("dvc", "checkout", "--force", "data/kept", cwd=copy)
    assert verify(copy) == ""
    before = shutil.copytree(copy / "data/kept", copy / "before")
    append(copy / "data/kept/train.csv", "one more row,joy\n")
    run("dvc", "add", "data/kept", cwd=copy)  # as a pull brings it
    shutil.rmtree(copy / "data/kept")
    before.rename(copy / "data/kept")
    advice = "run `dvc checkout data/kept`, or, if this is what you want, `dvc add data/kept`"
    assert verify(copy) == f"error: data/kept.dvc: changed outs: data/kept: modified: {advice}\n"


@pytest.mark.parametrize("path", ["{clone}/data/small", "./data//small/"])
def test_data_in_the_clone_by_a_path_of_another_spelling_is_verified(copy: Path, verify: Verify, path: str) -> None:
    change_params(copy, dataset__path=path.format(clone=copy))
    run("dvc", "repro", cwd=copy)
    assert verify(copy) == ""


def test_what_git_has_need_not_be_in_the_cache(copy: Path, verify: Verify) -> None:
    in_cache(copy, "metrics/metrics.json").unlink()
    assert verify(copy, "--cache") == ""
    in_cache(copy, "metrics/baselines.json").unlink()
    assert verify(copy, "--cache").startswith("error: metrics/baselines.json is not in the cache: ")
    with modify_yaml(copy / "dvc.yaml") as definition:
        outs = definition["stages"]["baselines"]["outs"]
        outs[outs.index("metrics/baselines.json")] = {"metrics/baselines.json": {"cache": False}}
    assert verify(copy, "--cache") == ""


def test_data_at_another_path_are_to_be_run_without_force(copy: Path, verify: Verify) -> None:
    shutil.copytree(copy / "data/small", copy / "data/more")
    change_params(copy, dataset__path="data/more")
    said = verify(copy)
    assert "data/more is in dvc.yaml's deps only: run `dvc repro`" in said
    assert " -f " not in said


def test_what_is_damaged_in_the_cache_is_named_beside_every_other_mismatch(copy: Path, verify: Verify) -> None:
    flip(in_cache(copy, "metrics/data.json"))
    change_params(copy, train__seed=5)
    said = verify(copy, "--cache")
    assert [line.split(":")[1] for line in said.splitlines()] == [
        " params.yaml",
        " metrics/data.json is damaged in the cache",
    ]


def test_a_path_with_a_space_is_quoted_in_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my own", "my own.dvc"):
        Path(name).touch()
    said = list(tool._lock_against_files({"download": {"deps": [{"path": "my own", "md5": "0" * 32}]}}))  # noqa: SLF001
    said.append(tool._advice(Change("my own.dvc", "changed outs", "my own", "modified")))  # noqa: SLF001
    assert ["`dvc checkout 'my own'`" in line for line in said] == [True, True]
    assert said[1].endswith("`dvc add 'my own'`")

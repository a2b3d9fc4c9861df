"""What `tools.compare` refuses as a side: a revision whose results are not those of its params, code and data."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from clones import change_params, commit, git, keep_data_in_dvc, run
from conftest import Refused
from dvc.utils.serialize import modify_yaml
from edits import append, in_cache, restamp, substitute

from stages.errors import InputError
from tools import revisions

PREDICTIONS = "data/predictions/test.parquet"


def test_a_revision_without_a_run_is_told_to_run(copy: Path, refused_side: Refused) -> None:
    git("rm", "--quiet", "dvc.lock", cwd=copy)
    results = "dvc.lock and metrics/metrics.json"
    assert refused_side("HEAD") == f"workspace: has no dvc.lock: run `dvc repro` there and commit {results}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"schema: '2.0'\nstages: {}\n", r"workspace: dvc\.lock: it has no run of download: run `dvc repro`"),
        (b"<<<<<<< HEAD\n", r"workspace: dvc\.lock has merge conflicts: take one side .*"),
        (b"\xff", r"workspace: dvc\.lock: cannot be read \(.*"),
    ],
    ids=["no run", "conflicts", "no text"],
)
def test_a_lock_file_without_a_run_to_read_is_named(
    copy: Path, refused_side: Refused, content: bytes, said: str
) -> None:
    (copy / "dvc.lock").write_bytes(content)
    assert re.fullmatch(said, refused_side("HEAD"))


def test_params_that_cannot_be_read_are_named(copy: Path, refused_side: Refused) -> None:
    (copy / "params.yaml").write_text("a: b: c\n", encoding="utf-8")
    assert refused_side("HEAD").startswith("workspace: dvc.yaml or params.yaml cannot be read (Scan")


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml"])
def test_a_file_of_the_pipeline_that_is_gone_is_named(copy: Path, refused_side: Refused, name: str) -> None:
    (copy / name).unlink()
    assert refused_side("workspace").startswith("workspace: dvc.yaml or params.yaml cannot be read (")


def test_params_that_did_not_run_are_named(copy: Path, refused_side: Refused) -> None:
    change_params(copy, train__seed=5)
    assert refused_side("HEAD") == "workspace: params.yaml: train.seed is 5, but train ran with 42: run `dvc repro`"


@pytest.mark.parametrize("path", ["stages/train.py", "data/small/train.csv"])
def test_code_and_data_that_did_not_run_are_named(copy: Path, refused_side: Refused, path: str) -> None:
    append(copy / path, "# more\n" if path.endswith(".py") else "one more,joy\n")
    name = path if path.endswith(".py") else "data/small"
    assert refused_side("HEAD").startswith(f"workspace: {name} does not match dvc.lock (")


def test_a_definition_that_is_wrong_is_named_with_its_revision(copy: Path, refused_side: Refused) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["train"]["params"].append({"own.yaml": ["x"]})
    commit(copy, "params of another file")
    there = "there (check it out, or `dvc exp apply` an experiment), and commit or save it anew"
    assert refused_side("HEAD") == f"HEAD: dvc.yaml: train: params of own.yaml: list such a file under deps {there}"


def test_params_and_code_that_were_committed_without_a_run_are_named(copy: Path, refused_side: Refused) -> None:
    append(copy / "stages/train.py", "# more\n")
    commit(copy, "code")
    assert refused_side("HEAD").startswith("HEAD: stages/train.py does not match dvc.lock (train): ")
    change_params(copy, train__seed=5)
    commit(copy, "param")
    assert refused_side("HEAD").startswith("HEAD: params.yaml: train.seed is 5, but train ran with 42: ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("exec python -m stages.train", "exec python -O -m stages.train", "train: its command differs from dvc.yaml's"),
        ("    - stages/curves.py\n", "", "train: stages/curves.py is not in dvc.yaml's deps"),
    ],
)
def test_a_stage_that_was_defined_otherwise_since_its_run_is_named(
    copy: Path, refused_side: Refused, old: str, new: str, said: str
) -> None:
    substitute(copy / "dvc.yaml", old, new)
    assert refused_side("HEAD").startswith(f"workspace: dvc.lock: {said}: ")
    commit(copy, "definition")
    assert refused_side("HEAD").startswith(f"HEAD: dvc.lock: {said}: ")


def test_data_that_were_committed_without_a_run_are_named(copy: Path, refused_side: Refused) -> None:
    append(copy / "data/small/train.csv", "one more,joy\n")
    commit(copy, "data")
    assert refused_side("HEAD").startswith("HEAD: data/small does not match dvc.lock (download): ")


def test_data_that_were_committed_with_the_lock_of_a_run_without_them_are_named(
    copy: Path, refused_side: Refused
) -> None:
    append(copy / "data/small/train.csv", "one more,joy\n")
    append(copy / "dvc.lock", "\n")  # as in a branch that was squashed or rebased onto other data
    commit(copy, "data, and a run of others")
    assert refused_side("HEAD").startswith("HEAD: data/small does not match dvc.lock (download): ")


def test_data_of_dvc_that_were_committed_without_a_run_are_named(inside: Path, refused_side: Refused) -> None:
    keep_data_in_dvc(inside)
    run("dvc", "repro", cwd=inside)
    commit(inside, "data that DVC keeps")
    assert revisions.read("HEAD").test_file
    append(inside / "data/kept/train.csv", "one more,joy\n")
    run("dvc", "add", "data/kept", cwd=inside)
    commit(inside, "more data")
    assert refused_side("HEAD").startswith("HEAD: data/kept does not match dvc.lock (download): ")


def test_predictions_that_are_nowhere_are_named_with_what_to_do(copy: Path, refused_side: Refused) -> None:
    shutil.rmtree(copy / ".dvc/cache")
    nowhere = f"{PREDICTIONS} is not in DVC's cache, and no remote gives it"
    advice = "run `dvc push` where it was made, or check it out (`dvc exp apply` an experiment) and run `dvc repro`"
    assert refused_side("HEAD") == f"HEAD: {nowhere}: {advice}"
    (copy / PREDICTIONS).unlink()
    assert refused_side("workspace") == f"workspace: {nowhere}: run `dvc pull` or `dvc repro`"


def test_a_remote_out_of_reach_is_said(copy: Path, refused_side: Refused) -> None:
    shutil.rmtree(copy / ".dvc/cache")
    run("dvc", "remote", "add", "--default", "remote", "ssh://127.0.0.1:1/nowhere", cwd=copy)
    assert refused_side("HEAD").startswith(f"HEAD: {PREDICTIONS} cannot be fetched (ConnectionRefusedError: ")


def test_a_run_that_gave_no_predictions_is_no_side(inside: Path, refused_side: Refused) -> None:
    substitute(inside / "dvc.yaml", f"    - {PREDICTIONS}\n", "")  # as of an evaluate of one's own, or of old
    restamp("evaluate")
    run("dvc", "commit", "--force", "evaluate", cwd=inside)
    results = "dvc.lock and metrics/metrics.json"
    said = f"workspace: dvc.lock has no {PREDICTIONS}: run `dvc repro` there and commit {results}"
    assert refused_side("HEAD") == said


def test_edited_predictions_are_no_side(copy: Path, refused_side: Refused) -> None:
    (copy / PREDICTIONS).unlink()
    shutil.copy(copy / "data/predictions/validation.parquet", copy / PREDICTIONS)
    assert refused_side("HEAD").startswith(f"workspace: {PREDICTIONS} is not what dvc.lock says: ")


def test_a_run_that_stopped_halfway_is_no_side(copy: Path, refused_side: Refused) -> None:
    change_params(copy, tokenize__max_length=6)
    run("dvc", "repro", "tokenize", cwd=copy)
    assert refused_side("HEAD").startswith(
        "workspace: dvc.lock: train did not read the data/tokenized/train.parquet that tokenize wrote: run `dvc repro`"
    )


@pytest.mark.parametrize(
    ("side", "said"),
    [
        ("code 1,code 2", r"code 1,code 2: differ in stages/train\.py, train\.seed: join"),
        ("a,b,a", "a,a: differ in nothing: join"),  # one run twice, whatever stands between
    ],
)
def test_runs_that_differ_in_more_than_the_seed_or_not_at_all_make_no_side(
    monkeypatch: pytest.MonkeyPatch, side: str, said: str
) -> None:
    def read(name: str) -> revisions.Run:
        none = np.array([], dtype=np.int64)
        inputs = {"stages/train.py": name} if name.startswith("code") else {}
        return revisions.Run(name, [], none, none, "", {"train.seed": name}, inputs)

    monkeypatch.setattr(revisions, "read", read)
    with pytest.raises(InputError, match=f"^{said}"):
        revisions.read_side(side)


def test_damaged_predictions_of_a_commit_are_to_be_looked_at_where_it_is_checked_out(
    copy: Path, refused_side: Refused
) -> None:
    cached = in_cache(copy, PREDICTIONS)
    cached.unlink()
    shutil.copy(copy / "data/predictions/validation.parquet", cached)
    assert refused_side("HEAD").startswith(f"HEAD: {PREDICTIONS} is not what dvc.lock says: check it out and run ")


def test_a_param_that_params_yaml_lacks_is_named(copy: Path, refused_side: Refused) -> None:
    with modify_yaml(copy / "params.yaml") as params:
        del params["tokenize"]
    commit(copy, "params")
    there = "there (check it out, or `dvc exp apply` an experiment), and commit or save it anew"
    assert refused_side("HEAD") == f"HEAD: params.yaml: tokenize.max_length is missing: undo its last edit {there}"


def test_a_stage_that_is_not_behind_the_predictions_is_not_looked_at(inside: Path) -> None:
    append(inside / "stages/baselines.py", "# more\n")
    assert revisions.read("workspace").test_file


@pytest.mark.usefixtures("inside")
def test_a_stage_that_dvc_yaml_lacks_is_named() -> None:
    with modify_yaml("dvc.yaml") as definition:
        del definition["stages"]["audit"]
    with pytest.raises(InputError, match=r"^workspace: dvc\.yaml: audit is missing: undo its last edit$"):
        revisions.read("workspace")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("dvc.lock", "dvc.lock has merge conflicts: take one side (`git checkout --ours "),
        ("dvc.yaml", "dvc.yaml or params.yaml cannot be read (ScannerError: "),
    ],
)
def test_conflicts_that_are_committed_are_to_be_solved_where_they_are(
    copy: Path, refused_side: Refused, file: str, said: str
) -> None:
    (copy / file).write_text("a: 1\n<<<<<<< HEAD\nb: 2\n=======\n", encoding="utf-8")
    commit(copy, "conflicts")
    there = " there (check it out, or `dvc exp apply` an experiment), and commit or save it anew"
    error = refused_side("HEAD")
    assert error.startswith(f"HEAD: {said}")
    assert error.endswith(there)


def test_a_stage_of_the_users_own_is_not_looked_at(inside: Path) -> None:
    before = revisions.read("workspace")
    with modify_yaml("dvc.yaml") as definition:
        own = {"cmd": "touch own.txt", "params": ["train"], "deps": ["models/classifier"], "outs": ["own.txt"]}
        definition["stages"]["own"] = own
    run("dvc", "repro", cwd=inside)
    with modify_yaml("dvc.lock") as lock:  # renamed since, after which the classifier was trained anew
        lock["stages"]["own"]["deps"][0]["md5"] = "0" * 32
    after = revisions.read("workspace")
    assert (after.params, after.inputs) == (before.params, before.inputs)


def test_code_that_the_last_stage_alone_ran_with_is_named(inside: Path, refused_side: Refused) -> None:
    append(Path("stages/tables.py"), "# more\n")  # which every stage reads
    restamp("evaluate")
    run("dvc", "commit", "--force", "evaluate", cwd=inside)
    assert refused_side("HEAD") == "workspace: stages/tables.py does not match dvc.lock (train): run `dvc repro`"

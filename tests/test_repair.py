"""`make repro` repairs what a killed DVC leaves half-written."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from clones import TREE, commit_all, git, run
from conftest import Call, Refused, Verify
from dvc.lock import make_lock
from dvc.utils.serialize import modify_yaml
from dvc_objects.fs.utils import tmp_fname
from edits import used_by

from stages.errors import InputError
from tools import repair


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a committed dvc.lock."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    for name in ("dvc.lock", "dvc.yaml", "requirements.txt"):
        (tmp_path / name).write_bytes((TREE / name).read_bytes())
    commit_all(tmp_path)
    return tmp_path


def test_a_config_that_dvc_cannot_read_is_an_error_in_one_line(folder: Path, refused: Refused) -> None:
    (folder / ".dvc/config").write_text("<<<<<<< HEAD\n")
    assert refused(repair.main, folder).startswith("DVC cannot go on (ConfigError: ")


def test_a_lock_that_git_may_not_read_is_left_alone(
    folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "dvc.lock").write_bytes(b"")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    said = f"git does not read a clone that another user owns: run `git config --global --add safe.directory {folder}`"
    assert refused(repair.main, folder) == said
    assert (folder / "dvc.lock").exists()


def test_what_is_whole_is_left_alone(folder: Path) -> None:
    (folder / ".dvc/tmp/rwlock").write_text("{}", encoding="utf-8")
    before = (folder / "dvc.lock").read_bytes()
    assert repair.repair() == []
    assert (folder / "dvc.lock").read_bytes() == before
    assert (folder / ".dvc/tmp/rwlock").exists()


def test_the_command_says_what_it_has_repaired(folder: Path, call: Call) -> None:
    (folder / "dvc.lock").write_bytes(b"")
    code, said, _ = call(repair.main, folder)
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("dvc.lock was cut short")
    assert call(repair.main, folder) == (0, "nothing to repair\n", "")


def test_verify_names_the_repair_of_a_list_cut_short(copy: Path, call: Call, verify: Verify) -> None:
    used_by(copy, os.getpid()).write_text('{"read": {"x', encoding="utf-8")
    assert verify(copy).endswith("or, if DVC was killed, run `python -m tools.repair`\n")
    assert call(repair.main, copy)[0] == 0
    assert verify(copy) == ""


def test_the_command_leaves_a_running_dvc_alone(folder: Path, refused: Refused) -> None:
    used_by(folder, os.getpid())
    (folder / "dvc.lock").write_bytes(b"")
    assert refused(repair.main, folder) == "DVC is running stages here: wait until it has finished"
    assert (folder / "dvc.lock").read_bytes() == b""


@pytest.mark.parametrize("length", [0, 4000])
def test_a_lock_file_cut_short_becomes_the_committed_one(folder: Path, length: int) -> None:
    committed = (folder / "dvc.lock").read_bytes()
    (folder / "dvc.lock").write_bytes(committed[:length].rpartition(b"5:")[0])
    (line,) = repair.repair()
    assert line.startswith("dvc.lock was cut short")
    assert (folder / "dvc.lock").read_bytes() == committed


def test_a_lock_file_with_both_sides_of_a_merge_becomes_the_committed_one(folder: Path) -> None:
    committed = (folder / "dvc.lock").read_bytes()
    both = re.sub(rb"( +md5: )[0-9a-f]{32}\n", rb"\g<0>\g<1>" + b"0" * 32 + b"\n", committed, count=1)
    (folder / "dvc.lock").write_bytes(both)
    (line,) = repair.repair()
    said = "dvc.lock was cut short when DVC was killed, or is damaged otherwise: restored the committed one"
    assert line.startswith(said)
    assert (folder / "dvc.lock").read_bytes() == committed


def test_dvc_goes_on_after_a_repair_where_its_lock_is_a_hard_link(copy: Path) -> None:
    run("dvc", "config", "--local", "core.hardlink_lock", "true", cwd=copy)
    for lock in (copy / ".dvc/tmp").glob("*lock"):
        lock.unlink()  # of the other kind, which stays as a file; to this kind that is a lock held
    run("python", "-m", "tools.repair", cwd=copy)
    assert "up to date" in run("dvc", "status", cwd=copy).stdout


def test_a_lock_file_with_the_conflicts_of_a_merge_is_left_to_a_person(folder: Path) -> None:
    conflict = f"<<<<<<< HEAD\n=======\n>>>>>>> other\n{(folder / 'dvc.lock').read_text(encoding='utf-8')}"
    (folder / "dvc.lock").write_text(conflict, encoding="utf-8")
    with pytest.raises(InputError, match=r"^dvc.lock has merge conflicts: take one side"):
        repair.repair()
    assert (folder / "dvc.lock").read_text(encoding="utf-8") == conflict


def test_a_dvc_file_with_the_conflicts_of_a_merge_is_left_to_a_person(folder: Path) -> None:
    file = folder / "data/my own.dvc"
    file.parent.mkdir(exist_ok=True)
    file.write_text("outs:\n<<<<<<< HEAD\n=======\n>>>>>>> other\n", encoding="utf-8")
    git("add", "--force", "data/my own.dvc", cwd=folder)
    with pytest.raises(InputError) as refused:
        repair.repair()
    assert str(refused.value) == (
        "data/my own.dvc has merge conflicts: take one side (`git checkout --ours 'data/my own.dvc'`, or, where they "
        "are committed, `git checkout COMMIT 'data/my own.dvc'`, with one from before) and run again"
    )
    file.unlink()
    repair.repair()


def test_without_git_there_is_nothing_to_merge(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    run("dvc", "config", "--local", "core.no_scm", "true", cwd=folder)
    assert repair.repair() == []


def test_a_lock_file_that_was_never_committed_is_removed(folder: Path) -> None:
    git("rm", "--quiet", "--cached", "dvc.lock", cwd=folder)
    git("commit", "--quiet", "--message", "gone", cwd=folder)
    (folder / "dvc.lock").write_bytes(b"")
    (line,) = repair.repair()
    assert "removed, since none is committed" in line
    assert not (folder / "dvc.lock").exists()


def test_a_lock_with_a_dataset_of_dvc_is_whole(folder: Path) -> None:
    dataset = {"path": "ds://mine", "dataset": {"name": "mine", "url": "..", "type": "dvc", "rev_lock": "0" * 40}}
    with modify_yaml(folder / "dvc.lock") as lock:
        lock["stages"]["own"] = {"cmd": "true", "deps": [dataset]}
    assert repair.repair() == []


@pytest.mark.parametrize("kind", ["read", "write"])
def test_users_of_which_one_lives_stay(folder: Path, kind: str) -> None:
    users = used_by(folder, os.getpid(), kind)
    (folder / "dvc.lock").write_bytes(b"")  # which they may be about to write
    with pytest.raises(InputError, match=r"^DVC is running stages here: wait until it has finished$"):
        repair.repair()
    assert users.exists()
    assert (folder / "dvc.lock").read_bytes() == b""


def test_users_whose_number_is_another_process_since_are_removed(folder: Path) -> None:
    users = used_by(folder, os.getpid())
    os.utime(users, (1e9, 1e9))
    assert len(repair.repair()) == 1
    assert not users.exists()


def test_users_that_have_ended_but_are_not_waited_for_are_removed(folder: Path) -> None:
    with subprocess.Popen(("true",)) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        users = used_by(folder, ended.pid)
        assert len(repair.repair()) == 1
    assert not users.exists()


def test_users_that_have_ended_are_removed(folder: Path) -> None:
    with subprocess.Popen(("true",)) as ended:
        pass
    users = used_by(folder, ended.pid)
    assert len(repair.repair()) == 1
    assert not users.exists()


@pytest.mark.parametrize(
    "content",
    ['{"write": {"/clone/mo', "[]", '{"write": {"/clone/models": 1}}'],
    ids=["cut short", "a list", "a user of another form"],
)
def test_a_list_of_users_that_cannot_be_read_is_removed(folder: Path, content: str) -> None:
    users = folder / ".dvc/tmp/rwlock"
    users.write_text(content, encoding="utf-8")
    assert len(repair.repair()) == 1
    assert not users.exists()


@pytest.mark.parametrize("name", [".mine.tmp", f".{'mine' * 5}-1.tmp.tmp"])
@pytest.mark.parametrize("outputs", ["data/raw", "models/classifier", "metrics/plots"])
def test_copies_that_dvc_had_begun_are_removed_and_no_others(folder: Path, outputs: str, name: str) -> None:
    begun, other = folder / outputs / tmp_fname(), folder / outputs / name
    begun.parent.mkdir(parents=True)
    begun.touch()
    other.touch()
    (line,) = repair.repair()
    assert line.startswith(f"{outputs}/{begun.name} was left behind by")
    assert not begun.exists()
    assert other.exists()


def test_a_repair_waits_for_another_dvc_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "dvc.lock").write_bytes(b"")
    other = make_lock(str(folder / ".dvc/tmp/lock"))
    other.lock()
    monkeypatch.setattr("dvc.lock.time", SimpleNamespace(sleep=lambda _: other.unlock()))
    assert len(repair.repair()) == 1
    assert not other.is_locked


def test_a_lock_that_outlives_its_process_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("dvc", "config", "core.hardlink_lock", "true", cwd=folder)
    (folder / ".dvc/tmp/lock").write_text(" 25701", encoding="utf-8")
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0)
    with pytest.raises(InputError, match=r"^\.dvc/tmp/lock is taken: wait for other DVC commands here; if "):
        repair.repair()


def test_a_lock_file_cut_short_becomes_the_committed_one_and_not_one_that_is_staged(folder: Path) -> None:
    committed = (folder / "dvc.lock").read_bytes()
    (folder / "dvc.lock").write_bytes(b"schema: '2.0'\n")
    git("add", "dvc.lock", cwd=folder)
    (folder / "dvc.lock").write_bytes(b"")
    assert len(repair.repair()) == 1
    assert (folder / "dvc.lock").read_bytes() == committed

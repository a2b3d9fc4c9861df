"""Checkpoints on disk: when they are written, sealed and synced, which are whole, and which are removed."""

import errno
import fcntl
import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import pytest
from digests import OUTPUTS
from trainings import STEPS, Prepare, train_until

from stages import checkpoints, hashing, paths, train
from stages.errors import InputError
from stages.outputs import locked, sync
from stages.sealing import SEAL, Sealing, seal_of


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("weights", lambda text: text[:-2]),
        ("weights", lambda text: f"{text[:-1]}8"),
        ("weights", None),
        (SEAL, lambda text: text[:60]),
        (SEAL, lambda text: text.replace("best_step", "best_stop")),
        (SEAL, None),
    ],
    ids=["cut short", "a byte changed", "a file gone", "half a seal", "a seal with a byte changed", "no seal"],
)
def test_a_checkpoint_is_whole_with_each_byte_that_its_seal_says(
    tmp_path: Path, name: str, damage: Callable[[str], str] | None
) -> None:
    for file, content in (("optimizer", "more"), ("weights", "0123456789")):
        (tmp_path / file).write_text(content, encoding="utf-8")
    files = {file: hashing.sha256(tmp_path / file) for file in ("optimizer", "weights")}
    text = json.dumps({"files": files, "best_step": 9})
    (tmp_path / SEAL).write_text(f"{hashing.md5_of(text.encode())}\n{text}", encoding="utf-8")
    assert seal_of(tmp_path) == json.loads(text)
    if damage:
        (tmp_path / name).write_text(damage((tmp_path / name).read_text(encoding="utf-8")), encoding="utf-8")
    else:
        (tmp_path / name).unlink()
    assert seal_of(tmp_path) is None


def test_a_checkpoint_whose_seal_is_no_text_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / SEAL).write_bytes(b"\xff")
    assert seal_of(tmp_path) is None


def test_all_is_removed_but_the_newest_whole_checkpoint_and_the_best_by_then(tmp_path: Path) -> None:
    text = json.dumps({"files": {}, "best_step": 9})
    for step in (8, 9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / SEAL).write_text(f"{hashing.md5_of(text.encode())}\n{text}")
    (tmp_path / "checkpoint-11" / SEAL).unlink()
    (tmp_path / ".nfs01").touch()
    assert checkpoints.keep_newest(tmp_path) == (tmp_path / "checkpoint-10", json.loads(text))
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-9", "checkpoint-10"}


def test_anothers_abandoned_checkpoints_stop_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(tmp_path))
    lock = tmp_path / ("a" * 32 + ".lock")
    lock.mkdir()  # which cannot be opened
    os.utime(lock, (0, 0))
    with checkpoints.locked_folder("f" * 32):
        pass
    assert lock.exists()


@pytest.mark.parametrize(("there", "left"), [(True, ["a" * 32]), (False, [])])
def test_checkpoints_that_go_while_they_are_looked_at_stop_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: list[str], *, there: bool
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(tmp_path))
    (tmp_path / ("a" * 32)).mkdir()
    monkeypatch.setattr(Path, "exists", lambda _: there)  # when it was asked: its lock is not there any more
    with checkpoints.locked_folder("f" * 32):
        pass
    assert [path.name for path in tmp_path.iterdir()] == left


def test_a_home_folder_written_as_a_tilde_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RETUNE_CHECKPOINTS", "~/mine")
    with checkpoints.locked_folder("f" * 32) as folder:
        assert folder == tmp_path / "mine" / ("f" * 32)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    said = f"^{tmp_path}/lock: {os.strerror(number)}: its file system has no locks: use another one$"
    with pytest.raises(InputError, match=said), locked(tmp_path / "lock", "runs"):
        pass


def test_a_lock_whose_holder_removes_it_while_it_is_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, flock = tmp_path / "lock", fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        lock.unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(lock, "waits"), pytest.raises(filelock.Timeout):
        filelock.FileLock(lock).acquire(timeout=0)
    assert fcntl.flock is flock  # it was tried


def test_a_lock_that_cannot_be_opened_is_not_taken_for_a_file_system_without_locks(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(IsADirectoryError), locked(tmp_path / "lock", "runs"):
        pass


def test_abandoned_checkpoints_are_removed_and_those_in_use_or_under_other_names_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(tmp_path))
    newer, old = (time.time() - days * 86400 for days in (13, 15))
    abandoned, held, written_to, other = "a" * 32, "b" * 32, "c" * 32, "d" * 32 + "-mine"
    foreign = "f0" * 16  # such as a run of MLflow
    for name in (abandoned, held, written_to, other, foreign):
        (tmp_path / name / "checkpoint-1").mkdir(parents=True)
        (tmp_path / f"{name}.lock").touch()
    (tmp_path / foreign / "artifacts").mkdir()
    (tmp_path / ("e" * 32 + ".lock")).touch()
    for path in (*tmp_path.glob("*/*"), *tmp_path.iterdir()):
        os.utime(path, (old, old))
    os.utime(tmp_path / written_to / "checkpoint-1", (newer, newer))
    with filelock.FileLock(tmp_path / f"{held}.lock"):
        os.utime(tmp_path / f"{held}.lock", (old, old))
        with checkpoints.locked_folder("f" * 32):
            pass
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {name + end for name in (held, written_to, other, foreign) for end in ("", ".lock")}
    assert len(list((tmp_path / foreign).iterdir())) == 2


def test_what_a_checkpoint_replaces_is_removed_only_when_it_is_sealed(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(train__epochs=1)
    sealed: list[bool] = []

    def rotate(folder: str, **_: object) -> None:
        newest = max(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.removeprefix("checkpoint-")))
        sealed.append(seal_of(newest) is not None)

    monkeypatch.setattr("stages.sealing.rotate_checkpoints", rotate)
    train_until(2, monkeypatch)
    assert sealed == [True, True]


def test_what_a_checkpoint_replaces_is_removed_only_when_all_of_it_is_on_the_disk(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(train__epochs=1)
    fsync, synced, left = os.fsync, list[Path](), list[set[Path]]()

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    def rotate(folder: str, **_: object) -> None:
        newest = Path(folder, f"checkpoint-{len(left) + 1}")
        whole = {newest.parent, newest, newest / f".{SEAL}.partial", *newest.iterdir()} - {newest / SEAL}
        left.append(whole - set(synced))

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr("stages.sealing.rotate_checkpoints", rotate)
    train_until(2, monkeypatch)
    assert left == [set(), set()]


def test_the_checkpoints_are_removed_only_when_all_outputs_are_on_the_disk(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(train__epochs=1)
    fsync, remove, synced, left = os.fsync, shutil.rmtree, set[Path](), list[set[Path]]()

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        place = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(folder)
        synced.add(Path(re.sub(r"\.([^/]+)\.partial", r"\1", str(place))))

    def removed(place: Path, **others: Any) -> None:
        if Path(paths.provenance("train")).exists():
            outputs = {path for output in map(Path, OUTPUTS["train"]) for path in (output, *output.rglob("*"))}
            left.append({*outputs, *(output.parent for output in outputs)} - synced)
        remove(place, **others)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr("stages.checkpoints.shutil", SimpleNamespace(rmtree=removed))
    train.main()
    assert left == [set()]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EINVAL, nullcontext()), (errno.ENOTSUP, nullcontext()), (errno.EIO, pytest.raises(OSError, match="Input"))],
)
def test_a_folder_need_not_be_synced_where_a_file_system_cannot_but_no_other_error_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: AbstractContextManager[Any]
) -> None:
    def fsync(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with expected:
        sync(tmp_path)


def test_a_checkpoint_is_due_every_300_seconds_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETUNE_CHECKPOINT_SECONDS", raising=False)
    nothing: Any = None
    assert Sealing(nothing, {}, None).seconds == 300
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "")
    assert Sealing(nothing, {}, None).seconds == 300


def test_time_is_counted_from_the_last_checkpoint(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(train__epochs=1)
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "250")
    clock = itertools.count(0, 100)  # a look at it takes 100 seconds
    monkeypatch.setattr("stages.sealing.time", SimpleNamespace(monotonic=lambda: next(clock)))
    steps: list[int] = []
    seal = Sealing.on_save

    def on_save(callback: Sealing, args: Any, state: Any, control: Any, **others: Any) -> None:
        steps.append(state.global_step)
        seal(callback, args, state, control, **others)

    monkeypatch.setattr(Sealing, "on_save", on_save)
    train.main()
    assert steps == [3, 6, STEPS]

"""Training that resumes from a checkpoint ends with the bytes of one that was never stopped."""

import errno
import fcntl
import itertools
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import pytest
import torch
from edits import flip
from stand_ins import make_tiny_random_checkpoint
from token_rows import small_model
from trainings import STEPS, Prepare, kept, left_alone, resumed, train_until, trained

from stages import checkpoints, hashing, paths, requirements, sealing, train
from stages.errors import InputError
from stages.outputs import locked
from stages.sealing import SEAL, Sealing, seal_of


@pytest.mark.parametrize(
    "stops",
    [
        (1,),
        (STEPS - 1,),
        (STEPS,),
        (STEPS + 1, STEPS + 2, 2 * STEPS),
        (2 * STEPS, 2 * STEPS + 3, 3 * STEPS - 1),
        (3 * STEPS,),
    ],
    ids=str,
)
def test_a_resumed_training_ends_with_the_bytes_of_one_that_was_not_stopped(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, stops: tuple[int, ...]
) -> None:
    folder = prepared()
    expected = left_alone(folder)
    for step in stops:
        train_until(step, monkeypatch)
    assert resumed(folder, stops[-1]) == expected


ARCHITECTURES = (
    "albert", "bert", "big_bird", "camembert", "deberta-v2", "distilbert", "electra", "ernie", "esm", "gpt2",
    "layoutlm", "llama", "longformer", "megatron-bert", "mobilebert", "modernbert", "nystromformer", "rembert",
    "roberta", "roberta-prelayernorm", "roformer", "xlm", "xlm-roberta", "xlm-roberta-xl",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_is_resumed_to_the_same_bytes(
    prepared: Prepare,
    monkeypatch: pytest.MonkeyPatch,
    tiny_random_checkpoint: Path,
    tmp_path: Path,
    architecture: str,
) -> None:
    own = shutil.copytree(tiny_random_checkpoint, tmp_path / "own")
    small_model(architecture, num_labels=6).save_pretrained(own)
    folder = prepared(model__path=str(own), train__epochs=2)
    expected = left_alone(folder)
    train_until(STEPS + 1, monkeypatch)
    assert resumed(folder, STEPS + 1) == expected


def test_two_threads_leave_the_same_bytes_each_time(prepared: Prepare, tmp_path: Path) -> None:
    wide = make_tiny_random_checkpoint(tmp_path / "wide", hidden_size=384, intermediate_size=1536)
    folder = prepared(model__path=str(wide), train__epochs=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = trained(folder)
        assert json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))["machine"]["threads"] == 2
        assert trained(folder) == first
    finally:
        torch.set_num_threads(threads)


def test_weights_under_names_that_transformers_renames_are_resumed_from(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, old_names: Path
) -> None:
    folder = prepared(model__path=str(old_names))
    expected = left_alone(folder)
    train_until(STEPS + 1, monkeypatch)
    assert resumed(folder, STEPS + 1) == expected


@pytest.mark.parametrize("stop", [2 * STEPS, 2 * STEPS + 4], ids=["at the end", "after it"])
def test_early_stopping_is_remembered(prepared: Prepare, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    # at a learning rate of next to nothing no epoch is better than the first
    folder = prepared(
        train__learning_rate="1e-30", train__epochs=6, train__early_stopping_patience=1 + (stop % STEPS > 0)
    )
    expected = left_alone(folder)
    assert (folder / "metrics/curves/validation.csv").read_text(encoding="utf-8").count("\n") < 6
    train_until(stop, monkeypatch)
    assert resumed(folder, stop) == expected


def test_checkpoints_that_moved_are_found_with_the_best_one_among_them(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(train__learning_rate="1e-30")  # the first epoch's stays the best
    expected = left_alone(folder)
    train_until(3 * STEPS, monkeypatch)
    assert kept() == [f"checkpoint-{3 * STEPS}", f"checkpoint-{STEPS}"]
    shutil.move("checkpoints", "moved")
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(folder / "moved"))
    assert resumed(folder, 3 * STEPS) == expected


def test_other_params_never_go_on_from_them(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    train_until(STEPS + 2, monkeypatch)
    prepared(train__seed=1)
    train.main()
    assert "resuming from" not in capsys.readouterr().out
    assert f"checkpoint-{STEPS + 2}" in kept()


def test_a_checkpoint_with_a_byte_changed_is_passed_over(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared()
    expected = left_alone(folder)
    with monkeypatch.context() as patched:
        patched.setattr("stages.sealing.rotate_checkpoints", lambda *_, **__: None)
        train_until(STEPS + 3, monkeypatch)
    (newest,) = Path(os.environ["RETUNE_CHECKPOINTS"]).glob(f"*/checkpoint-{STEPS + 3}")
    flip(newest / "model.safetensors")
    assert resumed(folder, STEPS + 2) == expected


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


def test_without_its_best_one_a_checkpoint_is_passed_over(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared(train__learning_rate="1e-30")
    expected = left_alone(folder)
    train_until(2 * STEPS, monkeypatch)
    (best,) = Path(os.environ["RETUNE_CHECKPOINTS"]).glob(f"*/checkpoint-{STEPS}")
    (best / "model.safetensors").write_bytes(b"")
    assert resumed(folder, 0) == expected


def test_another_machine_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    train_until(3, monkeypatch)
    capsys.readouterr()
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 3)
    train.main()
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert said == [
        f"warning: the machine is not as it was, so the model's bytes may differ: threads {threads}, now {threads + 3}"
    ]
    recorded = json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))
    machines = (*recorded["earlier_machines"], recorded["machine"])
    assert [machine["threads"] for machine in machines] == [threads, threads + 3]


def test_another_version_of_python_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(train__epochs=1)
    train_until(3, monkeypatch)
    newer = SimpleNamespace(machine=platform.machine, python_version=lambda: "4.0.0")
    monkeypatch.setattr("stages.machine.platform", newer)
    train.main()
    assert f"bytes may differ: python {platform.python_version()}, now 4.0.0\n" in capsys.readouterr().out


def test_a_pin_that_only_one_python_has_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(train__epochs=1)
    train_until(3, monkeypatch)
    pins = [*requirements.pins(), SimpleNamespace(name="pytest")]
    monkeypatch.setattr("stages.machine.requirements", SimpleNamespace(pins=lambda: pins))
    train.main()
    assert f"bytes may differ: pytest None, now {pytest.__version__}\n" in capsys.readouterr().out


def test_the_machines_of_every_part_of_a_training_are_recorded(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    for threads in (3, 4, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        train_until(threads, monkeypatch)
    train.main()
    made = json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))
    assert [machine["threads"] for machine in made["earlier_machines"]] == [3, 4]


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


def test_patience_is_of_so_many_epochs(prepared: Prepare) -> None:
    prepared(train__learning_rate="1e-30", train__epochs=6, train__early_stopping_patience=1)
    train.main()
    assert len(Path(paths.VALIDATION_CURVE).read_text(encoding="utf-8").splitlines()) == 1 + 2


def test_a_training_that_logs_less_often_than_each_step_has_the_same_curve(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.fine_tuning.LOGS_PER_EPOCH", 2)  # a line after each 5 steps
    folder = prepared(train__epochs=2)
    expected = trained(folder)
    train_until(7, monkeypatch)
    assert resumed(folder, 7) == expected


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
        sealing._sync(tmp_path)  # noqa: SLF001


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

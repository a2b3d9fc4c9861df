"""Signals that come while no step is under way: in a validation pass, and when training has ended."""

import itertools
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import transformers
from trainings import BATCH, EPOCHS, STEPS, Prepare, kept, left_alone, limit_memory, resumed, trained
from transformers import TrainerControl

from stages import classifier, curves, fine_tuning, interruption, paths, train
from stages.errors import Stopped
from stages.interruption import SIGNALS, Interruption


@pytest.fixture
def signal_in_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGTERM in the first evaluation, which may take no longer."""
    monkeypatch.setattr("stages.interruption.EVALUATION_SECONDS", 0)
    step = transformers.Trainer.prediction_step

    def prediction_step(*arguments: Any, **others: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments, **others)

    monkeypatch.setattr(transformers.Trainer, "prediction_step", prediction_step)


def test_before_the_first_step_it_stops_at_once(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared()
    monkeypatch.setattr(fine_tuning, "load_pretrained", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped, match="stopped by SIGTERM: no training was under way: `dvc repro` starts this stage"):
        train.main()
    assert kept() == []


def test_after_an_attempt_that_ran_out_of_memory_it_stops_at_once(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    sizes = limit_memory(monkeypatch, BATCH // 2)
    load = classifier.load_pretrained
    attempts: list[str] = []

    def load_pretrained(names: list[str]) -> Any:
        if sizes:
            os.kill(os.getpid(), signal.SIGTERM)
            attempts.append("went on")
        return load(names)

    monkeypatch.setattr(fine_tuning, "load_pretrained", load_pretrained)
    with pytest.raises(Stopped, match="stopped by SIGTERM: no training was under way: "):
        train.main()
    assert (sizes, attempts) == ([BATCH], [])


@pytest.mark.usefixtures("signal_in_evaluation")
def test_a_long_evaluation_is_left_for_the_newest_checkpoint(prepared: Prepare) -> None:
    prepared()
    with pytest.raises(Stopped, match="in a validation pass: `dvc repro` resumes from the newest checkpoint in "):
        train.main()
    assert kept() == [f"checkpoint-{STEPS - 1}"]


@pytest.mark.usefixtures("signal_in_evaluation")
def test_a_long_evaluation_without_a_checkpoint_is_left_for_a_new_start(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")
    with pytest.raises(Stopped, match="in a validation pass: `dvc repro` starts this stage again"):
        train.main()
    assert kept() == []


def test_after_training_it_goes_on_from_the_last_checkpoint(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared()
    expected = left_alone(folder)
    with monkeypatch.context() as patched:
        patched.setattr(curves, "write", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Stopped, match="training had ended: `dvc repro` resumes from its last checkpoint"):
            train.main()
    assert resumed(folder, EPOCHS * STEPS) == expected


def test_once_the_outputs_take_their_places_the_stage_goes_on_to_its_end(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared()
    expected = left_alone(folder)
    remove = shutil.rmtree

    def interrupted(*arguments: Any, **others: Any) -> None:
        if Path(paths.CLASSIFIER).exists():
            os.kill(os.getpid(), signal.SIGTERM)
        remove(*arguments, **others)

    shutil.rmtree(paths.CLASSIFIER, ignore_errors=True)
    monkeypatch.setattr("stages.checkpoints.shutil", SimpleNamespace(rmtree=interrupted))
    assert trained(folder) == expected


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=["nohup", "in the background of a script"])
def test_a_signal_that_whoever_started_it_has_ignored_stops_nothing(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption() as callback:
            os.kill(os.getpid(), number)
        assert callback.signal is None
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_of_two_signals_the_first_is_told() -> None:
    with Interruption() as callback:
        callback.training = True
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert callback.signal is signal.SIGTERM


def test_a_signal_whose_exception_was_swallowed_stops_a_training_before_its_first_step() -> None:
    nothing: Any = None
    with Interruption() as callback:
        with suppress(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match="stopped by SIGTERM: no training was under way"):
            callback.on_train_begin(nothing, nothing, nothing)


def test_after_training_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert before != [signal.getsignal(number) for number in SIGNALS]
    assert before == [signal.getsignal(number) for number in SIGNALS]


def test_an_evaluation_may_take_so_many_seconds_from_when_the_signal_was_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seconds = iter((100, 100, 104, 104, 105, 105))
    monkeypatch.setattr(interruption, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    told: Any = SimpleNamespace(output_dir=str(tmp_path))
    leaves = Interruption()
    leaves.signal = signal.SIGTERM
    leaves.on_prediction_step(told, told, told)
    leaves.on_prediction_step(told, told, told)
    with pytest.raises(Stopped, match="in a validation pass"):
        leaves.on_prediction_step(told, told, told)


@pytest.mark.parametrize(("epoch", "saves"), [(0.5, True), (1.0, False)])
def test_at_the_end_of_an_epoch_the_checkpoint_is_left_to_come_after_the_evaluation(
    epoch: float, *, saves: bool
) -> None:
    told: Any = SimpleNamespace(epoch=epoch)
    control = TrainerControl()
    callback = Interruption()
    callback.signal = signal.SIGTERM
    callback.on_step_end(told, told, control)
    assert control.should_save is saves


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_signal_that_ends_a_session_stops_a_training(number: signal.Signals) -> None:
    before = signal.signal(number, lambda *_: None)
    try:
        with Interruption(), pytest.raises(Stopped, match=f"stopped by {number.name}: "):
            os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)


def test_a_signal_that_comes_after_the_last_checkpoint_stops_before_the_classifier_is_written() -> None:
    told: Any = SimpleNamespace(output_dir="folder", global_step=9, max_steps=12)
    callback = Interruption()
    callback.signal = signal.SIGTERM
    with pytest.raises(Stopped, match="at step 9 of 12, checkpoint folder/checkpoint-9: `dvc repro` resumes from it"):
        callback.on_train_end(told, told, told)


@pytest.mark.parametrize("number", SIGNALS)
def test_no_signal_stops_outputs_that_take_their_places(number: signal.Signals) -> None:
    before = signal.signal(number, lambda *_: None)
    try:
        with Interruption() as callback:
            callback.ignore_signals()
            os.kill(os.getpid(), number)
        assert callback.signal is None
    finally:
        signal.signal(number, before)


def test_an_evaluation_may_take_any_time_where_no_signal_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seconds = itertools.count(0, 100)
    monkeypatch.setattr(interruption, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    told: Any = SimpleNamespace(output_dir=str(tmp_path))
    goes_on = Interruption()
    goes_on.on_prediction_step(told, told, told)
    goes_on.on_prediction_step(told, told, told)

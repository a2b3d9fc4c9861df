"""Signals that come while no step is under way: in an evaluation, and when training has ended."""

import os
import signal
from typing import Any

import pytest
import transformers
from trainings import EPOCHS, STEPS, Prepare, kept, left_alone, trained

from stages import curves, train
from stages.errors import Stopped
from stages.interruption import Interruption


@pytest.fixture
def signal_in_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGTERM in the first evaluation, which may take no longer."""
    monkeypatch.setattr("stages.interruption.EVALUATION_SECONDS", 0)
    step = transformers.Trainer.prediction_step

    def prediction_step(*arguments: Any, **others: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments, **others)

    monkeypatch.setattr(transformers.Trainer, "prediction_step", prediction_step)


@pytest.mark.usefixtures("signal_in_evaluation")
def test_a_long_evaluation_is_left_for_the_newest_checkpoint(prepared: Prepare) -> None:
    prepared()
    with pytest.raises(Stopped, match="in an evaluation: `dvc repro` resumes from the newest checkpoint in "):
        train.main()
    assert kept() == [f"checkpoint-{STEPS - 1}"]


@pytest.mark.usefixtures("signal_in_evaluation")
def test_a_long_evaluation_without_a_checkpoint_is_left_for_a_new_start(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")
    with pytest.raises(Stopped, match="in an evaluation: `dvc repro` starts this stage again"):
        train.main()
    assert kept() == []


def test_after_training_it_goes_on_from_the_last_checkpoint(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepared()
    expected = left_alone(folder)
    with monkeypatch.context() as patched:
        patched.setattr(curves, "write", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Stopped, match="training had ended: `dvc repro` resumes from its last checkpoint"):
            train.main()
    assert trained(folder) == expected
    assert f"/checkpoint-{EPOCHS * STEPS}\n" in capsys.readouterr().out


def test_under_nohup_a_terminal_that_closes_stops_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
        assert interruption.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)

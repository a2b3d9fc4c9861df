"""What long work says of itself in a log, where there is no terminal."""

import io
import os
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from tqdm.auto import tqdm

from stages import entry, progress
from stages.callbacks import LogBar, LogLines


def test_a_log_gets_a_line_of_progress_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter((0, 10, 16, 16, 20, 32, 32))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with progress.Progress("tokenize train", 8, "rows") as work:
        for _ in range(4):
            work.advance(2)
    assert capsys.readouterr().out == "tokenize train: 4 of 8 rows (50%)\ntokenize train: 8 of 8 rows (100%)\n"


def test_a_line_of_progress_is_in_the_log_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log))
    monkeypatch.setattr(progress, "SECONDS", -1.0)
    with progress.Progress("tokenize train", 8, "rows") as work:
        work.advance(2)
        assert log.getvalue() == b"tokenize train: 2 of 8 rows (25%)\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_the_loss_and_the_scores_of_each_epoch_are_lines(capsys: pytest.CaptureFixture[str], *, terminal: bool) -> None:
    settings: Any = SimpleNamespace(num_train_epochs=2)
    state: Any = SimpleNamespace(epoch=1.25, global_step=5, max_steps=8)
    for logs in (
        {"loss": 0.7, "grad_norm": 0.1, "learning_rate": 3e-5, "epoch": 1.25},
        {"eval_loss": 0.4, "eval_accuracy": 0.5, "eval_f1": 0.6, "eval_f1_macro": 0.3, "eval_runtime": 9.0},
        {"train_runtime": 9.0, "train_loss": 0.2},
    ):
        (LogBar() if terminal else LogLines()).on_log(settings, state, Any, logs=logs)
    assert capsys.readouterr().out == (
        "epoch 1.25 of 2, step 5 of 8: loss 0.7000, learning rate 3.00e-05\n"
        "epoch 1.25 of 2, step 5 of 8: validation loss 0.4000, accuracy 0.5000, weighted F1 0.6000, macro F1 0.3000\n"
    )


def test_a_bar_makes_way_for_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings: Any = SimpleNamespace(num_train_epochs=2)
    state: Any = SimpleNamespace(epoch=1.25, global_step=5, max_steps=8)
    with tqdm(total=8):
        capsys.readouterr()
        LogBar().on_log(settings, state, Any, logs={"loss": 0.7, "learning_rate": 3e-5})
        assert re.match(r"\r +\r+ +0%", capsys.readouterr().err)


def test_a_log_that_nobody_reads_any_more_stops_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    settings: Any = SimpleNamespace(num_train_epochs=2)
    state: Any = SimpleNamespace(epoch=1.25, global_step=5, max_steps=8)
    for callback in (LogLines(), LogBar()):
        with entry.Log(os.fdopen(os.dup(writer), "wb")) as log, monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", log)
            callback.on_log(settings, state, Any, logs={"loss": 0.7, "learning_rate": 3e-5})
    os.close(writer)


def test_in_a_terminal_a_bar_moves_and_no_line_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "SECONDS", -1.0)
    with progress.Progress("tokenize train", 8, "rows") as work:
        work.advance(2)
        assert work.bar.n == 2
    assert capsys.readouterr().out == ""


def test_a_bar_is_gone_from_the_terminal_at_the_end_of_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.Progress("tokenize train", 8, "rows") as work:
        work.advance(8)
    assert re.search(r"\r +\r$", capsys.readouterr().err)

"""How a signal ends a training: with a checkpoint, from which `dvc repro` resumes."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, Self

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.errors import Stopped
from stages.sealing import SEAL, ends_epoch

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BEGINS_AGAIN = "`dvc repro` starts this stage again"
BEFORE = f"no training was under way: {BEGINS_AGAIN}, from its newest checkpoint if there is one"
AFTER = "training had ended: `dvc repro` resumes from its last checkpoint"
EVALUATION_SECONDS = 5  # that an evaluation under way may still take: the checkpoint of its epoch comes after it


class Interruption(TrainerCallback):
    """Ends training when a signal comes: after the step in flight and a checkpoint of it; outside of training at once.

    The Trainer's own way of stopping would evaluate once more, which enters the choice of the best model. So the
    training is left by an exception as soon as the checkpoint is on disk. Signals are received within the context.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.training = False
        self.outside = BEFORE
        self.deadline = float("inf")
        self.handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup, & in a script
        self.handlers = {number: signal.signal(number, self.receive) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def receive(self, number: int, _: FrameType | None) -> None:
        """Note the signal, to be looked at between two steps.

        Raises:
            Stopped: no training is under way.
        """
        self.signal = self.signal or signal.Signals(number)
        if not self.training:
            raise Stopped(self.signal, self.outside)

    def ignore_signals(self) -> None:
        """Ignore them until the end of the context: the outputs are whole, but for being hashed and renamed."""
        for number in self.handlers:
            signal.signal(number, signal.SIG_IGN)

    def before_training(self) -> None:
        """Stop at once when a signal comes, also after a training that an exception has ended.

        Raises:
            Stopped: one has come: in such a training, or its exception was swallowed by a finalizer.
        """
        self.training = False
        if self.signal:
            raise Stopped(self.signal, BEFORE)

    def on_train_begin(self, *_: object, **__: object) -> None:
        """Wait for the end of a step from now on.

        Raises:
            Stopped: a signal has come.
        """
        self.before_training()
        self.training = True

    def on_step_end(self, _: object, state: TrainerState, control: TrainerControl, **__: object) -> None:
        """Ask for a checkpoint; at the end of an epoch there is one anyway, after the evaluation."""
        if self.signal and not ends_epoch(state):
            control.should_save = True

    def on_prediction_step(self, args: TrainingArguments, *_: object, **__: object) -> None:
        """Leave an evaluation that takes too long, without its epoch's checkpoint.

        Raises:
            Stopped: it has gone on for `EVALUATION_SECONDS` since the signal was seen.
        """
        if self.signal:
            self.deadline = min(self.deadline, time.monotonic() + EVALUATION_SECONDS)
            if time.monotonic() >= self.deadline:
                resumes = f"`dvc repro` resumes from the newest checkpoint in {args.output_dir}"
                sealed = any(Path(args.output_dir).glob(f"checkpoint-*/{SEAL}"))
                raise Stopped(self.signal, f"in a validation pass: {resumes if sealed else BEGINS_AGAIN}")

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: object, **__: object) -> None:
        """Leave after the checkpoint.

        Raises:
            Stopped: a signal has come.
        """
        if self.signal:
            path = f"{args.output_dir}/checkpoint-{state.global_step}"
            raise Stopped(
                self.signal,
                f"at step {state.global_step} of {state.max_steps}, checkpoint {path}: `dvc repro` resumes from it",
            )

    def on_train_end(self, args: TrainingArguments, state: TrainerState, *_: object, **__: object) -> None:
        """Wait no longer: what is left is short, and the last checkpoint is on disk.

        Raises:
            Stopped: a signal has come.
        """
        self.training, self.outside = False, AFTER
        self.on_save(args, state)

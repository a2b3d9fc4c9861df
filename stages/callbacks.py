"""Callbacks for the Trainer: plain lines of its progress, an end where the loss is not finite, ties between epochs.

Two more are in modules of their own: interruption.py and sealing.py.
"""

import shutil
from math import isfinite
from typing import Any

import torch
from tqdm import tqdm
from transformers import ProgressCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.errors import InputError
from stages.sealing import ends_epoch

_Logs = dict[str, float]


class LogLines(TrainerCallback):
    """Lines for a log."""

    def on_log(self, args: TrainingArguments, state: TrainerState, *_: object, logs: _Logs, **__: object) -> None:
        """Write a line."""
        if said := _progress(args, state, logs):
            with tqdm.external_write_mode():  # a bar makes way for it
                print(said, flush=True)


class LogBar(LogLines, ProgressCallback):
    """The Trainer's bar for a terminal, with the same lines above it."""


class FiniteLoss(TrainerCallback):
    """Ends training when the loss of ``trainer`` is infinite or NaN.

    A CPU looks after each step. A GPU is not made to wait for that, and looks before each line of the log, evaluation
    and checkpoint. It must come after those that set flags at the end of a step.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.learning_rate = 0.0

    def on_pre_optimizer_step(self, *_: object, optimizer: torch.optim.Optimizer, **__: object) -> None:
        """Note the learning rate of this step."""
        self.learning_rate = optimizer.param_groups[0]["lr"]

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Look at the loss summed up since the last line of the log.

        Raises:
            InputError: it is infinite or NaN.
        """
        if args.device.type == "cpu" or control.should_log or control.should_save or ends_epoch(state):
            self._check("training", self.trainer._tr_loss.item(), args, state)  # noqa: SLF001

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, *_: object, metrics: dict[str, float], **__: object
    ) -> None:
        """Look at the validation loss, which shows what the last step did to the weights.

        Raises:
            InputError: it is infinite or NaN.
        """
        self._check("validation", metrics["eval_loss"], args, state)

    def _check(self, split: str, loss: float, args: TrainingArguments, state: TrainerState) -> None:
        if not isfinite(loss):
            shutil.rmtree(args.output_dir, ignore_errors=True)  # resuming from them would lead here again
            raise InputError(
                f"the {split} loss is {loss} at step {state.global_step} of {state.max_steps}, learning rate "
                f"{self.learning_rate:.2e}: lower train.learning_rate, raise train.warmup_ratio, or lower "
                "train.max_grad_norm; where it is so from step 1 on, choose another checkpoint"
            )


class TieByLoss(TrainerCallback):
    """Has an epoch with the best score so far, at a lower validation loss than before, count as better.

    On few validation rows a score is soon the same from epoch to epoch, while the model goes on learning; the Trainer
    would keep the first of these, and early stopping would stop there.
    """

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, *_: object, metrics: dict[str, float], **__: object
    ) -> None:
        """Forget the best score on such an epoch: whatever comes next is then an improvement."""
        equal = metrics[f"eval_{args.metric_for_best_model}"] == state.best_metric
        if equal and metrics["eval_loss"] < best_epoch(state)["eval_loss"]:
            state.best_metric = None


def best_epoch(state: TrainerState) -> dict[str, Any]:
    """The scores of the best epoch so far, of at least one."""
    evaluated = (entry for entry in state.log_history if "eval_loss" in entry)
    return next(entry for entry in evaluated if entry["step"] == state.best_global_step)


def _progress(args: TrainingArguments, state: TrainerState, logs: _Logs) -> str:
    """The loss as training proceeds, or the validation scores after an epoch; empty for the Trainer's last summary."""
    if "loss" in logs:
        said = f"loss {logs['loss']:.4f}, learning rate {logs['learning_rate']:.2e}"
    elif "eval_loss" in logs:
        names = {"loss": "loss", "accuracy": "accuracy", "f1": "weighted F1", "f1_macro": "macro F1"}
        said = "validation " + ", ".join(f"{name} {logs[f'eval_{key}']:.4f}" for key, name in names.items())
    else:
        return ""
    at = f"epoch {state.epoch or 0:.2f} of {args.num_train_epochs}, step {state.global_step} of {state.max_steps}"
    return f"{at}: {said}"

"""A training's progress in plain lines, where the Trainer prints dicts."""

from tqdm import tqdm
from transformers import ProgressCallback, TrainerCallback, TrainerState, TrainingArguments

Logs = dict[str, float]


class LogLines(TrainerCallback):
    """Lines for a log."""

    def on_log(self, args: TrainingArguments, state: TrainerState, *_: object, logs: Logs, **__: object) -> None:
        """Write a line."""
        if said := line(args, state, logs):
            with tqdm.external_write_mode():  # a bar makes way for it
                print(said, flush=True)


class LogBar(LogLines, ProgressCallback):
    """The Trainer's bar for a terminal, with the same lines above it."""


def line(args: TrainingArguments, state: TrainerState, logs: Logs) -> str:
    """The loss as training proceeds, or the validation scores after an epoch; empty for the Trainer's last summary."""
    if "loss" in logs:
        said = f"loss {logs['loss']:.4f}, learning rate {logs['learning_rate']:.2e}"
    elif "eval_loss" in logs:
        names = {"eval_loss": "loss", "eval_accuracy": "accuracy", "eval_f1": "weighted F1"}
        said = "validation " + ", ".join(f"{name} {logs[key]:.4f}" for key, name in names.items())
    else:
        return ""
    at = f"epoch {state.epoch or 0:.2f} of {args.num_train_epochs}, step {state.global_step} of {state.max_steps}"
    return f"{at}: {said}"

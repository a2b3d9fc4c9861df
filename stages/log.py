"""A training's progress as plain lines for a log, where the Trainer prints dicts."""

from contextlib import suppress

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class LogLines(TrainerCallback):
    """Plain lines for a log."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Print the loss as training proceeds, and the validation scores after each epoch."""
        logs = logs or {}
        if "loss" in logs:
            said = f"loss {logs['loss']:.4f}, learning rate {logs['learning_rate']:.2e}"
        elif "eval_loss" in logs:
            names = {"eval_loss": "loss", "eval_accuracy": "accuracy", "eval_f1": "weighted F1"}
            said = "validation " + ", ".join(f"{name} {logs[key]:.4f}" for key, name in names.items())
        else:
            return
        at = f"epoch {state.epoch or 0:.2f} of {args.num_train_epochs}, step {state.global_step} of {state.max_steps}"
        with suppress(OSError):  # Ctrl-C ends a `| tee log` too, and the checkpoint comes after this line
            print(f"{at}: {said}", flush=True)

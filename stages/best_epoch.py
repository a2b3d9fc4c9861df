"""Which epoch's model a training keeps: that of the best score, and of equal ones that of the lowest loss."""

from typing import Any

from transformers import TrainerCallback, TrainerState, TrainingArguments


class TieByLoss(TrainerCallback):
    """Has an epoch with the best score so far, at a lower validation loss than before, count as better.

    On few validation rows a score is soon the same from epoch to epoch, while the model goes on learning; the Trainer
    would keep the first of these, and early stopping would stop there.
    """

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, *_: object, metrics: dict[str, float], **__: object
    ) -> None:
        """Forget the best score on such an epoch: whatever comes next is then an improvement."""
        best = kept(state)
        equal = metrics[f"eval_{args.metric_for_best_model}"] == state.best_metric
        if best and equal and metrics["eval_loss"] < best["eval_loss"]:
            state.best_metric = None


def kept(state: TrainerState) -> dict[str, Any] | None:
    """The scores of the best epoch so far, None before the first."""
    evaluated = (entry for entry in state.log_history if "eval_loss" in entry)
    return next((entry for entry in evaluated if entry["step"] == state.best_global_step), None)

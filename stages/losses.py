"""The loss of training where the model's own does not do, and the end of a training whose loss is not finite."""

import shutil
from math import isfinite
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.errors import InputError
from stages.sealing import ends_epoch

TEMPERATURE = 0.3  # of the contrastive loss


class BatchLoss:
    """The Trainer's ``compute_loss_func``: a micro-batch's loss, divided by the rows of the whole batch.

    The Trainer assumes that a model whose forward takes any keyword argument divides its loss like this. Of one that
    returns its micro-batch's mean, the gradients would be too large by the number of micro-batches.
    """

    def __init__(self, model: PreTrainedModel, label_smoothing: float, contrastive_weight: float) -> None:
        self.model, self.label_smoothing, self.contrastive_weight = model, label_smoothing, contrastive_weight
        if contrastive_weight:
            head(model).register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.texts = inputs[0]

    def __call__(self, outputs: dict[str, Any], labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, and in training the contrastive loss of the vectors that the head was given."""
        loss = nn.functional.cross_entropy(
            outputs["logits"], labels, label_smoothing=self.label_smoothing, reduction="sum"
        )
        if self.contrastive_weight and self.model.training:
            if self.texts.ndim != 2:
                raise _unfit(self.model)
            loss = torch.lerp(loss, contrastive(self.texts, labels).sum(), self.contrastive_weight)
        return loss / num_items_in_batch


class FiniteLoss(TrainerCallback):
    """Ends training when the loss of ``trainer`` is infinite or NaN.

    A CPU looks after each step. A GPU is not made to wait for that, and looks before each line of the log, evaluation
    and checkpoint. It must be the last callback, so that it sees the flags that the others set.
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


def contrastive(texts: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The supervised contrastive loss of Gunel et al. 2021 (arXiv 2011.01403, equation 3), within a batch.

    Args:
        texts: a vector for each text, ``[rows, width]``; only their directions count.
        labels: ``[rows]``.

    Returns:
        ``[rows]``; 0 for a text whose label no other has.
    """
    texts = nn.functional.normalize(texts.float(), dim=-1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarity = texts @ texts.T / TEMPERATURE
    likelihood = similarity.masked_fill(itself, torch.finfo(similarity.dtype).min).log_softmax(-1)
    alike = (labels[:, None] == labels) & ~itself
    return -likelihood.masked_fill(~alike, 0.0).sum(-1) / alike.sum(-1).clamp(min=1)


def head(model: PreTrainedModel) -> nn.Linear:
    """The layer that computes the logits.

    Raises:
        InputError: there is none.
    """
    body = f"{model.base_model_prefix}."  # XLM-RoBERTa's comes after its head
    linear = [
        module for name, module in model.named_modules() if isinstance(module, nn.Linear) and not name.startswith(body)
    ]
    if not linear or linear[-1].out_features != model.config.num_labels:
        raise _unfit(model)
    return linear[-1]


def _unfit(model: PreTrainedModel) -> InputError:
    return InputError(
        f"params.yaml: train.contrastive_weight: the head of {type(model).__name__} is not given one vector for each "
        "text: set it to 0, or choose another model"
    )

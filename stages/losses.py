"""The loss: cross-entropy, and in training the supervised contrastive loss."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from stages.errors import InputError

TEMPERATURE = 0.3  # of the contrastive loss


class BatchLoss:
    """The Trainer's ``compute_loss_func``: a micro-batch's loss, divided by the rows of the whole batch.

    A model's own loss may be the mean over its micro-batch, even where the Trainer takes its forward's ``**kwargs`` to
    mean that it divides like this: the gradients would be too large by the number of micro-batches.
    """

    def __init__(self, model: PreTrainedModel, label_smoothing: float, contrastive_weight: float) -> None:
        self.model, self.label_smoothing, self.contrastive_weight = model, label_smoothing, contrastive_weight
        if contrastive_weight:
            head(model).register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.embeddings = inputs[0]

    def __call__(self, outputs: dict[str, Any], labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, and in training the contrastive loss of the vectors that the head was given."""
        loss = nn.functional.cross_entropy(
            outputs["logits"], labels, label_smoothing=self.label_smoothing, reduction="sum"
        )
        if self.contrastive_weight and self.model.training:
            if self.embeddings.ndim != 2:
                raise _unfit(self.model)
            loss = torch.lerp(loss, contrastive(self.embeddings, labels).sum(), self.contrastive_weight)
        return loss / num_items_in_batch


def contrastive(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The supervised contrastive loss of Gunel et al. 2021 (arXiv 2011.01403, equation 3), within a batch.

    Args:
        embeddings: a vector for each text, ``[rows, width]``; only their directions count.
        labels: ``[rows]``.

    Returns:
        ``[rows]``; 0 for a text whose label no other has.
    """
    embeddings = nn.functional.normalize(embeddings.float(), dim=-1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarity = embeddings @ embeddings.T / TEMPERATURE
    log_likelihood = similarity.masked_fill(itself, torch.finfo(similarity.dtype).min).log_softmax(-1)
    alike = (labels[:, None] == labels) & ~itself
    return -log_likelihood.masked_fill(~alike, 0.0).sum(-1) / alike.sum(-1).clamp(min=1)


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

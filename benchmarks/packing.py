"""Packing: several texts in one row, where each attends to itself alone. Tried against length-grouped batches.

The verdict and its figures are in benchmarks/README.md.
"""

from typing import Any

import numpy as np
import torch
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput


class Pack:
    """Collates texts to rows of at most ``length`` tokens (more where a text is longer), by first fit, longest first.

    Gives ``input_ids`` and ``position_ids`` ``[rows, longest]``, ``attention_mask`` ``[rows, 1, longest, longest]``
    (0 within a text, the least float between two), ``starts`` ``[texts, 2]`` (row and place of each text's first
    token) and ``labels`` ``[texts]``, in the order of the texts.
    """

    def __init__(self, pad_token_id: int, length: int = 96) -> None:
        self.pad_token_id, self.length = pad_token_id, length

    def __call__(self, texts: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pack ``texts``."""
        lengths = np.array([len(text["input_ids"]) for text in texts])
        starts = np.empty((len(texts), 2), dtype=np.int64)
        used: list[int] = []
        for text in np.argsort(-lengths, kind="stable"):
            fits = (row for row, filled in enumerate(used) if filled + lengths[text] <= self.length)
            row = next(fits, len(used))
            if row == len(used):
                used.append(0)
            starts[text] = row, used[row]
            used[row] += lengths[text]
        ids = np.full((len(used), max(used)), self.pad_token_id, dtype=np.int64)
        positions, owner = np.zeros_like(ids), np.full_like(ids, -1)
        for text, (row, start) in enumerate(starts):
            place = slice(start, start + lengths[text])
            ids[row, place], positions[row, place] = texts[text]["input_ids"], np.arange(lengths[text])
            owner[row, place] = text
        together = (owner[:, None, :, None] == owner[:, None, None, :]) & (owner >= 0)[:, None, None, :]
        mask = torch.zeros(together.shape).masked_fill_(~torch.from_numpy(together), torch.finfo(torch.float32).min)
        return {
            "input_ids": torch.from_numpy(ids),
            "position_ids": torch.from_numpy(positions),
            "attention_mask": mask,
            "starts": torch.from_numpy(starts),
            "labels": torch.tensor([text["label"] for text in texts]),
        }


def forward(
    model: BertForSequenceClassification, starts: torch.Tensor, labels: torch.Tensor, **inputs: torch.Tensor
) -> SequenceClassifierOutput:
    """What ``model`` gives for each packed text: logits ``[texts, labels]`` and the mean cross-entropy."""

    def first(_: torch.nn.Module, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(state[starts[:, 0], starts[:, 1]].unsqueeze(1) for state in states)

    attention = model.bert.encoder.layer[-1].attention
    vars(attention.self).pop("forward", None)  # that of first_token.narrow is for the first token of a row alone
    narrowed = attention.output.register_forward_pre_hook(first, prepend=True)  # before narrow's, if that is there
    hidden = model.bert(**inputs).last_hidden_state
    narrowed.remove()
    logits = model.classifier(model.dropout(model.bert.pooler(hidden)))
    return SequenceClassifierOutput(loss=torch.nn.functional.cross_entropy(logits.float(), labels), logits=logits)

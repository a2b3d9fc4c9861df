"""The one inference function: sorted by length, batched by tokens, the order of the rows restored."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.batching import PadToLongest, TokenizedRows
from stages.progress import Progress

TOKENS_PER_BATCH = 8192  # padding counted
TOKENS_PER_BATCH_ON_CPU = 1024  # so that a layer's activations stay in its cache

Pool = Callable[[Any, torch.Tensor], torch.Tensor]


def infer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: TokenizedRows, title: str, pool: Pool
) -> npt.NDArray[np.float32]:
    """Give what ``pool`` makes of the model's output, ``[rows, width]``, in float32 and in the order of ``rows``.

    The model computes in the precision of its weights, on the device it is on.

    Args:
        model: takes input_ids and attention_mask.
        tokenizer: the model's, which says how to pad.
        rows: what it is run on.
        title: names the work in progress.
        pool: from a batch's output and attention mask ``[batch, tokens]`` to ``[batch, width]``.
    """
    collate = PadToLongest(tokenizer)
    parts = batches(rows.lengths, TOKENS_PER_BATCH_ON_CPU if model.device.type == "cpu" else TOKENS_PER_BATCH)
    result: npt.NDArray[np.float32] | None = None
    torch.backends.cudnn.allow_tf32 = False  # else a GPU's convolutions round float32
    model.eval()
    with torch.inference_mode(), Progress(title, len(rows), "rows") as progress:
        for batch in parts:
            padded = collate([rows[row] for row in batch])
            inputs = {name: padded[name].to(model.device) for name in ("input_ids", "attention_mask")}
            values = pool(model(**inputs), inputs["attention_mask"]).float().cpu().numpy()
            if result is None:
                result = np.empty((len(rows), values.shape[1]), dtype=np.float32)
            result[batch] = values
            progress.advance(len(batch))
    assert result is not None, "no rows"  # noqa: S101 - download lets no empty split pass
    return result


def first_token_pooling(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The hidden state ``[batch, width]`` of each row's first token, of ``hidden`` ``[batch, tokens, width]``."""
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.argmax(dim=1)]


def mean_pooling(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean ``[batch, width]`` of the hidden states of each row's tokens, padding left out."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def batches(lengths: npt.NDArray[np.int64], tokens: int) -> list[npt.NDArray[np.int64]]:
    """Split the rows into batches of similar length that padded hold at most ``tokens`` each, the longest first."""
    order = np.argsort(-lengths, kind="stable")
    parts, start = [], 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        parts.append(order[start : start + size])
        start += size
    return parts

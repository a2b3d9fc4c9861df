"""The one inference function: sorted by length, batched by tokens, the order of the rows restored."""

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from stages.batching import PadToLongest, TokenizedRows
from stages.progress import Progress

TOKENS = 8192  # in a batch, padding counted


def logits(model: PreTrainedModel, rows: TokenizedRows, collate: PadToLongest, title: str) -> npt.NDArray[np.float32]:
    """Give the model's logits ``[rows, labels]`` in float32 and in the order of ``rows``.

    The model computes in the precision of its weights, on the device it is on.
    """
    result = np.empty((len(rows), model.config.num_labels), dtype=np.float32)
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode(), Progress(title, len(rows), "rows") as progress:
        for batch in batches(rows.lengths):
            inputs = collate([rows[row] for row in batch])
            del inputs["labels"]
            output = model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits
            result[batch] = output.float().cpu().numpy()
            progress.advance(len(batch))
    return result


def batches(lengths: npt.NDArray[np.int64], tokens: int = TOKENS) -> list[npt.NDArray[np.int64]]:
    """Part the rows into batches of similar length that padded hold at most ``tokens`` each, the longest first."""
    order = np.argsort(-lengths, kind="stable")
    parts, start = [], 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        parts.append(order[start : start + size])
        start += size
    return parts

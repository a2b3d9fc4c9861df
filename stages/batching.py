"""Tokenized rows in memory, and batches of them padded to their longest."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from transformers import PreTrainedTokenizerBase


class TokenizedRows(torch.utils.data.Dataset[dict[str, Any]]):
    """The rows of a tokenized split over one flat array of token ids.

    Attributes:
        ids: the token ids of all rows, one after the other, ``[tokens]``.
        lengths: tokens of each row, ``[rows]``.
        ends: where each row ends in ``ids``, ``[rows]``.
        labels: label number of each row, ``[rows]``.
    """

    def __init__(self, table: pa.Table) -> None:
        ids = table["input_ids"].combine_chunks()
        self.ids: npt.NDArray[np.int32] = ids.flatten().to_numpy(zero_copy_only=False)
        self.lengths: npt.NDArray[np.int64] = ids.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        self.ends: npt.NDArray[np.int64] = np.cumsum(self.lengths)
        self.labels: npt.NDArray[np.int64] = table["label"].to_numpy()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self.ids[self.ends[row] - self.lengths[row] : self.ends[row]], "label": self.labels[row]}


class PadToLongest:
    """Collates rows to ``input_ids``, ``attention_mask`` ``[rows, longest]`` and ``labels`` ``[rows]``."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.pad_token_id, self.side = tokenizer.pad_token_id, tokenizer.padding_side

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pad ``rows`` to the longest among them."""
        lengths = np.array([len(row["input_ids"]) for row in rows])
        places = np.arange(lengths.max())
        mask = places < lengths[:, None] if self.side == "right" else places >= lengths.max() - lengths[:, None]
        ids = np.full(mask.shape, self.pad_token_id, dtype=np.int64)
        ids[mask] = np.concatenate([row["input_ids"] for row in rows])
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
            "labels": torch.tensor(np.array([row["label"] for row in rows])),
        }

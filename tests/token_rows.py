"""Rows of random token ids, where only mechanics count."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from stages.batching import TokenizedRows

PAD = 0
TOKENIZER: Any = SimpleNamespace(pad_token_id=PAD, padding_side="right")  # all that `infer` asks of one


def make_rows(lengths: list[int]) -> TokenizedRows:
    """Rows of so many random token ids each, none of them ``PAD``; each has its position as label."""
    draw = np.random.default_rng(0)
    ids = [draw.integers(5, 60, length).tolist() for length in lengths]
    labels = pa.array(range(len(ids)), pa.int64())
    return TokenizedRows(pa.table({"input_ids": pa.array(ids, pa.list_(pa.int32())), "label": labels}))


ROWS = make_rows([3, 40, 7, 90, 12, 1, 64, 5])
TEXTS = [ROWS[row] for row in range(len(ROWS))]

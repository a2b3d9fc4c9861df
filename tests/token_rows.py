"""Rows of random token ids, and small models of random weights, where only mechanics count."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from stages.batching import TokenizedRows

PAD = 0
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TOKENIZER: Any = SimpleNamespace(pad_token_id=PAD, padding_side="right")  # all that `infer` asks of one


def make_rows(lengths: list[int]) -> TokenizedRows:
    """Rows of so many random token ids each, none of them ``PAD``; each has its position as label."""
    draw = np.random.default_rng(0)
    ids = [draw.integers(5, 60, length).tolist() for length in lengths]
    labels = pa.array(range(len(ids)), pa.int64())
    return TokenizedRows(pa.table({"input_ids": pa.array(ids, pa.list_(pa.int32())), "label": labels}))


def small_model(architecture: str, **config: Any) -> PreTrainedModel:
    """A classifier of an architecture, with the same random weights each time."""
    torch.manual_seed(0)
    defaults = {"vocab_size": 1000, "num_labels": 8, "pad_token_id": PAD} | SIZES
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(architecture, **defaults | config))


ROWS = make_rows([3, 40, 7, 90, 12, 1, 64, 5])
TEXTS = [ROWS[row] for row in range(len(ROWS))]

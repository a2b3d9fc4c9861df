"""The input embeddings while they are trained: only the rows of tokens that the texts have.

Most of a small model's weights are embeddings, and most tokens occur in no text. Their rows never get a gradient, yet
AdamW would read and write them, and their two moments, at every step.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from stages.batching import TokenizedRows


class TrimmedEmbedding(nn.Embedding):
    """An embedding of which the rows of ``tokens`` are trained; ``state_dict`` gives and takes all of ``whole``'s rows.

    The rows of other tokens stay as they are, without weight decay too. Reading one is an error.
    """

    def __init__(self, whole: nn.Embedding, tokens: npt.NDArray[np.int64]) -> None:
        kept = torch.from_numpy(tokens)
        rows = torch.full((whole.num_embeddings,), len(kept))  # past the last: read, it is refused
        rows[kept] = torch.arange(len(kept))
        padding = None if whole.padding_idx is None else int(rows[whole.padding_idx])
        super().__init__(len(kept), whole.embedding_dim, padding, _weight=whole.weight.detach()[kept])
        self.register_buffer("rows", rows, persistent=False)
        self.whole, self.tokens = whole.weight.detach().cpu(), kept
        self.register_state_dict_post_hook(_untrim)
        self.register_load_state_dict_pre_hook(_trim)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - the name that nn.Embedding gives it
        """Embed token ids of any shape."""
        return super().forward(self.rows[input])


def _untrim(module: TrimmedEmbedding, state: dict[str, Any], prefix: str, _: Any) -> None:
    weight = state[f"{prefix}weight"].detach().cpu()
    state[f"{prefix}weight"] = module.whole.index_copy(0, module.tokens, weight)


def _trim(module: TrimmedEmbedding, state: dict[str, Any], prefix: str, *_: Any) -> None:
    state[f"{prefix}weight"] = state[f"{prefix}weight"][module.tokens]


def trim(model: PreTrainedModel, pad_token_id: int, *splits: TokenizedRows) -> None:
    """Have only the embeddings of the splits' tokens and of padding trained; other classes than torch's are left."""
    whole = model.get_input_embeddings()
    if type(whole) is nn.Embedding:
        used = np.zeros(whole.num_embeddings, dtype=bool)
        # the last two are for architectures that pad by themselves
        padding = {pad_token_id, whole.padding_idx, model.config.get_text_config().pad_token_id} & set(range(len(used)))
        used[sorted(padding)] = True
        for rows in splits:
            used[rows.ids] = True
        model.set_input_embeddings(TrimmedEmbedding(whole, np.flatnonzero(used)))

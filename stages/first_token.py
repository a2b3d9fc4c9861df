"""The last layer of a classifier whose head reads the first token only: computed for that token alone.

Nothing reads what that layer makes of the other tokens, so logits and gradients stay those of the whole layer.
"""

import functools

import torch
from torch import nn
from transformers import PreTrainedModel

# of the architectures whose head reads the first token only, by their layer: the attention, its projections, and the
# module that mixes its output with what the layer was given
BERT = ("encoder.layer.{}.attention", "self", ("query", "key", "value"), "output")
PARTS = {
    **dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), BERT),
    "distilbert": ("transformer.layer.{}", "attention", ("q_lin", "k_lin", "v_lin"), "sa_layer_norm"),
}


def narrow(model: PreTrainedModel) -> None:
    """Have the last layer computed for the first token only; decoders and other architectures are left alone."""
    config = model.config
    if config.model_type not in PARTS or getattr(config, "is_decoder", False):
        return
    path, name, projections, mix = PARTS[config.model_type]
    layer = model.base_model.get_submodule(path.format(config.num_hidden_layers - 1))
    attention = layer.get_submodule(name)
    attention.forward = functools.partial(attend, attention, *map(attention.get_submodule, projections))
    layer.get_submodule(mix).register_forward_pre_hook(lambda _, states: tuple(state[:, :1] for state in states))


def attend(
    attention: nn.Module,
    query: nn.Linear,
    key: nn.Linear,
    value: nn.Linear,
    states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """The first token's attention ``[rows, 1, width]`` to ``states`` ``[rows, tokens, width]``.

    No token's key or value is computed: since ``q · (K x) = (q K) · x`` and ``sum(w V x) = V sum(w x)``, the query and
    the sum over the tokens are projected instead.
    """
    size = attention.attention_head_size  # r: rows, h: heads, s: size of a head, t: tokens, w: width
    queries = query(states[:, 0]).unflatten(1, (-1, size))
    queries = torch.einsum("rhs,hsw->rhw", queries, key.weight.unflatten(0, (-1, size)))
    scores = torch.einsum("rhw,rtw->rht", queries, states) * attention.scaling  # key.bias would shift all alike
    if attention_mask is not None:  # [rows, 1, 1 or tokens, tokens]: what is added to scores, or which are kept
        mask = attention_mask[:, 0, :1]
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    weights = attention.dropout(scores.softmax(-1))
    context = torch.einsum("rht,rtw->rhw", weights, states)
    context = torch.einsum("rhw,hsw->rhs", context, value.weight.unflatten(0, (-1, size)))
    context = context + weights.sum(-1, keepdim=True) * value.bias.unflatten(0, (-1, size))
    finish = getattr(attention, "out_lin", nn.Identity())
    return finish(context.flatten(1)).unsqueeze(1), None

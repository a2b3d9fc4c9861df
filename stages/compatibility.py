"""Whether a model, its tokenizer and the rows belong together, asked before any of them is computed with for long."""

from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from stages import paths
from stages.batching import PadToLongest, TokenizedRows
from stages.errors import InputError, of_machine, reason

PADDING_TOLERANCE = 1e-3  # of the largest logit; rounding makes a hundredth of it


def check_fit(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *splits: TokenizedRows, bf16: bool = False
) -> None:
    """Check that the model can read what the tokenizer gives, in float32 or under autocast to bfloat16.

    Raises:
        InputError: there is no padding token, a token id outside the vocabulary, or a text longer than the positions,
            or the model does not compute what it is given.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"{paths.TOKENIZER}: no padding token: set pad_token in tokenizer_config.json, or choose another model"
        )
    _check_vocabulary(model, max(tokenizer.pad_token_id, *(int(rows.ids.max(initial=0)) for rows in splits)))
    _check_positions(model, tokenizer.pad_token_id, max(int(rows.lengths.max()) for rows in splits))
    short, _ = _extremes(splits[0])
    _compute(model, tokenizer, [short], bf16=bf16)


def check_checkpoint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: TokenizedRows) -> None:
    """Check that a checkpoint not seen before can be fine-tuned, and its hidden states be pooled.

    Raises:
        InputError: it gives no hidden state for each token, or gives a text other logits where it is padded.
    """
    short, long = _extremes(rows)
    if len(short["input_ids"]) == len(long["input_ids"]):  # such as texts that were all cut at tokenize.max_length
        short = short | {"input_ids": short["input_ids"][: max(1, len(short["input_ids"]) // 2)]}
    alone, padded = (_compute(model, tokenizer, texts, output_hidden_states=True) for texts in ([short], [short, long]))
    if alone.hidden_states[-1].shape[1] != len(short["input_ids"]):
        raise InputError(
            f"{model.name_or_path}: {type(model).__name__} does not give a hidden state for each token: choose another "
            "model"
        )
    if (alone.logits[0] - padded.logits[0]).abs().max() > PADDING_TOLERANCE * alone.logits[0].abs().max():
        advice = "set padding_side in tokenizer_config.json to the other side"
        if _pad_token_id(model) != tokenizer.pad_token_id:  # by which some models find where a text ends
            advice = f"set pad_token_id in its config.json to {tokenizer.pad_token_id}"
        raise InputError(
            f"{model.name_or_path}: {type(model).__name__} gives a text other logits where it is padded on the "
            f"{tokenizer.padding_side}, as {paths.TOKENIZER} wants: {advice}, or choose another model"
        )


def _extremes(rows: TokenizedRows) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shortest row and the longest."""
    return rows[int(rows.lengths.argmin())], rows[int(rows.lengths.argmax())]


def _check_vocabulary(model: PreTrainedModel, largest: int) -> None:
    try:
        size = model.get_input_embeddings().weight.shape[0]
    except (NotImplementedError, AttributeError):
        raise InputError(
            f"{model.name_or_path}: {type(model).__name__} has no embeddings of tokens: choose another model"
        ) from None
    if largest >= size:
        raise InputError(
            f"{paths.TOKENIZER}: gives token id {largest}, but the model knows {size} tokens: take the "
            "checkpoint's own tokenizer"
        )


def _check_positions(model: PreTrainedModel, pad_token_id: int, longest: int) -> None:
    positions = getattr(model.config, "max_position_embeddings", None) or -1  # -1 where there is no limit
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if (reserved := getattr(table, "padding_idx", None)) is not None:  # RoBERTa's kind counts on from it
        if reserved != pad_token_id:  # and would take that token for padding
            raise InputError(
                f"{paths.TOKENIZER}: pads with token {pad_token_id}, but {type(model).__name__} counts "
                f"positions from its own padding token, {reserved}: take the checkpoint's own tokenizer"
            )
        positions -= reserved + 1
    if 0 < positions < longest:
        raise InputError(
            f"params.yaml: tokenize.max_length: texts of {longest} tokens, but the model has {positions} positions: "
            f"set it to at most {positions}"
        )


def _pad_token_id(model: PreTrainedModel) -> int | None:
    """The padding token by the model's config."""
    return getattr(model.config.get_text_config(), "pad_token_id", None)


def _compute(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[dict[str, Any]],
    *,
    bf16: bool = False,
    **more: Any,
) -> ModelOutput:
    """The model's output for a batch, without dropout: the model is left in evaluation mode."""
    inputs = {name: tensor.to(model.device) for name, tensor in PadToLongest(tokenizer)(rows).items()}
    try:
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            return model.eval()(**inputs, **more)
    except Exception as error:  # whatever an architecture raises where it needs other inputs, or another precision
        if of_machine(error):  # which is tried again with fewer texts
            raise
        advice = "choose another model"
        if _pad_token_id(model) is None:  # which some decoders need
            advice = f"set pad_token_id in its config.json to {tokenizer.pad_token_id}, or {advice}"
        raise InputError(
            f"{model.name_or_path}: {type(model).__name__} does not compute {'in bfloat16 ' if bf16 else ''}"
            f"({reason(error)}): {advice}"
        ) from error

"""Loading: the pretrained checkpoint as a classifier, the fine-tuned one, tokenizers; and whether they fit the data."""

import functools
import json
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from stages import machine, paths
from stages.batching import PadToLongest, TokenizedRows
from stages.errors import InputError, reading, reason, require

PADDING_TOLERANCE = 1e-3  # of the largest logit; rounding makes a hundredth of it


def load_pretrained(names: list[str]) -> PreTrainedModel:
    """Load the checkpoint in float32 with a classification head for ``names``: its own where it has one of that size.

    Raises:
        InputError: the checkpoint has no architecture for sequence classification, its weights do not fill it, or it
            has a head for these labels in another order.
    """
    require(paths.PRETRAINED)
    try:
        own = AutoConfig.from_pretrained(paths.PRETRAINED, trust_remote_code=False).id2label
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            paths.PRETRAINED,
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
            problem_type="single_label_classification",
            output_hidden_states=False,
            output_attentions=False,
            return_dict=True,
            chunk_size_feed_forward=0,  # whatever the config says: same result, and no text length is refused
            dtype="float32",
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # a head for other labels is replaced; the body is checked below
            output_loading_info=True,
        )
    except Exception as error:  # whatever another architecture or a damaged file makes the library raise
        raise InputError(
            f"{paths.PRETRAINED}: does not load for sequence classification ({reason(error)}): choose another model, "
            "or, where this one is damaged, delete it and run `dvc checkout`"
        ) from error
    order = [str(own[number]) for number in sorted(own)]
    if order != names and sorted(order) == sorted(names):  # under other names its head would start from errors
        raise InputError(
            f"params.yaml: dataset.labels: {paths.PRETRAINED} has these labels in another order: set it to "
            f"{json.dumps(order, ensure_ascii=False)}, and renumber the rows' labels where they are integers"
        )
    if model.config.is_encoder_decoder:
        raise InputError(f"{paths.PRETRAINED}: {type(model).__name__} has a decoder: choose an encoder, such as BERT")
    body = f"{model.base_model_prefix}."
    unfilled = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    missing = sorted(key for key in unfilled if key.startswith(body) and ".pooler." not in key)
    if missing:
        raise InputError(
            f"{paths.PRETRAINED}: its weights lack {missing[0]} (of that shape) and {len(missing) - 1} more: they and "
            f"config.json are not of one {type(model).__name__}"
        )
    if not getattr(model.config, "num_hidden_layers", 1):
        raise InputError(f"{paths.PRETRAINED}: {type(model).__name__} without a layer: choose another model")
    # under the model's own names, by which the Trainer loads a checkpoint, and not those in the pretrained file
    model.save_pretrained = functools.partial(model.save_pretrained, save_original_format=False)
    return model


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer that an earlier stage left at ``path``.

    Raises:
        InputError: it is missing or damaged.
    """
    with reading(path):
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def load_fine_tuned(**config: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the fine-tuned classifier, in float32 and on this machine's device, and its tokenizer.

    Raises:
        InputError: one of them is missing or damaged.
    """
    with reading(paths.CLASSIFIER):
        model = AutoModelForSequenceClassification.from_pretrained(
            paths.CLASSIFIER, dtype="float32", use_safetensors=True, trust_remote_code=False, **config
        )
    return model.to(machine.device()), load_tokenizer(paths.CLASSIFIER)


def check_fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *splits: TokenizedRows,
    bf16: bool = False,
    pooled: bool = False,
) -> None:
    """Check that the model can read what the tokenizer gives, in float32 or under autocast to bfloat16.

    Raises:
        InputError: there is no padding token, a token id outside the vocabulary, a text longer than the positions, or
            the model does not compute what it is given, or, with ``pooled``, gives no hidden state for each token, or
            gives a text other logits where it is padded.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(f"{paths.TOKENIZER}: no padding token: choose a checkpoint that has one")
    try:
        size = model.get_input_embeddings().weight.shape[0]
    except NotImplementedError:
        raise InputError(
            f"{paths.PRETRAINED}: {type(model).__name__} has no embeddings of tokens: choose another model"
        ) from None
    if (largest := max(tokenizer.pad_token_id, *(int(rows.ids.max(initial=0)) for rows in splits))) >= size:
        raise InputError(
            f"{paths.TOKENIZER}: gives token id {largest}, but the model knows {size} tokens: "
            "they do not belong together"
        )
    positions = getattr(model.config, "max_position_embeddings", None) or -1  # -1 where there is no limit
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if (reserved := getattr(table, "padding_idx", None)) is not None:  # RoBERTa's kind counts on from it
        if reserved != tokenizer.pad_token_id:  # the Trainer would write the tokenizer's into config.json
            raise InputError(
                f"{paths.TOKENIZER}: pads with token {tokenizer.pad_token_id}, but {type(model).__name__} counts "
                f"positions from its own padding token, {reserved}: they do not belong together"
            )
        positions -= reserved + 1
    if 0 < positions < (longest := max(int(rows.lengths.max()) for rows in splits)):
        raise InputError(
            f"params.yaml: tokenize.max_length: texts of {longest} tokens, but the model has {positions} positions"
        )
    short, long = (splits[0][int(row)] for row in (splits[0].lengths.argmin(), splits[0].lengths.argmax()))
    collate = PadToLongest(tokenizer.pad_token_id, tokenizer.padding_side)
    _check_computes(model, collate([short]), bf16=bf16, pooled=pooled)
    if pooled:
        _check_padding(model, collate([short]), collate([short, long]), tokenizer.padding_side)


def _check_computes(model: PreTrainedModel, batch: dict[str, torch.Tensor], *, bf16: bool, pooled: bool) -> None:
    inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
    training = model.training
    try:
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            output = model.eval()(**inputs, output_hidden_states=pooled)
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # the GPU's fault, not the model's
        raise
    except Exception as error:  # whatever an architecture raises where it needs other inputs, or another precision
        raise InputError(
            f"{paths.PRETRAINED}: {type(model).__name__} does not compute {'in bfloat16 ' if bf16 else ''}"
            f"({reason(error)}): choose another model"
        ) from error
    finally:
        model.train(training)
    if pooled and output.hidden_states[-1].shape[1] != inputs["input_ids"].shape[1]:
        raise InputError(
            f"{paths.PRETRAINED}: {type(model).__name__} does not give a hidden state for each token: choose another "
            "model"
        )


def _check_padding(
    model: PreTrainedModel, alone: dict[str, torch.Tensor], padded: dict[str, torch.Tensor], side: str
) -> None:
    """Compare the first text's logits, in float32, where it is ``alone`` and where it is ``padded``."""
    training = model.training
    model.eval()
    with torch.no_grad():
        one, other = (
            model(**{name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}).logits[0]
            for batch in (alone, padded)
        )
    model.train(training)
    if (one - other).abs().max() > PADDING_TOLERANCE * one.abs().max():
        raise InputError(
            f"{paths.PRETRAINED}: {type(model).__name__} gives a text other logits where it is padded on the {side}, "
            f"as {paths.TOKENIZER} wants: set padding_side in tokenizer_config.json to the other side, or choose "
            "another model"
        )

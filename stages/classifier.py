"""Loading: the pretrained checkpoint as a classifier, the fine-tuned classifier, and tokenizers."""

import functools
import json
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from stages import machine, paths
from stages.errors import InputError, listed, reason


def load_pretrained(names: list[str]) -> PreTrainedModel:
    """Load the checkpoint in float32 with a classification head for ``names``: its own where it has one of that size.

    Raises:
        InputError: the checkpoint has no architecture for sequence classification, or one with a decoder or without a
            layer, its weights do not fill it, or it has a head for these labels in another order.
    """
    paths.require(paths.PRETRAINED)
    try:
        config = AutoConfig.from_pretrained(paths.PRETRAINED, trust_remote_code=False)
        own, more = config.id2label, {}
        if getattr(config, "attention_type", "") == "block_sparse":  # BigBird's, which its first short text would end
            more["attention_type"] = "original_full"
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
            **more,
        )
    except Exception as error:  # whatever another architecture or a damaged file makes the library raise
        raise InputError(
            f"{paths.PRETRAINED}: does not load for sequence classification ({reason(error)}): choose another model, "
            "or, where this one is damaged, delete it and run `dvc checkout`"
        ) from error
    _check_order([str(own[number]) for number in sorted(own)], names)
    _check_architecture(model)
    _check_weights(model, loading)
    # under the model's own names, by which the Trainer loads a checkpoint, and not those in the pretrained file
    model.save_pretrained = functools.partial(model.save_pretrained, save_original_format=False)
    return model


def _check_order(own: list[str], names: list[str]) -> None:
    """Compare the labels of the checkpoint's head, if it has any, with those of the data, in whatever case."""
    spelt = {name.casefold(): name for name in names} | {name: name for name in names}
    order = [spelt.get(label, spelt.get(label.casefold(), label)) for label in own]
    if order != names and sorted(order) == sorted(names):  # under other names its head would start from errors
        raise InputError(
            f"params.yaml: dataset.labels: {paths.PRETRAINED} has these labels in another order: set it to "
            f"{json.dumps(order, ensure_ascii=False)}, and renumber the rows' labels where they are integers"
        )


def _check_architecture(model: PreTrainedModel) -> None:
    name = type(model).__name__
    if model.config.is_encoder_decoder:
        raise InputError(f"{paths.PRETRAINED}: {name} has a decoder: choose an encoder, such as BERT")
    if not getattr(model.config, "num_hidden_layers", 1):
        raise InputError(f"{paths.PRETRAINED}: {name} without a layer: choose another model")


def _check_weights(model: PreTrainedModel, loading: dict[str, Any]) -> None:
    """Refuse weights that leave a part of the body as it was initialized; warn of those that the model does not use."""
    body = f"{model.base_model_prefix}."
    unfilled = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    missing = sorted(key for key in unfilled if key.startswith(body) and ".pooler." not in key)
    if missing:
        raise InputError(
            f"{paths.PRETRAINED}: its weights lack, or have in another shape, {listed(missing)}: they and config.json "
            f"are not of one {type(model).__name__}: choose another checkpoint, or fetch this one again"
        )
    parts = {name for name, _ in model.base_model.named_children() if name != "pooler"}
    if unused := sorted(key for key in loading["unexpected_keys"] if key.removeprefix(body).split(".")[0] in parts):
        print(
            f"warning: {paths.PRETRAINED}: {type(model).__name__}, as config.json sets it up, does not use these "
            f"weights: {listed(unused)}"
        )


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer that an earlier stage left at ``path``.

    Raises:
        InputError: it is missing or damaged.
    """
    with paths.reading(path):
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def load_fine_tuned() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the fine-tuned classifier, in float32 and on this machine's device, and its tokenizer.

    Raises:
        InputError: one of them is missing or damaged.
    """
    with paths.reading(paths.CLASSIFIER):
        model = AutoModelForSequenceClassification.from_pretrained(
            paths.CLASSIFIER, dtype="float32", use_safetensors=True, trust_remote_code=False
        )
    return model.to(machine.device()), load_tokenizer(paths.CLASSIFIER)

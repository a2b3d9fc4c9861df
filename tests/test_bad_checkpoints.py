"""A bad checkpoint ends the stage that first can tell with a line that says what is wrong, and leaves nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edits import cut, edit_json, instead, link_to_nowhere
from own_data import GOOD, TOO_DEEP, Fail, Workspace, own_checkpoint, own_dataset
from safetensors import safe_open
from safetensors.numpy import save_file
from token_rows import small_model

from stages import download, errors, paths, pretrained, tokenize, train
from stages.classifier import load_pretrained


def replace(name: str, content: bytes | None) -> Callable[[Path], None]:
    """What writes a file of a checkpoint anew, or removes it."""

    def change(checkpoint: Path) -> None:
        (checkpoint / name).unlink(missing_ok=content is not None)
        if content is not None:
            (checkpoint / name).write_bytes(content)

    return change


def pickled(name: str) -> Callable[[Path], Any]:
    """What gives the weights the name of a pickle."""
    return lambda checkpoint: (checkpoint / "model.safetensors").rename(checkpoint / name)


def sharded(index: str) -> Callable[[Path], None]:
    """What makes the weights one shard of those that an index lists."""

    def change(checkpoint: Path) -> None:
        (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
        (checkpoint / "model.safetensors.index.json").write_text(index)

    return change


def drop_tokenizer(checkpoint: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (checkpoint / name).unlink()


def sentencepiece_only(checkpoint: Path) -> None:
    drop_tokenizer(checkpoint)
    (checkpoint / "spiece.model").touch()


CHECKPOINTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (
        replace("config.json", None), "own-model: no config.json: is it a checkpoint in the Transformers format?"
    ),
    "config that is not JSON": (
        replace("config.json", b"{nope"), "own-model/config.json: not JSON (Expecting property name"
    ),
    "config that is not UTF-8": (replace("config.json", b"\xff"), "own-model/config.json: not JSON ("),
    "config nested without end": (
        replace("config.json", b"[" * 100_000),
        f"own-model/config.json: not JSON ({TOO_DEEP}",
    ),
    "config that is a folder": (
        lambda checkpoint: instead(checkpoint / "config.json", Path.mkdir),
        "own-model: no config.json",
    ),
    "config that is a list": (replace("config.json", b"[1]"), "own-model/config.json: no model_type: is it a"),
    "config without model_type": (replace("config.json", b"{}"), "own-model/config.json: no model_type: is it a"),
    "config whose model_type is a number": (
        replace("config.json", b'{"model_type": 7}'), "own-model/config.json: no model_type: is it a"
    ),
    "remote code": (
        lambda checkpoint: edit_json(checkpoint / "config.json", auto_map={"AutoModel": "modeling.Model"}),
        "own-model/config.json: asks for remote code (auto_map), which is never run: choose another checkpoint",
    ),
    "remote code for the tokenizer": (
        lambda checkpoint: edit_json(checkpoint / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.X", None]}),
        "own-model/tokenizer_config.json: asks for remote code (auto_map), which is never run: choose another",
    ),
    **{
        f"{key} of another place in {name}": (
            replace(name, json.dumps({key: "/etc/passwd"}).encode()),
            f"own-model/{name}: {key}: names a file: remove it, or choose another checkpoint",
        )
        for name, keys in (
            ("tokenizer_config.json", ("vocab", "merges", "entity_vocab", "vocab_file", "merges_file")),
            ("special_tokens_map.json", ("vocab", "merges", "vocab_file", "tokenizer_file")),
        )
        for key in keys
    },
    **{
        f"{key} of another place within {outer}": (
            replace("tokenizer_config.json", json.dumps({outer: inner}).encode()),
            f"own-model/tokenizer_config.json: {key}: names a file: remove it, or choose another checkpoint",
        )
        for outer, key, inner in (
            ("mecab_kwargs", "mecab_option", {"mecab_dic": None, "mecab_option": "-d /elsewhere"}),
            ("sudachi_kwargs", "sudachi_config_path", {"sudachi_config_path": "/elsewhere/sudachi.json"}),
            ("sudachi_kwargs", "sudachi_resource_dir", {"sudachi_resource_dir": "/elsewhere"}),
            ("init_inputs", "init_inputs", ["/elsewhere/vocab.txt"]),
        )
    },
    "tokenizer's config that is not JSON": (
        replace("tokenizer_config.json", b"{nope"), "own-model/tokenizer_config.json: not JSON (Expecting property"
    ),
    **{
        f"pickled weights only, {name}": (
            pickled(name), "own-model: its weights are pickled, which is never loaded: save them as safetensors"
        )
        for name in ("pytorch_model.bin", "model.pt", "model.pth", "model.ckpt")
    },
    "no weights": (replace("model.safetensors", None), "own-model: no safetensors weights: choose another checkpoint"),
    "weights cut short": (
        lambda checkpoint: cut(checkpoint / "model.safetensors"),
        "own-model/model.safetensors: not whole safetensors (",
    ),
    "empty weights": (replace("model.safetensors", b""), "own-model/model.safetensors: not whole safetensors ("),
    "weights that are none": (
        replace("model.safetensors", b"<html>" * 99), "own-model/model.safetensors: not whole safetensors ("
    ),
    "weights whose header claims more than there is": (
        replace("model.safetensors", b"\xff" * 7 + b"\0" + b"{}"),
        "own-model/model.safetensors: not whole safetensors (",
    ),
    "weights whose header is not JSON": (
        replace("model.safetensors", (8).to_bytes(8, "little") + b"{nope!!}"),
        "own-model/model.safetensors: not whole safetensors (",
    ),
    "weights with a pickle's content": (
        replace("model.safetensors", b"\x80\x04K\x01."), "own-model/model.safetensors: not whole safetensors ("
    ),
    "weights that link to nowhere": (
        lambda checkpoint: instead(checkpoint / "model.safetensors", link_to_nowhere),
        "own-model/model.safetensors: No such file or directory: it is a link that leads nowhere: ",
    ),
    **{
        name: (
            sharded(index),
            "own-model/model.safetensors.index.json: names weights that are not beside it: fetch the checkpoint again",
        )
        for name, index in {
            "an index that is a list": "[]",
            "an index without a map": "{}",
            "an index with a map of numbers": '{"weight_map": {"pooler.dense.bias": 1}}',
            "an index with a map of lists": '{"weight_map": {"pooler.dense.bias": ["model.safetensors"]}}',
            "an index that leads elsewhere": '{"weight_map": {"pooler.dense.bias": "../own-model/model.safetensors"}}',
            "a shard missing": '{"weight_map": {"pooler.dense.bias": "model-00002-of-00002.safetensors"}}',
        }.items()
    },
    "an index that is not JSON": (sharded("{"), "own-model/model.safetensors.index.json: not JSON ("),
    "no tokenizer": (
        drop_tokenizer,
        "own-model: no tokenizer: one of tokenizer.json, vocab.txt, vocab.json is needed beside the weights",
    ),
    "a tokenizer of SentencePiece's only": (
        sentencepiece_only,
        ("own-model: no tokenizer: one of tokenizer.json, vocab.txt, vocab.json is needed beside the weights, "
        "spiece.model alone is not read: where sentencepiece and protobuf are installed, load it with AutoTokenizer"),
    ),
    "no folder": (
        shutil.rmtree,
        "params.yaml: model.path: own-model is not a folder: set it to one with config.json and safetensors weights",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_a_bad_checkpoint_is_found_at_download(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, change: Callable[[Path], None], message: str
) -> None:
    change(own_checkpoint(workspace, tiny_random_checkpoint))
    assert fail().startswith(message)


def test_weights_with_another_sha256_are_refused(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {}, model__weights_sha256="0" * 64)
    error = fail()
    assert "model.safetensors: sha256 is " in error
    assert f"model.weights_sha256 is {'0' * 64}: not the weights asked for; if they are right, set " in error


def test_the_hash_of_weights_in_several_files_is_refused(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path
) -> None:
    checkpoint = own_checkpoint(workspace, tiny_random_checkpoint, model__weights_sha256="0" * 64)
    shutil.copyfile(checkpoint / "model.safetensors", checkpoint / "more.safetensors")
    assert fail() == "model.weights_sha256: own-model has 2 weight files: set it to null"


def test_a_text_that_is_no_token_is_named(workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path) -> None:
    checkpoint = own_checkpoint(workspace, tiny_random_checkpoint)
    edit_json(checkpoint / "tokenizer.json", post_processor=None)  # it puts special tokens around a text
    edit_json(checkpoint / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    (checkpoint.parent / "own/train.csv").write_text(GOOD + "\u200b,a\n", encoding="utf-8")
    download.main()
    said = r"the checkpoint's tokenizer makes no token of '\u200b': fix or remove that row in your data"
    row = GOOD.count("\n") - 1
    assert fail(tokenize.main) == f"data/raw/train.parquet, row {row} (from 0): {said}"


def other_type(name: str) -> Callable[[Path], None]:
    return lambda checkpoint: edit_json(checkpoint / "config.json", model_type=name)


def no_body(checkpoint: Path) -> None:
    save_file({"nothing": np.zeros(1)}, checkpoint / "model.safetensors", metadata={"format": "pt"})


def encoder_and_decoder(checkpoint: Path) -> None:
    small_model("t5", d_kv=8).save_pretrained(checkpoint)


MODELS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unknown model_type": (
        other_type("nonesuch"),
        ("does not load for sequence classification (ValueError: The checkpoint you are trying to load has model type "
        "`nonesuch` but Transformers does not recognize this architecture."),
    ),
    "model_type that classifies no texts": (
        other_type("vit"), "does not load for sequence classification (ValueError: Unrecognized configuration class"
    ),
    "an encoder and a decoder": (
        encoder_and_decoder, "T5ForSequenceClassification has a decoder: choose an encoder, such as BERT"
    ),
    "weights of another architecture": (
        other_type("distilbert"), "its weights lack, or have in another shape, distilbert.transformer.",
    ),
    "hidden_size below 0": (
        lambda checkpoint: edit_json(checkpoint / "config.json", hidden_size=-32),
        "does not load for sequence classification (",
    ),
    "no attention heads": (
        lambda checkpoint: edit_json(checkpoint / "config.json", num_attention_heads=0),
        "does not load for sequence classification (",
    ),
    "unknown activation": (
        lambda checkpoint: edit_json(checkpoint / "config.json", hidden_act="nonesuch"),
        "does not load for sequence classification (",
    ),
    "no weights of the body at all": (no_body, "its weights lack, or have in another shape, bert."),
    "weights of fewer layers": (
        lambda checkpoint: edit_json(checkpoint / "config.json", num_hidden_layers=3),
        "its weights lack, or have in another shape, bert.encoder.layer.2.",
    ),
    "weights of another width": (
        lambda checkpoint: edit_json(checkpoint / "config.json", hidden_size=64),
        "its weights lack, or have in another shape, bert.embeddings.LayerNorm.bias, ",
    ),
    "no layer": (
        lambda checkpoint: edit_json(checkpoint / "config.json", num_hidden_layers=0),
        "BertForSequenceClassification without a layer: choose another model",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MODELS.values(), ids=MODELS)
def test_a_checkpoint_that_is_no_text_classifier_is_found_at_train(
    workspace: Workspace,
    fail: Fail,
    tiny_random_checkpoint: Path,
    change: Callable[[Path], None],
    message: str,
) -> None:
    change(own_checkpoint(workspace, tiny_random_checkpoint))
    download.main()
    tokenize.main()
    error = fail(train.main)
    assert error.startswith(f"models/pretrained/model: {message}")
    assert "\n" not in error


def test_weights_that_the_model_does_not_use_are_told_of(
    workspace: Workspace, tiny_random_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "config.json", num_hidden_layers=1)
    download.main()
    capsys.readouterr()
    with safe_open(Path(paths.PRETRAINED) / "model.safetensors", "np") as weights:
        unused = sorted(name for name in weights.keys() if name.startswith("encoder.layer.1."))  # noqa: SIM118
    load_pretrained(["a", "b"])
    assert capsys.readouterr().out == (
        "warning: models/pretrained/model: BertForSequenceClassification, as config.json sets it up, does not use "
        f"these weights: {errors.listed(unused)}\n"
    )


def test_bigbird_computes_a_text_alike_whatever_texts_came_before(workspace: Workspace) -> None:
    workspace()
    model = small_model("big_bird", attention_type="block_sparse", num_labels=2)
    model.save_pretrained(paths.PRETRAINED)
    assert load_pretrained(["a", "b"]).config.attention_type == "original_full"


def test_every_file_that_a_tokenizer_may_need_is_copied(tiny_random_checkpoint: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_random_checkpoint, tmp_path / "source")
    names = {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
    names |= {"vocab.txt", "vocab.json", "merges.txt", "spiece.model"}
    for name in (*names, "modeling.py"):
        (source / name).write_text('{"model_type": "bert"}', encoding="utf-8")
    pretrained.copy_checkpoint(source, tmp_path / "model", tmp_path / "tokenizer", None)
    assert {file.name for file in (tmp_path / "tokenizer").iterdir()} == names
    assert {file.name for file in (tmp_path / "model").iterdir()} == {"config.json", "model.safetensors"}

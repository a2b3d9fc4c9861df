"""A tokenizer that cannot be relied on is refused before any text is tokenized with it."""

import shutil
from pathlib import Path

import pytest
from edits import edit_json
from own_data import Fail, Workspace, own_checkpoint

from stages import download, paths, tables, tokenize
from stages.errors import InputError
from stages.tokenizer import checked_tokenizer


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{nope"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"\xff\xfe"),
        ("tokenizer.json", b""),
        ("tokenizer.json", b"[" * 100_000),
        ("tokenizer.json", b'{"version": "1.0", "model": {"type": "WordPiece", "vocab": []}}'),
        ("tokenizer_config.json", b"[1]"),
        ("config.json", b'{"model_type": "bert", "hidden_size": "wide"}'),
        ("tokenizer_config.json", b'{"tokenizer_class": "BertTokenizer", "model_max_length": "long"}'),
    ],
)
def test_a_broken_tokenizer_is_found_at_tokenize(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, name: str, content: bytes
) -> None:
    (own_checkpoint(workspace, tiny_random_checkpoint) / name).write_bytes(content)
    download.main()
    error = fail(tokenize.main)
    assert error.startswith("models/pretrained/tokenizer: not a tokenizer that works (")
    assert error.endswith("): choose another checkpoint")
    assert "\n" not in error


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unk_token": None}, "Exception: WordPiece error: Missing [UNK] token from the vocabulary"),
        ({"model_max_length": "256"}, "TypeError: '>' not supported between instances of 'int' and 'str'"),
    ],
)
def test_a_tokenizer_that_fails_at_some_texts_is_found_at_tokenize(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, changes: dict[str, str | None], problem: str
) -> None:
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "tokenizer_config.json", **changes)
    download.main()
    said = f"models/pretrained/tokenizer: not a tokenizer that works ({problem}): choose another checkpoint"
    assert fail(tokenize.main) == said


def test_a_tokenizer_of_which_its_class_makes_another_is_refused_and_can_be_mended(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path
) -> None:
    config = own_checkpoint(workspace, tiny_random_checkpoint) / "tokenizer_config.json"
    download.main()
    tokenize.main()
    expected = tables.read(paths.tokenized("train"))
    edit_json(config, tokenizer_class="RobertaTokenizer")
    download.main()
    assert fail(tokenize.main) == (
        "models/pretrained/tokenizer/tokenizer.json: of its WordPiece tokenizer RobertaTokenizer makes a BPE "
        "tokenizer: set tokenizer_class in tokenizer_config.json to PreTrainedTokenizerFast, or choose another "
        "checkpoint"
    )
    edit_json(config, tokenizer_class="PreTrainedTokenizerFast")
    download.main()
    tokenize.main()
    assert tables.read(paths.tokenized("train")) == expected


def test_as_many_tokens_as_the_checkpoint_takes_may_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_random_checkpoint: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_random_checkpoint, paths.TOKENIZER)
    assert checked_tokenizer(256).model_max_length == 256
    said = r"^params\.yaml: tokenize\.max_length: 257 is more than the 256 tokens that the checkpoint takes: lower it"
    with pytest.raises(InputError, match=said):
        checked_tokenizer(257)

"""A model, a tokenizer and rows that do not belong together are refused before they are computed with."""

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from edits import append, edit_json
from own_data import GOOD, Fail, Workspace, own_checkpoint
from token_rows import PAD, ROWS, TOKENIZER, make_rows, small_model
from transformers import AutoConfig, AutoModelForSequenceClassification

from stages import baselines, download, errors, paths, tokenize, train
from stages.compatibility import check_checkpoint, check_fit


@pytest.mark.parametrize(("split", "stage"), [("train", train), ("validation", train), ("test", baselines)])
def test_texts_over_the_model_s_positions_are_refused(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, split: str, stage: ModuleType
) -> None:
    checkpoint = own_checkpoint(workspace, tiny_random_checkpoint, tokenize__max_length=512)
    edit_json(checkpoint / "tokenizer_config.json", model_max_length=10**30)
    (checkpoint.parent / f"own/{split}.csv").write_text(GOOD + f"{'word ' * 300},a\n", encoding="utf-8")
    download.main()
    tokenize.main()
    assert fail(stage.main) == (
        "params.yaml: tokenize.max_length: texts of 512 tokens, but the model has 256 positions: set it to at most 256"
    )


@pytest.mark.parametrize(("reserved", "positions"), [(0, 33), (1, 32)])
def test_positions_that_roberta_s_kind_keeps_for_itself_are_not_counted(reserved: int, positions: int) -> None:
    model = small_model("roberta", max_position_embeddings=34, pad_token_id=reserved)
    tokenizer: Any = SimpleNamespace(pad_token_id=reserved, padding_side="right")
    check_fit(model, tokenizer, make_rows([positions]))
    said = f"texts of {positions + 1} tokens, but the model has {positions} positions: set it to at most {positions}"
    with pytest.raises(errors.InputError, match=said):
        check_fit(model, tokenizer, make_rows([positions + 1]))


def test_positions_that_roberta_s_kind_counts_from_another_padding_token_are_refused() -> None:
    said = f"pads with token {PAD}, but RobertaForSequenceClassification counts positions from its own padding token, 1"
    with pytest.raises(errors.InputError, match=said):
        check_fit(small_model("roberta", pad_token_id=1), TOKENIZER, ROWS)


@pytest.mark.parametrize("stage", [train, baselines])
def test_a_model_that_reads_its_padding_is_refused(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, stage: ModuleType
) -> None:
    checkpoint = own_checkpoint(workspace, tiny_random_checkpoint)
    edit_json(checkpoint / "tokenizer_config.json", padding_side="left")
    append(checkpoint.parent / "own/train.csv", "a much longer text than the others,a\n")
    download.main()
    tokenize.main()
    assert fail(stage.main) == (
        f"{paths.PRETRAINED}: BertForSequenceClassification gives a text other logits where it is padded on the left, "
        f"as {paths.TOKENIZER} wants: set padding_side in tokenizer_config.json to the other side, or choose another "
        "model"
    )


def test_an_architecture_that_mixes_padding_into_the_text_is_refused() -> None:
    with pytest.raises(errors.InputError, match="gives a text other logits where it is padded on the right"):
        check_checkpoint(small_model("fnet"), TOKENIZER, ROWS)


def test_an_architecture_that_mixes_padding_into_the_text_is_refused_even_where_no_train_row_is_padded() -> None:
    with pytest.raises(errors.InputError, match="gives a text other logits where it is padded on the right"):
        check_checkpoint(small_model("fnet"), TOKENIZER, make_rows([40, 40]))


def test_rows_of_one_token_each_are_computed() -> None:
    check_checkpoint(small_model("bert"), TOKENIZER, make_rows([1, 1]))


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("Canine", {}),
        ("Perceiver", {"num_latents": 4, "d_latents": 16, "d_model": 16, "num_cross_attention_heads": 2}),
    ],
)
def test_a_model_without_embeddings_of_tokens_is_refused(architecture: str, config: dict[str, int]) -> None:
    said = f"{architecture}ForSequenceClassification has no embeddings of tokens: choose"
    with pytest.raises(errors.InputError, match=said):
        check_fit(small_model(architecture.lower(), **config), TOKENIZER, ROWS)


def test_a_decoder_that_is_told_no_padding_token_is_refused() -> None:
    said = r"GPT2ForSequenceClassification does not compute .*: set pad_token_id in its config\.json to 0, or choose"
    with pytest.raises(errors.InputError, match=said):
        check_checkpoint(small_model("gpt2", pad_token_id=None), TOKENIZER, ROWS)


def test_a_decoder_that_is_told_another_padding_token_is_refused() -> None:
    said = r"is padded on the right, as \S+ wants: set pad_token_id in its config\.json to 0, or choose another model$"
    with pytest.raises(errors.InputError, match=said):
        check_checkpoint(small_model("gpt2", pad_token_id=2), TOKENIZER, ROWS)


def test_a_model_that_needs_to_be_told_more_is_refused() -> None:
    said = r"XmodForSequenceClassification does not compute \(ValueError: Input language unknown"
    with pytest.raises(errors.InputError, match=said):
        check_fit(small_model("xmod"), TOKENIZER, ROWS)


def test_the_model_that_is_refused_is_named_by_its_folder(tmp_path: Path) -> None:
    small_model("fnet").save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    with pytest.raises(errors.InputError, match=f"^{tmp_path}: FNetForSequenceClassification gives a text other"):
        check_checkpoint(model, TOKENIZER, ROWS)


def test_a_model_that_does_not_compute_in_bfloat16_is_refused_where_that_is_used() -> None:
    model = small_model("deberta")
    check_fit(model, TOKENIZER, ROWS)
    said = r"DebertaForSequenceClassification does not compute in bfloat16 \("
    with pytest.raises(errors.InputError, match=said):
        check_fit(model, TOKENIZER, ROWS, bf16=True)


def test_a_checkpoint_whose_states_are_not_of_the_tokens_is_refused() -> None:
    sizes = {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32, "num_labels": 8}
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model("funnel", vocab_size=80, **sizes))
    rows = make_rows([9, 30])
    check_fit(model, TOKENIZER, rows)
    with pytest.raises(errors.InputError, match="does not give a hidden state for each token: choose another model"):
        check_checkpoint(model, TOKENIZER, rows)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused() -> None:
    said = "gives token id 59, but the model knows 20 tokens: take the checkpoint's own tokenizer"
    with pytest.raises(errors.InputError, match=said):
        check_fit(small_model("bert", vocab_size=20), TOKENIZER, ROWS)


def test_padding_and_the_tokens_of_every_split_have_to_be_in_the_vocabulary() -> None:
    beyond: Any = SimpleNamespace(pad_token_id=1000, padding_side="right")
    with pytest.raises(errors.InputError, match="gives token id 1000, but the model knows 1000 tokens"):
        check_fit(small_model("bert"), beyond, ROWS)
    with pytest.raises(errors.InputError, match="gives token id 59, but the model knows 59 tokens"):
        check_fit(small_model("bert", vocab_size=59), TOKENIZER, make_rows([1]), ROWS)


def test_a_tokenizer_without_padding_is_refused() -> None:
    without: Any = SimpleNamespace(pad_token_id=None)
    with pytest.raises(
        errors.InputError, match=r"tokenizer: no padding token: set pad_token in tokenizer_config\.json"
    ):
        check_fit(small_model("bert"), without, ROWS)

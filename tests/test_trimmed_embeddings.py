"""Training only the embeddings of tokens in use: the same weights, saved in their places."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from token_rows import PAD, ROWS, SIZES, TEXTS, TOKENIZER, make_rows, small_model
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from stages import first_token, trimmed_embeddings
from stages.batching import PadToLongest
from stages.trimmed_embeddings import TrimmedEmbedding


@pytest.fixture
def model() -> PreTrainedModel:
    return small_model("bert").eval()


@pytest.mark.parametrize("architecture", [*first_token.PARTS, "albert", "deberta-v2", "mpnet", "modernbert", "gpt2"])
def test_training_only_the_embeddings_of_tokens_in_use_changes_no_weight(architecture: str, tmp_path: Path) -> None:
    whole = small_model(architecture).eval()
    trimmed = copy.deepcopy(whole)
    trimmed_embeddings.trim(trimmed, PAD, ROWS)
    assert len(trimmed.get_input_embeddings().weight) < len(whole.get_input_embeddings().weight) == 1000
    for model in (whole, trimmed):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
        for texts in (TEXTS[:4], TEXTS[4:]):
            optimizer.zero_grad()
            model(**PadToLongest(TOKENIZER)(texts)).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    trimmed.save_pretrained(tmp_path)
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(saved.state_dict(), whole.state_dict(), rtol=1e-4, atol=1e-6)


def test_embeddings_are_trimmed_where_the_padding_token_stands_in_the_config_of_the_text_model_only() -> None:
    text, image = {"vocab_size": 1000, "pad_token_id": PAD}, {"image_size": 8, "patch_size": 4}
    config = AutoConfig.for_model(
        "modernvbert",
        text_config={"model_type": "modernbert"} | text | SIZES,
        vision_config={"model_type": "siglip_vision_model"} | image | SIZES,
    )
    model = AutoModelForSequenceClassification.from_config(config)
    trimmed_embeddings.trim(model, PAD, ROWS)
    assert type(model.get_input_embeddings()) is TrimmedEmbedding


def test_a_trimmed_embedding_takes_back_what_it_saved(model: PreTrainedModel) -> None:
    trimmed = copy.deepcopy(model)
    trimmed_embeddings.trim(trimmed, PAD, ROWS)
    torch.nn.init.normal_(trimmed.get_input_embeddings().weight)
    saved = {name: tensor.clone() for name, tensor in trimmed.state_dict().items()}
    torch.nn.init.zeros_(trimmed.get_input_embeddings().weight)
    assert not trimmed.load_state_dict(saved).missing_keys
    torch.testing.assert_close(trimmed.state_dict(), saved, rtol=0, atol=0)


def test_a_trimmed_embedding_refuses_a_token_it_was_not_made_for() -> None:
    trimmed = trimmed_embeddings.TrimmedEmbedding(torch.nn.Embedding(10, 4), np.array([2, 5]))
    with pytest.raises(IndexError):
        trimmed(torch.tensor([[2, 3]]))


def test_padding_has_no_gradient_where_it_has_moved_to_either() -> None:
    trimmed = trimmed_embeddings.TrimmedEmbedding(torch.nn.Embedding(10, 4, padding_idx=5), np.array([2, 4, 5]))
    trimmed(torch.tensor([[2, 4, 5]])).sum().backward()
    assert trimmed.weight.grad is not None
    assert trimmed.weight.grad.any(dim=1).tolist() == [True, True, False]


def test_embeddings_of_another_class_than_torchs_are_left_alone(model: PreTrainedModel) -> None:
    class Scaled(torch.nn.Embedding):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            return 2 * super().forward(input)

    model = copy.deepcopy(model)
    whole = Scaled(1000, 32)
    model.set_input_embeddings(whole)
    trimmed_embeddings.trim(model, PAD, ROWS)
    assert model.get_input_embeddings() is whole


@pytest.mark.parametrize("by", ["the tokenizer", "the model"])
def test_the_embedding_of_padding_is_kept_whoever_names_it(by: str) -> None:
    unused = min(set(range(1000)) - {PAD, *ROWS.ids.tolist()})
    named = {"pad_token_id": PAD if by == "the tokenizer" else unused}
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model("bert", vocab_size=1000, **SIZES))
    model.get_input_embeddings().padding_idx = None
    model.config.update(named)
    trimmed_embeddings.trim(model, unused if by == "the tokenizer" else PAD, ROWS)
    assert model.get_input_embeddings()(torch.tensor([[PAD, unused]])).isfinite().all()


def test_padding_that_has_no_embedding_is_not_kept() -> None:
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model("bert", vocab_size=1000, **SIZES))
    model.config.pad_token_id = 1000
    trimmed_embeddings.trim(model, PAD, ROWS)
    assert len(model.get_input_embeddings().weight) == len({PAD, *ROWS.ids.tolist()})


def test_the_embeddings_of_the_tokens_of_every_split_are_kept() -> None:
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model("bert", vocab_size=1000, **SIZES))
    few, many = make_rows([2]), make_rows([90])
    trimmed_embeddings.trim(model, PAD, few, many)
    assert len(model.get_input_embeddings().weight) == len({PAD, *few.ids.tolist(), *many.ids.tolist()})

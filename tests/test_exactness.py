"""However texts are batched, the float32 logits are the same (tiny random checkpoint: only mechanics count)."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from token_rows import PAD, ROWS, SIZES, TEXTS, TOKENIZER, make_rows, small_model
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.trainer_pt_utils import LengthGroupedSampler

from benchmarks import packing
from stages import cpu, fine_tuning, first_token, machine
from stages.batching import PadToLongest
from stages.trimmed_embeddings import TrimmedEmbedding

BATCH = 3
LIVELY = 0.2  # of random weights: with the usual 0.02, every token gets about the same attention


@pytest.fixture(scope="module")
def model(tiny_random_checkpoint: Path) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(tiny_random_checkpoint, num_labels=8).eval()


@pytest.fixture(scope="module")
def alone(model: PreTrainedModel) -> torch.Tensor:
    """The logits ``[texts, labels]`` of each text in a batch of its own, which needs no padding."""
    with torch.inference_mode():
        return torch.cat([model(torch.tensor(text["input_ids"][None]).long()).logits for text in TEXTS])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])  # of inference, and of training on a CPU
def test_padding_changes_no_logit(model: PreTrainedModel, alone: torch.Tensor, attention: str) -> None:
    batch = PadToLongest(TOKENIZER)(TEXTS)
    default = model.config._attn_implementation  # noqa: SLF001
    model.set_attn_implementation(attention)
    with torch.inference_mode():
        logits = model(batch["input_ids"], batch["attention_mask"]).logits
    model.set_attn_implementation(default)
    torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)


def test_grouping_by_length_changes_no_logit(model: PreTrainedModel, alone: torch.Tensor) -> None:
    order = list(LengthGroupedSampler(BATCH, lengths=[len(text["input_ids"]) for text in TEXTS]))
    assert sorted(order) == list(range(len(TEXTS)))
    logits = torch.empty_like(alone)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = PadToLongest(TOKENIZER)([TEXTS[row] for row in rows])
            logits[rows] = model(batch["input_ids"], batch["attention_mask"]).logits
    torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("narrowed", [False, True])  # as the benchmark has it
@pytest.mark.parametrize("length", [1, 50, 96, 256])
def test_packing_changes_no_logit(model: PreTrainedModel, alone: torch.Tensor, length: int, *, narrowed: bool) -> None:
    if narrowed:
        model = copy.deepcopy(model)
        first_token.narrow(model)
    batch = packing.Pack(PAD, length)(TEXTS)
    with torch.inference_mode():
        logits = packing.forward(model, **batch).logits
    torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])  # a mask of booleans, and one that is added
@pytest.mark.parametrize("architecture", first_token.PARTS)
def test_computing_the_first_token_only_changes_no_logit_and_no_gradient(architecture: str, attention: str) -> None:
    model = small_model(architecture, attn_implementation=attention, initializer_range=LIVELY).eval()
    for name, weight in model.named_parameters():  # they begin as zeros, which no mistake would change
        if name.endswith(".bias"):
            torch.nn.init.normal_(weight)
    assert model.config.num_hidden_layers == SIZES["num_hidden_layers"]
    batch = PadToLongest(TOKENIZER)(TEXTS)

    def learned() -> list[torch.Tensor]:
        model.zero_grad()
        output = model(**batch)
        output.loss.backward()
        return [output.logits, *(0 * weight if weight.grad is None else weight.grad for weight in model.parameters())]

    computed: list[torch.Size] = []
    last = [layer for layer in model.base_model.modules() if isinstance(layer, torch.nn.LayerNorm)][-1]
    last.register_forward_hook(lambda _, __, output: computed.append(output.shape))
    whole = learned()
    first_token.narrow(model)
    torch.testing.assert_close(learned(), whole, rtol=1e-4, atol=1e-6)
    assert [shape[1] for shape in computed] == [batch["input_ids"].shape[1], 1]


@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
def test_what_dropout_takes_from_the_first_token_it_takes_with_the_bias(architecture: str) -> None:
    model = small_model(architecture, initializer_range=LIVELY).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    attention = [module for module in model.modules() if hasattr(module, "attention_head_size")][-1]
    attention.dropout.p = 1.0
    torch.nn.init.normal_(getattr(attention, "value" if architecture == "bert" else "v_lin").bias)
    batch = PadToLongest(TOKENIZER)(TEXTS)
    whole = model(**batch).logits
    first_token.narrow(model)
    torch.testing.assert_close(model(**batch).logits, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "albert"},
        {"model_type": "bert", "is_decoder": True},
    ],
)
def test_other_architectures_are_computed_as_they_are(config: dict[str, Any]) -> None:
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(**{"vocab_size": 1000} | SIZES | config)
    )
    first_token.narrow(model)
    assert not any(module._forward_pre_hooks or "forward" in vars(module) for module in model.modules())  # noqa: SLF001


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 80))
def test_a_pack_holds_every_text_once(lengths: list[int], length: int) -> None:
    rows = make_rows(lengths)
    batch = packing.Pack(PAD, length)([rows[row] for row in range(len(rows))])
    assert batch["input_ids"].shape[1] <= max(length, *lengths, 0)
    for row, (line, start) in enumerate(batch["starts"].tolist()):
        place = slice(start, start + lengths[row])
        np.testing.assert_array_equal(batch["input_ids"][line, place], rows[row]["input_ids"])
        assert batch["position_ids"][line, place].tolist() == list(range(lengths[row]))
    assert int((batch["input_ids"] != PAD).sum()) == sum(lengths)


def test_training_on_a_cpu_takes_what_makes_it_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: torch.device("cpu"))
    called: list[str] = []
    for name in ("keep_heap", "draw_masks_fast"):  # both are done once for a process, in which others may have
        monkeypatch.setattr(cpu, name, lambda name=name: called.append(name))
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model("bert", vocab_size=1000, **SIZES))
    fine_tuning.speed_up(model, PAD, ROWS)
    assert isinstance(model.get_input_embeddings(), TrimmedEmbedding)
    assert model.config._attn_implementation == "eager"  # noqa: SLF001
    assert any(module._forward_pre_hooks for module in model.modules())  # noqa: SLF001
    assert called == ["keep_heap", "draw_masks_fast"]

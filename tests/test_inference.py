"""Batches and the one inference function, on the tiny random checkpoint: order and padding change no result."""

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from edits import edit_json
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from token_rows import PAD, TOKENIZER, make_rows
from trainings import Prepare
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from stages import audit, baselines, evaluate, paths, progress, tables, train
from stages.batching import PadToLongest, TokenizedRows
from stages.classifier import load_fine_tuned
from stages.inference import batches, first_token_pooling, infer, mean_pooling
from tools import predict


@pytest.fixture(scope="module")
def model(tiny_random_checkpoint: Path) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(tiny_random_checkpoint, num_labels=3).eval()


def test_logits_are_those_of_each_row_alone_and_in_the_order_of_the_rows(model: PreTrainedModel) -> None:
    rows = make_rows([3, 40, 7, 7, 200, 12, 1, 90] * 9)
    together = infer(model, TOKENIZER, rows, "test", lambda output, _: output.logits)
    with torch.inference_mode():
        alone = [
            model(torch.tensor(row["input_ids"][None]).long()).logits[0].numpy()
            for row in (rows[i] for i in range(len(rows)))
        ]
    np.testing.assert_allclose(together, np.array(alone), rtol=1e-4, atol=1e-5)


def test_each_row_that_is_done_counts_as_progress(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS", -1.0)
    infer(model, TOKENIZER, make_rows([3, 40, 7] * 9), "test", lambda output, _: output.logits)
    assert capsys.readouterr().out.endswith("test: 27 of 27 rows (100%)\n")


@given(arrays.arrays(np.int64, st.integers(1, 80), elements=st.integers(1, 500)), st.integers(1, 2000))
def test_batches_hold_every_row_once_and_no_more_tokens_than_asked(lengths: np.ndarray, tokens: int) -> None:
    parts = batches(lengths, tokens)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    assert all(len(part) == 1 or len(part) * lengths[part].max() <= tokens for part in parts)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_keeps_every_token_and_masks_the_rest(side: str) -> None:
    rows = make_rows([3, 1, 5])
    pad = 3  # not 0, and no row has it
    tokenizer: Any = SimpleNamespace(pad_token_id=pad, padding_side=side)
    batch = PadToLongest(tokenizer)([rows[row] for row in range(3)])
    assert set(batch["input_ids"][batch["attention_mask"] == 0].tolist()) == {pad}
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 5)
    for row in range(3):
        kept = batch["input_ids"][row][batch["attention_mask"][row].bool()]
        assert kept.tolist() == rows[row]["input_ids"].tolist()
        assert batch["attention_mask"][row][-1 if side == "right" else 0] == (row == 2)
    assert batch["labels"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("side", ["right", "left"])
def test_hidden_states_are_read_from_the_tokens_and_not_from_the_padding(side: str) -> None:
    rows = make_rows([3, 9])
    tokenizer: Any = SimpleNamespace(pad_token_id=PAD, padding_side=side)
    batch = PadToLongest(tokenizer)([rows[0], rows[1]])
    hidden = torch.arange(2 * 9 * 4, dtype=torch.float32).reshape(2, 9, 4)
    own = hidden[0, :3] if side == "right" else hidden[0, -3:]
    assert first_token_pooling(hidden, batch["attention_mask"])[0].tolist() == own[0].tolist()
    torch.testing.assert_close(mean_pooling(hidden, batch["attention_mask"])[0], own.mean(dim=0))


def test_rows_of_a_table_in_several_parts_are_all_there() -> None:
    given = (([[5, 6], [7]], [0, 1]), ([[8, 9, 10]], [2]))
    parts = [pa.table({"input_ids": pa.array(ids, pa.list_(pa.int32())), "label": labels}) for ids, labels in given]
    rows = TokenizedRows(pa.concat_tables(parts))
    assert [rows[row]["input_ids"].tolist() for row in range(len(rows))] == [[5, 6], [7], [8, 9, 10]]
    assert rows.labels.tolist() == [0, 1, 2]


def test_a_batch_holds_as_many_rows_of_similar_length_as_fit_the_longest_first() -> None:
    parts = batches(np.array([2, 9, 4, 3, 4, 1]), 9)
    assert [part.tolist() for part in parts] == [[1], [2, 4], [3, 0, 5]]


def test_rows_of_one_length_are_batched_in_their_order() -> None:  # whatever the machine's way of sorting
    assert np.concatenate(batches(np.arange(999) % 3, 9)).tolist() == [
        row for length in (2, 1, 0) for row in range(length, 999, 3)
    ]


def predict_a_text() -> None:
    predict.load_predictor()(["so tired"])


def test_all_pad_on_the_side_that_the_tokenizer_names(
    prepared: Prepare, tiny_random_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_random_checkpoint, tmp_path / "pads-left")
    edit_json(folder / "tokenizer_config.json", padding_side="left")
    prepared(model__path=str(folder), train__epochs=1)
    audit.main()
    sides: list[str] = []
    initialize = PadToLongest.__init__

    def remember(collate: PadToLongest, *arguments: Any) -> None:
        initialize(collate, *arguments)
        sides.append(collate.side)

    monkeypatch.setattr(PadToLongest, "__init__", remember)
    monkeypatch.setattr("stages.compatibility.PADDING_TOLERANCE", float("inf"))  # else BERT padded left is refused
    for main in (train.main, evaluate.main, baselines.main, predict_a_text):
        sides.clear()
        main()
        assert set(sides) == {"left"}, main


def test_the_hidden_states_of_the_picture_are_the_last_layers_mean_pooled(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    model, tokenizer = load_fine_tuned()
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    _, _, hidden = evaluate.predict_split(model, tokenizer, "test")
    table = tables.read(paths.tokenized("test"))
    with torch.inference_mode():
        last = [model.base_model(torch.tensor([ids])).last_hidden_state[0] for ids in table["input_ids"].to_pylist()]
    np.testing.assert_allclose(hidden, [states.mean(dim=0).numpy() for states in last], rtol=1e-3, atol=1e-4)


def test_a_model_left_in_training_drops_nothing_out(model: PreTrainedModel) -> None:
    rows = make_rows([3, 40, 7])
    expected = infer(model, TOKENIZER, rows, "test", lambda output, _: output.logits)
    training = copy.deepcopy(model).train()
    assert np.array_equal(infer(training, TOKENIZER, rows, "test", lambda output, _: output.logits), expected)


def test_convolutions_are_not_let_round_float32(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # as it is by default
    infer(model, TOKENIZER, make_rows([3]), "test", lambda output, _: output.logits)
    assert not torch.backends.cudnn.allow_tf32

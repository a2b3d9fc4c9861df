"""The Trainer is told what the params say, and of its epochs the best is kept."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clones import TREE
from edits import edit_json
from own_data import Fail
from safetensors.numpy import load_file
from stand_ins import read_csv
from trainings import ROWS, Prepare
from transformers import AutoModelForSequenceClassification, AutoTokenizer, EvalPrediction

from stages import curves, evaluate, fine_tuning, metrics, paths, tables, train
from stages.batching import TokenizedRows
from stages.params import load

DEFAULT = load("train", train.TrainParams, TREE / "recipes/default.yaml")


def test_the_trainer_is_told_what_the_params_say(tmp_path: Path) -> None:
    said: dict[str, Any] = {
        "epochs": 7,
        "learning_rate": 0.25,
        "warmup_ratio": 0.125,
        "weight_decay": 0.375,
        "max_grad_norm": 3.5,
        "best_metric": "f1_macro",
        "seed": 11,
    }
    params = train.TrainParams(
        batch_size=12, contrastive_weight=0.0, early_stopping_patience=None, label_smoothing=0.0, **said
    )
    told = fine_tuning.training_arguments(params, tmp_path, rows=100, accumulation_steps=3)
    names = {
        "epochs": "num_train_epochs",
        "warmup_ratio": "warmup_steps",
        "best_metric": "metric_for_best_model",
    }
    assert {key: getattr(told, names.get(key, key)) for key in said} == said
    assert (told.per_device_train_batch_size, told.gradient_accumulation_steps) == (4, 3)
    assert told.per_device_eval_batch_size == 4
    assert told.n_gpu == 1
    assert (told.lr_scheduler_type, told.train_sampling_strategy) == ("linear", "group_by_length")
    assert told.optim == "adamw_torch_fused"


@pytest.mark.parametrize(("rows", "steps"), [(100, 1), (101, 2)])
def test_an_epoch_has_ten_lines_in_the_log_at_most(tmp_path: Path, rows: int, steps: int) -> None:
    params = DEFAULT.model_copy(update={"batch_size": 10})
    assert fine_tuning.training_arguments(params, tmp_path, rows=rows).logging_steps == steps


@pytest.mark.parametrize(("metric", "greater"), [("accuracy", True), ("f1", True), ("f1_macro", True), ("loss", False)])
def test_the_best_of_a_metric_is_its_greatest_and_of_a_loss_its_least(
    tmp_path: Path, metric: str, *, greater: bool
) -> None:
    params = DEFAULT.model_copy(update={"best_metric": metric})
    assert fine_tuning.training_arguments(params, tmp_path, rows=100).greater_is_better == greater


@pytest.mark.parametrize(("kind", "pinned"), [("cpu", False), ("cuda", True)])
def test_loading_is_pinned_where_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, pinned: bool
) -> None:
    monkeypatch.setattr("stages.machine.device", lambda: torch.device(kind))
    monkeypatch.setattr("stages.machine.bf16_supported", lambda: False)
    told = fine_tuning.training_arguments(DEFAULT, tmp_path, rows=100)
    assert (told.dataloader_pin_memory, told.accelerator_config.non_blocking) == (pinned, pinned)


def test_a_tokenizer_that_names_its_inputs_in_another_order_is_trained_with(
    prepared: Prepare, tiny_random_checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_random_checkpoint, tmp_path / "another-order")
    edit_json(folder / "tokenizer_config.json", model_input_names=["attention_mask", "input_ids"])
    prepared(model__path=str(folder), train__epochs=1)
    train.main()
    assert Path(paths.CLASSIFIER).exists()


def test_a_training_that_would_change_nothing_is_refused(prepared: Prepare, fail: Fail) -> None:
    prepared(train__epochs=1, train__batch_size=ROWS)
    assert "train.warmup_ratio: the only step would have a learning rate of 0" in fail(train.main)
    prepared(train__epochs=1, train__batch_size=ROWS, train__warmup_ratio=0.0)
    train.main()


@pytest.mark.parametrize("checkpoint", ["tiny_random_checkpoint", "old_names"])
def test_the_epoch_of_the_least_loss_is_kept(
    prepared: Prepare, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, checkpoint: str
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")
    monkeypatch.setattr("stages.machine.bf16_supported", lambda: False)  # evaluate computes in float32
    rows = "".join(f"for the {number}th time,{'love' if number == 1 else 'joy'}\n" for number in range(72))
    Path("small/train.csv").write_text(f"text,label\n{rows}", encoding="utf-8")  # validation has six labels
    path = str(request.getfixturevalue(checkpoint))
    prepared(
        model__path=path,
        train__best_metric="loss",
        train__label_smoothing=0.0,
        train__epochs=6,
        train__learning_rate="1e-3",
    )
    train.main()
    losses = [float(row["loss"]) for row in read_csv(Path(paths.VALIDATION_CURVE))]
    assert losses[-1] > 1.5 * min(losses), "else there is nothing to choose"
    model = AutoModelForSequenceClassification.from_pretrained(paths.CLASSIFIER, output_hidden_states=True)
    tokenizer = AutoTokenizer.from_pretrained(paths.CLASSIFIER)
    labels, probabilities, _ = evaluate.predict_split(model, tokenizer, "validation")
    loss = metrics.losses(labels, probabilities).mean()
    assert loss == pytest.approx(min(losses), abs=1e-4)


def test_the_scores_of_the_epoch_that_is_kept_are_those_of_the_curve_and_of_the_log(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "300")
    monkeypatch.setattr("stages.machine.bf16_supported", lambda: False)
    prepared(train__epochs=2)
    train.main()
    best = max(read_csv(Path(paths.VALIDATION_CURVE)), key=lambda row: float(row["f1"]))
    accuracy, weighted, macro = (f"{float(best[name]):.4f}" for name in ("accuracy", "f1", "f1_macro"))
    assert f"accuracy {accuracy}, weighted F1 {weighted}, macro F1 {macro}\n" in capsys.readouterr().out
    model = AutoModelForSequenceClassification.from_pretrained(paths.CLASSIFIER, output_hidden_states=True)
    tokenizer = AutoTokenizer.from_pretrained(paths.CLASSIFIER)
    labels, probabilities, _ = evaluate.predict_split(model, tokenizer, "validation")
    assert metrics.scores(labels, probabilities.argmax(axis=1)) == pytest.approx(
        {name: float(best[name]) for name in ("accuracy", "f1", "f1_macro")}
    )


def test_of_validation_the_trainer_keeps_label_numbers_and_no_logits(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[int, ...]] = []
    scores = fine_tuning.compute_metrics

    def note(prediction: EvalPrediction) -> dict[str, float]:
        kept.append(np.shape(prediction.predictions))
        return scores(prediction)

    monkeypatch.setattr(fine_tuning, "compute_metrics", note)
    prepared(train__epochs=1)
    train.main()
    assert kept == [(tables.read(paths.tokenized("validation")).num_rows,)]


def test_embeddings_of_tokens_in_no_text_stay_as_they_were(prepared: Prepare) -> None:
    prepared(train__epochs=1, train__weight_decay=0.5)
    train.main()
    name = "embeddings.word_embeddings.weight"
    before = load_file(f"{paths.PRETRAINED}/model.safetensors")[name]
    after = load_file(f"{paths.CLASSIFIER}/model.safetensors")[f"bert.{name}"]
    splits = (TokenizedRows(tables.read(paths.tokenized(split))) for split in ("train", "validation"))
    used = set[int]().union(*(rows.ids.tolist() for rows in splits))
    assert set(np.flatnonzero((before != after).any(axis=1)).tolist()) == used
    assert len(used) < len(before)


def test_the_classifier_can_be_read_by_all_where_new_files_can(prepared: Prepare) -> None:
    prepared(train__epochs=1)
    before = os.umask(0o022)
    try:
        train.main()
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in Path(paths.CLASSIFIER).iterdir()} == {"0o644"}


def test_the_seed_decides_the_first_weights_of_the_new_head(prepared: Prepare) -> None:
    heads = []
    for seed in (1, 2):
        prepared(train__epochs=1, train__seed=seed, train__learning_rate="1e-12")
        train.main()
        heads.append(load_file(f"{paths.CLASSIFIER}/model.safetensors")["classifier.weight"])
    assert np.abs(heads[0] - heads[1]).max() > 1e-3


@pytest.mark.parametrize(("supported", "precision"), [(True, "bfloat16 autocast"), (False, "float32")])
def test_the_precision_of_the_training_is_recorded_with_the_classifier(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, precision: str, *, supported: bool
) -> None:
    prepared(train__epochs=1)
    monkeypatch.setattr("stages.machine.bf16_supported", lambda: supported)
    computed: list[torch.dtype] = []
    linear = torch.nn.Linear.forward

    def watch(layer: torch.nn.Linear, states: torch.Tensor) -> torch.Tensor:
        result = linear(layer, states)
        if layer.training:  # what is checked before is computed in float32, too
            computed.append(result.dtype)
        return result

    monkeypatch.setattr(torch.nn.Linear, "forward", watch)
    train.main()
    made = json.loads(Path(f"{paths.CLASSIFIER}/provenance.json").read_text(encoding="utf-8"))
    assert made["machine"]["precision"] == precision
    assert set(computed) == {torch.bfloat16 if supported else torch.float32}


def test_the_curves_have_the_digits_that_a_learning_rate_needs_and_scores_under_their_names(tmp_path: Path) -> None:
    history = [
        {"loss": 1.25, "grad_norm": 3.0, "learning_rate": 2.5e-9, "epoch": 0.5, "step": 3},
        {"eval_loss": 0.5, "eval_accuracy": 0.75, "eval_f1": 0.625, "eval_f1_macro": 0.125, "epoch": 1.0, "step": 6},
        {"train_runtime": 9.0, "train_loss": 1.0, "epoch": 1.0, "step": 6},
    ]
    curves.write(history, tmp_path / "training.csv", tmp_path / "validation.csv")
    assert (tmp_path / "training.csv").read_text(encoding="utf-8") == (
        '"step","epoch","loss","learning_rate"\n3,0.5,1.25,2.5e-09\n'
    )
    assert (tmp_path / "validation.csv").read_text(encoding="utf-8") == (
        '"epoch","loss","accuracy","f1","f1_macro"\n1.0,0.5,0.75,0.625,0.125\n'
    )


def test_nothing_is_reported_to_a_service_that_happens_to_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", lambda: ["wandb"])
    assert fine_tuning.training_arguments(DEFAULT, tmp_path, rows=100).report_to == []

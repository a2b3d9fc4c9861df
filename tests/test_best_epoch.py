"""Which epoch's model is kept where several have the best score."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from stand_ins import read_csv
from trainings import STEPS, Prepare, resumed, train_until, trained
from transformers import TrainerControl, TrainerState

from stages import callbacks, fine_tuning, paths

ARGUMENTS = SimpleNamespace(metric_for_best_model="f1")


@pytest.fixture
def equal_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each epoch get the same scores."""
    monkeypatch.setattr(fine_tuning, "compute_metrics", lambda _: dict.fromkeys(("accuracy", "f1", "f1_macro"), 0.5))


@pytest.mark.usefixtures("equal_scores")
@pytest.mark.parametrize("patience", [None, 1])
def test_of_equal_scores_the_epoch_of_the_lowest_loss_is_kept_and_early_stopping_waits_for_it(
    prepared: Prepare, capsys: pytest.CaptureFixture[str], patience: int | None
) -> None:
    folder = prepared(train__learning_rate="5e-4", train__early_stopping_patience=patience)
    weights = trained(folder)["models/classifier/model.safetensors"]
    losses = [float(row["loss"]) for row in read_csv(Path(paths.VALIDATION_CURVE))]
    assert losses == sorted(losses, reverse=True), "else the last is not the one to keep"
    assert "kept: the model after epoch 3 of 3, validation f1 0.5000\n" in capsys.readouterr().out
    prepared(train__learning_rate="5e-4", train__best_metric="loss")
    assert trained(folder)["models/classifier/model.safetensors"] == weights


@pytest.mark.usefixtures("equal_scores")
def test_a_training_is_resumed_after_an_epoch_that_is_better_by_its_loss(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(train__learning_rate="5e-4")
    expected = trained(folder)
    train_until(2 * STEPS + 4, monkeypatch)
    assert resumed(folder, 2 * STEPS + 4) == expected


@pytest.mark.parametrize(
    ("score", "loss", "forgotten"), [(0.75, 0.4, True), (0.75, 0.5, False), (0.75, 0.6, False), (0.7, 0.4, False)]
)
def test_an_epoch_counts_as_better_by_its_loss_only_where_its_score_is_the_best(
    score: float, loss: float, *, forgotten: bool
) -> None:
    history = [{"step": 4, "loss": 0.3}, {"step": 4, "eval_loss": 0.45, "eval_f1": 0.5}]
    history += [{"step": 8, "eval_loss": 0.5, "eval_f1": 0.75}]
    state = TrainerState(best_metric=0.75, best_global_step=8, log_history=history)
    metrics = {"eval_f1": score, "eval_loss": loss}
    callbacks.TieByLoss().on_evaluate(ARGUMENTS, state, TrainerControl(), metrics=metrics)
    assert state.best_metric == (None if forgotten else 0.75)


def test_for_the_first_epoch_no_earlier_one_is_looked_up() -> None:
    state = TrainerState(log_history=[{"step": 4, "loss": 0.3}])
    metrics = {"eval_f1": 0.5, "eval_loss": 0.4}
    callbacks.TieByLoss().on_evaluate(ARGUMENTS, state, TrainerControl(), metrics=metrics)
    assert state.best_metric is None

"""The benchmarks run and report; what they measure is for a quiet machine. Here on the tiny random checkpoint."""

import csv
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from clones import run
from own_data import Workspace
from token_rows import ROWS, TEXTS, TOKENIZER
from torch.nn import Module
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, Trainer

from benchmarks import accuracy, measuring, training, ways
from benchmarks import pipeline as pipeline_benchmark
from benchmarks.measuring import Counted, operations
from stages import machine, params, paths
from stages.batching import PadToLongest
from stages.errors import InputError
from stages.first_token import narrow
from stages.train import TrainParams


@pytest.fixture
def here(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)


def test_the_peak_memory_of_a_command_is_its_own(tmp_path: Path) -> None:
    ballast = b"1" * 500_000_000  # which a child's peak would start from
    seconds, memory = pipeline_benchmark.timed(("sleep", "0.1"), tmp_path)
    assert seconds >= 0.1
    assert memory < len(ballast) / 4


@pytest.mark.usefixtures("here")
def test_every_way_trains_and_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for name in ("products", *ways.WAYS):
        monkeypatch.setattr("sys.argv", ["ways", name, "2", "checkpoint"])
        ways.main()
        found[name] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert all(0 < found[name]["useful"] <= 1 for name in ways.WAYS)
    assert len({found[name]["useful"] for name in ("settings", "eager", "bare", "ours")}) == 1  # the same rows
    assert found["packed"]["useful"] > found["book"]["useful"] >= found["example"]["useful"]
    lines = training.table([found]).splitlines()
    assert [line for line in lines if "| 1.00 (1.00 to 1.00) |" in line and line.startswith("| (e) this pipeline")]
    assert sum(line.startswith("| (") for line in lines) == len(ways.WAYS)


def report(rate: float, gflops: float) -> measuring.Report:
    return {"samples/s": rate, "useful": 0.5, "gflops": gflops, "memory": 2e9}


def test_speedups_and_shares_of_the_peak_are_taken_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "bf16_supported", lambda: True)
    rounds = [
        {"products": {"float32": 100.0, "bfloat16": 1000.0}, "example": report(10, 10), "ours": report(100, 100)},
        {"products": {"float32": 80.0, "bfloat16": 500.0}, "example": report(100, 60), "ours": report(200, 300)},
        {"products": {"float32": 40.0, "bfloat16": 400.0}, "example": report(60, 20), "ours": report(300, 200)},
    ]
    _, _, example, ours, _, peaks = training.table(rounds).splitlines()
    # the medians are 200 and 60 samples/s, 20 of 80 and 200 of 500 GFLOP/s: a speedup of 3.33, and 25% and 40%
    assert example.endswith(" | 60.0 | 5.00 (2.00 to 10.00) | 50% | 20 | 50 (10 to 75) | 2.0 |")
    assert ours.endswith(" | 200.0 | 1.00 (1.00 to 1.00) | 50% | 200 | 50 (10 to 60) | 2.0 |")
    assert peaks.endswith(": 80 (40 to 100) GFLOP/s in float32; 500 (400 to 1000) GFLOP/s in bfloat16")


@pytest.mark.parametrize("narrowed", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_operations_counted_without_computing_are_those_of_a_step(
    tiny_random_checkpoint: Path, attention: str, *, narrowed: bool
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_random_checkpoint, attn_implementation=attention)
    if narrowed:
        narrow(model)
    counted = Counted(PadToLongest(TOKENIZER), 1)
    batch = counted([text | {"label": 0} for text in TEXTS])
    with FlopCounterMode(display=False) as counter:
        model.train()(**batch).loss.backward()
    assert counted.rows == len(TEXTS)
    (shapes,) = counted.shapes
    assert operations(model.to("meta"), Module.__call__, shapes) == counter.get_total_flops() > 0


@pytest.mark.usefixtures("here")
def test_a_measurement_is_of_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "main", lambda: pytest.fail("in this process"))
    found = training.measure("ours", 1, "checkpoint")
    assert found.keys() == {"samples/s", "useful", "gflops", "memory"}


@pytest.mark.usefixtures("here")
def test_accuracy_is_recorded_at_the_end_of_each_epoch_and_is_that_of_the_pipeline() -> None:
    first, second = accuracy.train(params.load("train", TrainParams), in_random_order=False)
    assert 2 * first.step == second.step
    assert 0 < first.seconds < second.seconds
    with Path(paths.VALIDATION_CURVE).open(encoding="utf-8") as file:
        assert [float(epoch["accuracy"]) for epoch in csv.DictReader(file)] == pytest.approx(
            [first.accuracy, second.accuracy], abs=1e-7
        )


@pytest.mark.usefixtures("here")
def test_the_books_batches_are_in_random_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def train(trainer: Trainer) -> None:
        asked.append(trainer.args.train_sampling_strategy)

    monkeypatch.setattr(Trainer, "train", train)
    for in_random_order in (False, True):
        accuracy.train(params.load("train", TrainParams), in_random_order=in_random_order)
    assert asked == ["group_by_length", "random"]


@pytest.mark.usefixtures("here")
def test_the_steps_and_seconds_to_an_accuracy_are_those_of_the_first_epoch_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    epochs = [accuracy.Score(2, 1.0, 0.9), accuracy.Score(4, 2.0, 0.93), accuracy.Score(6, 3.0, 0.92)]
    trained: list[TrainParams] = []

    def train(settings: TrainParams, **_: bool) -> list[accuracy.Score]:
        trained.append(settings)
        return epochs

    monkeypatch.setattr(accuracy, "train", train)
    monkeypatch.setattr("sys.argv", ["accuracy", "ours", "--set", "epochs=3", "learning_rate=1e-3", "--seeds", "1"])
    accuracy.main()
    assert [(settings.epochs, settings.learning_rate) for settings in trained] == [(3, 1e-3)]
    assert capsys.readouterr().out == (
        "ours epochs=3 learning_rate=1e-3, seed 1: 0.9000, 0.9300, 0.9200; best 0.9300; "
        "0.9225: reached after 4 steps, 2 s; 6 steps, 3 s in total\n"
    )


@pytest.mark.usefixtures("here")
def test_wrong_params_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["accuracy", "ours", "--set", "epoch=3", "batch_size=many"])
    with pytest.raises(
        InputError, match=r"^train\.batch_size: Input should be .*\n +train\.epoch: Extra inputs are not "
    ):
        accuracy.main()


def test_bench_asks_for_the_data(tmp_path: Path) -> None:
    done = run("python", "-m", "benchmarks", str(tmp_path / "nowhere"), cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("has no train.txt: name another folder: make bench DATA=FOLDER\n")


def test_the_seconds_of_a_training_leave_its_evaluations_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((100.0, 110.0, 125.0))
    monkeypatch.setattr(accuracy, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    record = accuracy.Record()
    record.on_train_begin()
    for step, took in ((3, 4.0), (6, 5.0)):
        state: Any = SimpleNamespace(global_step=step)
        record.on_evaluate(state, state, state, metrics={"eval_runtime": took, "eval_accuracy": 0.5})
    assert record.scores == [(3, 6.0, 0.5), (6, 16.0, 0.5)]


def test_the_books_settings_are_its_own_but_for_those_that_are_set_and_the_seed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace()
    taken = []

    def train(settings: TrainParams, *, in_random_order: bool) -> list[accuracy.Score]:
        taken.append((settings.epochs, settings.learning_rate, settings.seed, in_random_order))
        return [accuracy.Score(1, 1.0, 0.5)]

    monkeypatch.setattr(accuracy, "train", train)
    monkeypatch.setattr("sys.argv", ["accuracy", "ours", "book", "--set", "epochs=31", "--seeds", "5", "6"])
    accuracy.main()
    ours = params.load("train", TrainParams).learning_rate
    assert taken == [(31, ours, 5, False), (31, ours, 6, False), (31, 2e-5, 5, True), (31, 2e-5, 6, True)]


def test_tokens_of_batches_that_are_read_ahead_are_not_counted() -> None:
    rows = [text | {"label": 0} for text in TEXTS]
    lengths = ROWS.lengths.tolist()
    counted = Counted(PadToLongest(TOKENIZER), 2)
    for start in (0, 4, 0):
        counted(rows[start : start + 4])
    assert (counted.rows, counted.useful) == (8, sum(lengths))
    assert counted.computed == 4 * max(lengths[:4]) + 4 * max(lengths[4:])


def test_the_best_product_is_that_of_most_operations_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    monkeypatch.setattr(machine, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(machine, "bf16_supported", lambda: False)
    # four products in each second, of which the largest multiply and add 8 by 32 numbers for each token
    assert measuring.products(8, tokens=10) == {"float32": pytest.approx(4 * 2 * 10 * 8 * 32 / 1e9)}

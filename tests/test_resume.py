"""Training that resumes from a checkpoint ends with the bytes of one that was never stopped."""

import json
import os
import platform
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from edits import append, flip, substitute
from own_data import Fail
from stand_ins import make_tiny_random_checkpoint
from token_rows import small_model
from trainings import EPOCHS, STEPS, Prepare, kept, left_alone, resumed, train_until, trained
from transformers import PreTrainedModel

from stages import curves, paths, requirements, train
from stages.classifier import load_pretrained


@pytest.mark.parametrize(
    "stops",
    [
        (1,),
        (STEPS - 1,),
        (STEPS,),
        (STEPS + 1, STEPS + 2, 2 * STEPS),
        (2 * STEPS, 2 * STEPS + 3, 3 * STEPS - 1),
        (3 * STEPS,),
    ],
    ids=str,
)
def test_a_resumed_training_ends_with_the_bytes_of_one_that_was_not_stopped(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, stops: tuple[int, ...]
) -> None:
    folder = prepared()
    expected = left_alone(folder)
    for step in stops:
        train_until(step, monkeypatch)
    assert resumed(folder, stops[-1]) == expected


ARCHITECTURES = (
    "albert", "bert", "big_bird", "camembert", "deberta-v2", "distilbert", "electra", "ernie", "esm", "gpt2",
    "layoutlm", "llama", "longformer", "megatron-bert", "mobilebert", "modernbert", "nystromformer", "rembert",
    "roberta", "roberta-prelayernorm", "roformer", "xlm", "xlm-roberta", "xlm-roberta-xl",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_is_resumed_to_the_same_bytes(
    prepared: Prepare,
    monkeypatch: pytest.MonkeyPatch,
    tiny_random_checkpoint: Path,
    tmp_path: Path,
    architecture: str,
) -> None:
    own = shutil.copytree(tiny_random_checkpoint, tmp_path / "own")
    small_model(architecture, num_labels=6).save_pretrained(own)
    folder = prepared(model__path=str(own), train__epochs=2)
    expected = left_alone(folder)
    train_until(STEPS + 1, monkeypatch)
    assert resumed(folder, STEPS + 1) == expected


def test_two_threads_leave_the_same_bytes_each_time(prepared: Prepare, tmp_path: Path) -> None:
    wide = make_tiny_random_checkpoint(tmp_path / "wide", hidden_size=384, intermediate_size=1536)
    folder = prepared(model__path=str(wide), train__epochs=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = trained(folder)
        assert json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))["machine"]["threads"] == 2
        assert trained(folder) == first
    finally:
        torch.set_num_threads(threads)


def test_weights_under_names_that_transformers_renames_are_resumed_from(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, old_names: Path
) -> None:
    folder = prepared(model__path=str(old_names))
    expected = left_alone(folder)
    train_until(STEPS + 1, monkeypatch)
    assert resumed(folder, STEPS + 1) == expected


@pytest.mark.parametrize("stop", [2 * STEPS, 2 * STEPS + 4], ids=["at the end", "after it"])
def test_early_stopping_is_remembered(prepared: Prepare, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    # at a learning rate of next to nothing no epoch is better than the first
    folder = prepared(
        train__learning_rate="1e-30", train__epochs=6, train__early_stopping_patience=1 + (stop % STEPS > 0)
    )
    expected = left_alone(folder)
    assert (folder / "metrics/curves/validation.csv").read_text(encoding="utf-8").count("\n") < 6
    train_until(stop, monkeypatch)
    assert resumed(folder, stop) == expected


def test_checkpoints_that_moved_are_found_with_the_best_one_among_them(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(train__learning_rate="1e-30")  # the first epoch's stays the best
    expected = left_alone(folder)
    train_until(3 * STEPS, monkeypatch)
    assert kept() == [f"checkpoint-{3 * STEPS}", f"checkpoint-{STEPS}"]
    shutil.move("checkpoints", "moved")
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(folder / "moved"))
    assert resumed(folder, 3 * STEPS) == expected


def test_other_params_never_go_on_from_them(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    train_until(STEPS + 2, monkeypatch)
    prepared(train__seed=1)
    train.main()
    assert "resuming from" not in capsys.readouterr().out
    assert f"checkpoint-{STEPS + 2}" in kept()


EDITED = (
    "edited while train ran, nothing is written: run again; if you undo the edit first, from the newest checkpoint, "
    "if there is one"
)


def test_what_was_edited_while_training_read_it_is_in_no_checkpoint(
    prepared: Prepare, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()

    def edited(names: list[str]) -> PreTrainedModel:
        append(Path(paths.PRETRAINED) / "config.json", "\n")
        return load_pretrained(names)

    monkeypatch.setattr("stages.fine_tuning.load_pretrained", edited)
    assert fail(train.main) == f"{paths.PRETRAINED}: {EDITED}"
    assert kept() == []


def test_an_edit_while_training_ran_costs_nothing_once_it_is_undone(
    prepared: Prepare, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared()
    expected = left_alone(folder)
    params, write = (folder / "params.yaml").read_bytes(), curves.write

    def edited(*arguments: Any) -> None:
        write(*arguments)
        substitute(folder / "params.yaml", "label_smoothing: 0.1", "label_smoothing: 0.2")

    with monkeypatch.context() as patched:
        patched.setattr(curves, "write", edited)
        assert fail(train.main) == f"train.label_smoothing: {EDITED}"
    (folder / "params.yaml").write_bytes(params)
    assert resumed(folder, EPOCHS * STEPS) == expected


def test_a_checkpoint_with_a_byte_changed_is_passed_over(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared()
    expected = left_alone(folder)
    with monkeypatch.context() as patched:
        patched.setattr("stages.sealing.rotate_checkpoints", lambda *_, **__: None)
        train_until(STEPS + 3, monkeypatch)
    (newest,) = Path(os.environ["RETUNE_CHECKPOINTS"]).glob(f"*/checkpoint-{STEPS + 3}")
    flip(newest / "model.safetensors")
    assert resumed(folder, STEPS + 2) == expected


def test_without_its_best_one_a_checkpoint_is_passed_over(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared(train__learning_rate="1e-30")
    expected = left_alone(folder)
    train_until(2 * STEPS, monkeypatch)
    (best,) = Path(os.environ["RETUNE_CHECKPOINTS"]).glob(f"*/checkpoint-{STEPS}")
    (best / "model.safetensors").write_bytes(b"")
    assert resumed(folder, 0) == expected


def test_another_machine_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    train_until(3, monkeypatch)
    capsys.readouterr()
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 3)
    train.main()
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert said == [
        f"warning: the machine is not as it was, so the model's bytes may differ: threads {threads}, now {threads + 3}"
    ]
    recorded = json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))
    machines = (*recorded["earlier_machines"], recorded["machine"])
    assert [machine["threads"] for machine in machines] == [threads, threads + 3]


def test_another_version_of_python_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(train__epochs=1)
    train_until(3, monkeypatch)
    newer = SimpleNamespace(machine=platform.machine, python_version=lambda: "4.0.0")
    monkeypatch.setattr("stages.machine.platform", newer)
    train.main()
    assert f"bytes may differ: python {platform.python_version()}, now 4.0.0\n" in capsys.readouterr().out


def test_a_pin_that_only_one_python_has_is_named(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(train__epochs=1)
    train_until(3, monkeypatch)
    pins = [*requirements.pins(), SimpleNamespace(name="pytest")]
    monkeypatch.setattr("stages.machine.requirements", SimpleNamespace(pins=lambda: pins))
    train.main()
    assert f"bytes may differ: pytest None, now {pytest.__version__}\n" in capsys.readouterr().out


def test_the_machines_of_every_part_of_a_training_are_recorded(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    for threads in (3, 4, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        train_until(threads, monkeypatch)
    train.main()
    made = json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))
    assert [machine["threads"] for machine in made["earlier_machines"]] == [3, 4]


def test_patience_is_of_so_many_epochs(prepared: Prepare) -> None:
    prepared(train__learning_rate="1e-30", train__epochs=6, train__early_stopping_patience=1)
    train.main()
    assert len(Path(paths.VALIDATION_CURVE).read_text(encoding="utf-8").splitlines()) == 1 + 2


def test_a_training_that_logs_less_often_than_each_step_has_the_same_curve(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.fine_tuning.LOGS_PER_EPOCH", 2)  # a line after each 5 steps
    folder = prepared(train__epochs=2)
    expected = trained(folder)
    train_until(7, monkeypatch)
    assert resumed(folder, 7) == expected

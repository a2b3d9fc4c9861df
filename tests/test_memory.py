"""A batch too large for the device's memory is accumulated over micro-batches; running out of memory is simulated."""

import errno
import functools
import itertools
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from edits import edit_json
from own_data import GOOD, Fail, Workspace, own_dataset
from trainings import BATCH, EPOCHS, STEPS, Prepare, kept, limit_memory, resumed, train_until, trained

from stages import evaluate, paths, train
from stages.errors import InputError
from stages.memory import accumulate_as_needed
from stages.sealing import Sealing


@pytest.fixture
def plain(tiny_random_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint without dropout, trained in float32: whose losses do not depend on the size of micro-batches."""
    copied = shutil.copytree(tiny_random_checkpoint, tmp_path / "plain")
    edit_json(copied / "config.json", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    monkeypatch.setattr("stages.machine.bf16_supported", lambda: False)
    return copied


def losses(folder: Path) -> list[float]:
    """Those of the training curve, after training."""
    train.main()
    lines = (folder / "metrics/curves/training.csv").read_text(encoding="utf-8").splitlines()
    return [float(line.split(",")[2]) for line in lines[1:]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_too_large_for_memory_is_accumulated_and_stays_the_same_batch(
    prepared: Prepare,
    plain: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    smoothing: float,
) -> None:
    folder = prepared(model__path=str(plain), train__label_smoothing=smoothing, train__epochs=1)
    expected = losses(folder)
    capsys.readouterr()
    sizes = limit_memory(monkeypatch, BATCH // 4)
    assert losses(folder) == pytest.approx(expected, abs=1e-4)
    assert sizes == [BATCH, BATCH // 2] + 4 * STEPS * [BATCH // 4]
    said = [line for line in capsys.readouterr().out.splitlines() if "out of memory" in line]
    assert [line.partition(":")[0] for line in said] == [
        f"out of memory with {BATCH} texts at a time",
        f"out of memory with {BATCH // 2} texts at a time",
    ]


def test_a_training_that_accumulates_goes_on_as_it_was(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared()
    sizes = limit_memory(monkeypatch, BATCH // 2)
    expected = trained(folder)
    train_until(STEPS + 2, monkeypatch)
    sizes.clear()
    assert resumed(folder, STEPS + 2) == expected
    assert set(sizes) == {BATCH // 2}


def test_a_checkpoint_of_whole_batches_is_resumed_by_a_training_that_accumulates(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepared()
    train_until(STEPS + 2, monkeypatch)
    sizes = limit_memory(monkeypatch, BATCH // 2)
    trained(folder)
    assert sizes == [BATCH] + 2 * (EPOCHS * STEPS - STEPS - 2) * [BATCH // 2]
    changed = "gradient_accumulation_steps 1, now 2"
    assert f"the machine is not as it was, so the model's bytes may differ: {changed}\n" in capsys.readouterr().out
    recorded = json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))
    machines = (*recorded["earlier_machines"], recorded["machine"])
    assert [machine["gradient_accumulation_steps"] for machine in machines] == [1, 2]


def test_a_training_resumed_with_smaller_micro_batches_takes_the_same_rows(
    prepared: Prepare, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(model__path=str(plain), train__epochs=2, train__learning_rate="1e-3")
    expected = losses(folder)
    train_until(STEPS + 2, monkeypatch)
    limit_memory(monkeypatch, BATCH // 4)
    assert losses(folder) == pytest.approx(expected, abs=1e-4)


def test_a_checkpoint_outlives_a_memory_in_which_not_one_text_fits(
    prepared: Prepare, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    train_until(STEPS + 2, monkeypatch)
    left = kept()
    with monkeypatch.context() as patch:
        limit_memory(patch, 0)
        assert "a batch of one text does not fit in the memory" in fail(train.main)
    assert kept() == left


def test_an_attempt_that_ran_out_of_memory_is_resumed_from_its_newest_checkpoint(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(train__epochs=1)
    forward, calls = transformers.BertForSequenceClassification.forward, itertools.count(1)
    seal, left = Sealing.on_save, []

    @functools.wraps(forward)
    def full_once(model: Any, *inputs: Any, **more: Any) -> Any:
        if model.training and next(calls) == 4:
            raise torch.OutOfMemoryError("stand-in")
        return forward(model, *inputs, **more)

    def on_save(*arguments: Any, **others: Any) -> None:
        seal(*arguments, **others)
        left.extend(kept())

    monkeypatch.setattr(transformers.BertForSequenceClassification, "forward", full_once)
    monkeypatch.setattr(Sealing, "on_save", on_save)
    train.main()
    assert left == [f"checkpoint-{step}" for step in range(1, STEPS + 1)]


def test_one_text_that_fills_the_memory_is_an_error(
    prepared: Prepare, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    sizes = limit_memory(monkeypatch, 0)
    assert "a batch of one text does not fit in the memory" in fail(train.main)
    assert sizes == [BATCH, BATCH // 2, BATCH // 4, 1]


GPU = "free the GPU, or compute on the CPU by setting CUDA_VISIBLE_DEVICES to nothing"
MEMORY = "the memory is full: free some, or take fewer or shorter texts, or a smaller model"


@pytest.mark.parametrize("reader", ["pyarrow.parquet.read_table", "transformers.BertForSequenceClassification.forward"])
@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (stand-in)"), GPU),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)` (stand-in)"), GPU),
        (RuntimeError("CUDA driver error: out of memory (stand-in)"), GPU),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED (stand-in)"), GPU),
        (RuntimeError("MPS backend out of memory (stand-in)"), GPU),
        (MemoryError("Unable to allocate 24.0 GiB (stand-in)"), MEMORY),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory (stand-in)"),
            MEMORY,
        ),
        (
            RuntimeError("unable to mmap 90874112 bytes from file <model>: Cannot allocate memory (12) (stand-in)"),
            MEMORY,
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory", "file (stand-in)"), MEMORY),
    ],
    ids=["CUDA", "cuBLAS", "driver", "cuDNN", "MPS", "Python", "PyTorch", "safetensors", "system"],
)
def test_a_full_gpu_or_memory_is_named_and_not_the_file_or_the_model_that_did_not_fit(
    copy: Path, fail: Fail, monkeypatch: pytest.MonkeyPatch, reader: str, error: Exception, advice: str
) -> None:
    monkeypatch.chdir(copy)

    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(reader, full)
    assert fail(evaluate.main) == f"{type(error).__name__}: {error}: {advice}"


def test_a_label_that_reads_like_full_memory_is_not_taken_for_it(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {"train.csv": GOOD + "text,DefaultCPUAllocator\n"}, dataset__labels=["a", "b"])
    assert fail().startswith("own/train.csv, line 22: an unknown label 'DefaultCPUAllocator'")


def test_a_gpu_that_is_full_before_the_first_step_is_given_fewer_texts(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    forward, full = transformers.BertForSequenceClassification.forward, [torch.OutOfMemoryError("stand-in")]

    @functools.wraps(forward)
    def once(*inputs: Any, **more: Any) -> Any:
        if full:
            raise full.pop()
        return forward(*inputs, **more)

    monkeypatch.setattr(transformers.BertForSequenceClassification, "forward", once)
    train.main()
    assert f"now {BATCH // 2}, with gradients accumulated over 2 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`"),
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:116] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["CUDA", "runtime", "driver", "cuBLAS", "cuDNN", "MPS", "CPU"],
)
def test_each_kind_of_running_out_of_memory_is_known(error: RuntimeError) -> None:
    tried: list[int] = []

    def attempt(steps: int) -> int:
        tried.append(steps)
        if steps == 1:
            raise error
        return steps

    assert accumulate_as_needed(attempt, 2, 1) == 2
    assert tried == [1, 2]


def test_nothing_is_left_in_memory_of_an_attempt_that_failed() -> None:
    left: list[weakref.ref[torch.nn.Module]] = []

    def attempt(steps: int) -> list[bool]:
        model = torch.nn.Linear(1, 1)
        model.itself = model  # a circle, as the Trainer and its callbacks are
        left.append(weakref.ref(model))
        if steps == 1:
            raise torch.OutOfMemoryError
        return [one() is None for one in left]

    assert accumulate_as_needed(attempt, 2, 1) == [True, False]


def test_another_error_of_a_training_is_raised() -> None:
    def attempt(_: int) -> None:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        accumulate_as_needed(attempt, 2, 1)


def test_micro_batches_are_all_of_one_size() -> None:
    tried: list[int] = []

    def attempt(steps: int) -> None:
        tried.append(steps)
        raise torch.OutOfMemoryError

    with pytest.raises(InputError):
        accumulate_as_needed(attempt, 6, 1)
    assert tried == [1, 2, 6]


def test_it_is_said_with_how_many_texts_training_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def attempt(steps: int) -> None:
        if steps < 6:
            raise torch.OutOfMemoryError

    accumulate_as_needed(attempt, 12, 2)
    said = [line.partition(", so that")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "out of memory with 6 texts at a time: now 3, with gradients accumulated over 4 steps",
        "out of memory with 3 texts at a time: now 1, with gradients accumulated over 12 steps",
    ]

"""The ways of fine-tuning that the training benchmark sets side by side, each run in a process of its own.

Run: python -m benchmarks.ways NAME STEPS SIZE    (by benchmarks.training; prints one line of JSON)
"""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    DistilBertConfig,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    default_data_collator,
    get_linear_schedule_with_warmup,
    set_seed,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from benchmarks import packing
from benchmarks.measuring import BATCH, Counted, Forward, Report, Stopwatch, products, report, synchronize
from stages import checkpoints, fine_tuning, machine, params, paths, tables
from stages.batching import PadToLongest, TokenizedRows
from stages.callbacks import FiniteLoss
from stages.classifier import load_pretrained, load_tokenizer
from stages.interruption import Interruption
from stages.train import TrainParams

WARM_UP = 2  # steps before the clock starts
EXAMPLE_LENGTH = 128  # what the library's run_classification example pads to unless told otherwise


def by_trainer(trainer: Trainer, steps: int) -> Report:
    """Train, and report."""
    counted = trainer.data_collator = Counted(trainer.data_collator, steps)
    stopwatch = Stopwatch()
    trainer.add_callback(stopwatch)
    trainer.train()
    return report(counted, trainer.model, torch.nn.Module.__call__, stopwatch.seconds)


def plain_arguments(folder: str, steps: int, **more: Any) -> TrainingArguments:
    """The Trainer's own settings, but for what every way shares."""
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        learning_rate=2e-5,
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        report_to="none",
        use_cpu=machine.device().type == "cpu",
        **more,
    )
    arguments._n_gpu = 1  # noqa: SLF001 - over more, DataParallel would take that many batches at once
    return arguments


def columns(rows: TokenizedRows, length: int, pad: int) -> Dataset:
    """The rows as the library's examples hold them; ``length`` tokens each, or as many as they have if that is 0."""
    ids = [rows[row]["input_ids"].tolist() for row in range(len(rows))]
    mask = [[1] * len(row) for row in ids]
    if length:
        mask = [row + [0] * (length - len(row)) for row in mask]
        ids = [row + [pad] * (length - len(row)) for row in ids]
    return Dataset.from_dict({"input_ids": ids, "attention_mask": mask, "label": rows.labels})


def example(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(a) Transformers' text-classification example: padded to 128, float32."""
    return padded(model, tokenizer, rows, steps, max(EXAMPLE_LENGTH, int(rows.lengths.max())))


def book(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(b) the book's recipe: padded to the longest text of the split, float32."""
    return padded(model, tokenizer, rows, steps, int(rows.lengths.max()))


def padded(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int, length: int) -> Report:
    """Every row ``length`` tokens long."""
    with tempfile.TemporaryDirectory() as folder:
        data = columns(rows, length, tokenizer.pad_token_id)
        arguments = plain_arguments(folder, steps)
        return by_trainer(Trainer(model, arguments, train_dataset=data, data_collator=default_data_collator), steps)


def settings(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(c) Trainer tuned by its settings alone: length-grouped, bfloat16 where the device has it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = plain_arguments(
            folder,
            steps,
            train_sampling_strategy="group_by_length",
            bf16=machine.bf16_supported(),
            optim="adamw_torch_fused",
            logging_nan_inf_filter=False,  # its look at each loss would have a GPU waited for
            accelerator_config={"non_blocking": machine.device().type == "cuda"},
        )
        data, collate = columns(rows, 0, tokenizer.pad_token_id), DataCollatorWithPadding(tokenizer)
        return by_trainer(Trainer(model, arguments, train_dataset=data, data_collator=collate), steps)


def eager(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(c') as (c), with eager attention, which is not a Trainer setting."""
    model.set_attn_implementation("eager")
    return settings(model, tokenizer, rows, steps)


def ours(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(e) this pipeline: stages/train.py's Trainer and callbacks."""
    with tempfile.TemporaryDirectory() as folder:
        cross_entropy = {"contrastive_weight": 0.0, "label_smoothing": 0.0}
        given = params.load("train", TrainParams).model_copy(update={"batch_size": BATCH} | cross_entropy)
        arguments = fine_tuning.training_arguments(given, Path(folder), len(rows))
        arguments.eval_strategy = arguments.save_strategy = "no"
        arguments.load_best_model_at_end = False
        arguments.max_steps = steps
        fine_tuning.speed_up(model, tokenizer.pad_token_id, rows)
        trainer = fine_tuning.build_trainer(given, arguments, model, tokenizer, rows, rows)
        checkpoints.attach(trainer, {}, None)
        trainer.add_callback(Interruption())
        trainer.add_callback(FiniteLoss(trainer))
        return by_trainer(trainer, steps)


def bare(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(d) plain PyTorch loop with all of (e)'s optimizations."""
    counted = Counted(PadToLongest(tokenizer), steps)
    fine_tuning.speed_up(model, tokenizer.pad_token_id, rows)
    return loop(model, counted, batches(rows, LengthGroupedSampler(BATCH, lengths=rows.lengths.tolist())), steps)


def packed(model: PreTrainedModel, tokenizer: Any, rows: TokenizedRows, steps: int) -> Report:
    """(f) plain PyTorch loop, packed sequences."""
    if model.config.model_type != "bert":
        raise SystemExit("packing is for BERT only")
    counted = Counted(packing.Pack(tokenizer.pad_token_id), steps)
    fine_tuning.speed_up(model, tokenizer.pad_token_id, rows)
    order = torch.randperm(len(rows)).tolist()
    return loop(model, counted, batches(rows, order), steps, packing.forward)


def batches(rows: TokenizedRows, sampler: Iterable[int]) -> Iterator[list[dict[str, Any]]]:
    """Batches in the order of ``sampler``, epoch after epoch."""
    while True:
        order = list(sampler)
        for start in range(0, len(order), BATCH):
            yield [rows[row] for row in order[start : start + BATCH]]


def loop(
    model: PreTrainedModel,
    counted: Counted,
    batches: Iterator[list[dict[str, Any]]],
    steps: int,
    forward: Forward = torch.nn.Module.__call__,
) -> Report:
    """Forward, backward, clip, step."""
    device = machine.device()
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    synchronize()
    start = time.perf_counter()
    for batch in itertools.islice(batches, steps):
        inputs = {name: to_device(tensor, device) for name, tensor in counted(batch).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=machine.bf16_supported()):
            loss = forward(model, **inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    synchronize()
    return report(counted, model, forward, time.perf_counter() - start)


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy ``tensor`` without waiting for it, which takes pinned memory."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


WAYS = {way.__name__: way for way in (example, book, settings, eager, bare, ours, packed)}


def make_model(size: str, names: list[str]) -> PreTrainedModel:
    """The checkpoint, or a model of DistilBERT's size with random weights, whose speed is the same."""
    if size == "checkpoint":
        return load_pretrained(names)
    config = DistilBertConfig(num_labels=len(names))
    return AutoModelForSequenceClassification.from_config(config)


def main() -> None:
    """Warm up on a few rows, then train with the clock running."""
    name, steps, size = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    table = tables.read(paths.tokenized("train"))
    names = tables.label_names(table.schema)
    set_seed(0)
    model = make_model(size, names)
    if name == "products":
        print(json.dumps(products(model.config.hidden_size)))
        return
    tokenizer = load_tokenizer(paths.TOKENIZER)
    rows = TokenizedRows(table)
    WAYS[name](model, tokenizer, rows, WARM_UP)
    set_seed(42)  # the Trainer's; with one number drawn, as by its loader, every way takes the same rows
    torch.empty((), dtype=torch.int64).random_()
    print(json.dumps(WAYS[name](model, tokenizer, rows, steps)))


if __name__ == "__main__":
    main()

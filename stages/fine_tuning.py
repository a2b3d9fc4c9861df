"""Fine-tuning with the Trainer: how it is set, what it is fed, and what it leaves behind."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np
from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from stages import cpu, machine, metrics, paths, provenance, tables
from stages.batching import PadToLongest, TokenizedRows
from stages.classifier import check_fit, load_classifier
from stages.entry import InputError

if TYPE_CHECKING:
    from stages.train import TrainParams

LOGS_PER_EPOCH = 10


def fine_tune(params: "TrainParams", classifier: Path) -> list[dict[str, Any]]:
    """Train, and save the best epoch's model, its tokenizer and provenance.json to ``classifier``.

    Returns:
        The Trainer's log history.

    Raises:
        InputError: the checkpoint does not fit the data, or another process trains on the same inputs.
    """
    train, validation = (tables.read(paths.tokenized(split)) for split in ("train", "validation"))
    tokenizer = AutoTokenizer.from_pretrained(paths.TOKENIZER, trust_remote_code=False)
    stamp = provenance.inputs("train")
    set_seed(params.seed)
    model = load_classifier(tables.label_names(train.schema))
    prepare_for_device(model)
    rows = TokenizedRows(train)
    check_fit(model, tokenizer, rows)
    with checkpoint_folder(provenance.fingerprint(stamp)) as checkpoints:
        arguments = training_arguments(params, checkpoints, len(rows))
        trainer = build_trainer(params, arguments, model, tokenizer, rows, TokenizedRows(validation))
        trainer.train()
        model.save_pretrained(classifier)
    tokenizer.save_pretrained(classifier)
    stamp["machine"] = machine.description(bf16=arguments.bf16)
    text = json.dumps(stamp, indent=2, sort_keys=True, ensure_ascii=False)
    (classifier / "provenance.json").write_text(text + "\n", encoding="utf-8")
    return list(trainer.state.log_history)


@contextmanager
def checkpoint_folder(fingerprint: str) -> Iterator[Path]:
    """A folder outside the pipeline's outputs for the Trainer's checkpoints of one set of inputs, held by a lock.

    Its root is ``$RETUNE_CHECKPOINTS``, or retune/checkpoints in the user's cache folder. It is empty at first and gone
    at the end.

    Raises:
        InputError: another process trains on the same inputs.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("RETUNE_CHECKPOINTS") or cache / "retune" / "checkpoints").absolute()
    root.mkdir(parents=True, exist_ok=True)
    folder, lock = root / fingerprint, filelock.FileLock(root / f"{fingerprint}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"another process trains on the same inputs (it holds {lock.lock_file}): wait for it"
        ) from None
    try:
        shutil.rmtree(folder, ignore_errors=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def prepare_for_device(model: PreTrainedModel) -> None:
    """Choose what computes ``model``'s training fastest; what is computed stays the same."""
    if machine.device().type == "cpu":
        cpu.keep_heap()
        cpu.draw_masks_fast()
        model.set_attn_implementation("eager")  # scaled_dot_product_attention has no fused path for dropout on a CPU


def training_arguments(params: "TrainParams", output_dir: Path, rows: int) -> TrainingArguments:
    """The Trainer's settings: those of params.yaml, and those that the machine decides.

    Raises:
        InputError: the global batch does not divide among the devices.
    """
    arguments = TrainingArguments(
        output_dir=str(output_dir),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.batch_size,
        per_device_eval_batch_size=128,
        learning_rate=params.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=params.warmup_ratio,
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        label_smoothing_factor=params.label_smoothing,
        optim="adamw_torch_fused",
        use_cpu=machine.device().type == "cpu",
        bf16=machine.bf16_supported(),
        seed=params.seed,
        data_seed=params.seed,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=params.best_metric,
        greater_is_better=params.best_metric != "loss",
        logging_steps=max(1, -(-rows // params.batch_size) // LOGS_PER_EPOCH),
        logging_nan_inf_filter=False,
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=machine.device().type == "cuda",
        report_to="none",
    )
    devices = max(1, arguments.n_gpu) * arguments.world_size
    if params.batch_size % devices:
        raise InputError(f"params.yaml: train.batch_size: {params.batch_size} does not divide among {devices} devices")
    arguments.per_device_train_batch_size = params.batch_size // devices
    return arguments


def build_trainer(
    params: "TrainParams",
    arguments: TrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: TokenizedRows,
    validation: TokenizedRows,
) -> Trainer:
    """The Trainer as it comes, with a collator, metrics, and plain lines for a log in place of printed dicts."""
    patience = params.early_stopping_patience
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        data_collator=PadToLongest(tokenizer.pad_token_id, tokenizer.padding_side),
        compute_metrics=compute_metrics,
        callbacks=[EarlyStoppingCallback(patience)] if patience else None,
    )
    if arguments.disable_tqdm:
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(LogLines())
    return trainer


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """The scores of the Trainer's evaluation after each epoch."""
    logits = np.asarray(prediction.predictions)
    return metrics.scores(np.asarray(prediction.label_ids), logits.argmax(axis=-1), logits.shape[-1])


class LogLines(TrainerCallback):
    """Plain lines for a log."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Print the loss as training goes on, and the validation scores after each epoch."""
        logs = logs or {}
        at = f"epoch {state.epoch or 0:.2f} of {args.num_train_epochs}, step {state.global_step} of {state.max_steps}"
        if "loss" in logs:
            print(f"{at}: loss {logs['loss']:.4f}, learning rate {logs['learning_rate']:.2e}", flush=True)
        elif "eval_loss" in logs:
            names = {"eval_loss": "loss", "eval_accuracy": "accuracy", "eval_f1": "weighted F1"}
            figures = ", ".join(f"{name} {logs[key]:.4f}" for key, name in names.items())
            print(f"{at}: validation {figures}", flush=True)

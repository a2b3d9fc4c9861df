"""Fine-tuning with the Trainer: how it is set, what it is fed, and what it leaves behind."""

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
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

from stages import machine, metrics, provenance, tables
from stages.batching import PadToLongest, TokenizedRows
from stages.entry import InputError, reason

if TYPE_CHECKING:
    from stages.train import TrainParams

MODEL = "models/pretrained/model"
TOKENIZER = "models/pretrained/tokenizer"
LOGS_PER_EPOCH = 10


def fine_tune(params: "TrainParams", classifier: Path) -> list[dict[str, Any]]:
    """Train, and save the best epoch's model, its tokenizer and provenance.json to ``classifier``.

    Returns:
        The Trainer's log history.

    Raises:
        InputError: the checkpoint does not fit the data, or another process trains on the same inputs.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)
    train, validation = (tables.read(f"data/tokenized/{split}.parquet") for split in ("train", "validation"))
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER, trust_remote_code=False)
    stamp = provenance.inputs("train")
    set_seed(params.seed)
    model = load_model(tables.label_names(train.schema))
    rows = TokenizedRows(train)
    check_fit(model, tokenizer, rows)
    with checkpoint_folder(provenance.fingerprint("train")) as checkpoints:
        arguments = training_arguments(params, checkpoints, len(rows))
        trainer = build_trainer(params, arguments, model, tokenizer, rows, TokenizedRows(validation))
        trainer.train()
        model.save_pretrained(classifier)
    tokenizer.save_pretrained(classifier)
    stamp["machine"] = machine.description(bf16=arguments.bf16)
    text = json.dumps(stamp, indent=2, sort_keys=True, ensure_ascii=False)
    (classifier / "provenance.json").write_text(text + "\n", encoding="utf-8")
    return list(trainer.state.log_history)


def load_model(names: list[str]) -> PreTrainedModel:
    """Load the checkpoint in float32 with a classification head for ``names``: its own where it has one of that size.

    Raises:
        InputError: the checkpoint has no architecture for sequence classification, or its weights do not fill it.
    """
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            MODEL,
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
            dtype="float32",
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # a head for other labels is replaced; the body is checked below
            output_loading_info=True,
        )
    except (ValueError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{MODEL}: does not load for sequence classification ({reason(error)}): choose another model"
        ) from error
    body = f"{model.base_model_prefix}."
    unfilled = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    missing = sorted(key for key in unfilled if key.startswith(body) and ".pooler." not in key)
    if missing:
        raise InputError(
            f"{MODEL}: its weights lack {missing[0]} (of that shape) and {len(missing) - 1} more: they and config.json "
            f"are not of one {type(model).__name__}"
        )
    return model


def check_fit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: TokenizedRows) -> None:
    """Hold the tokenizer and the tokens against the model.

    Raises:
        InputError: there is no padding token, a token id outside the vocabulary, or a text longer than the positions.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(f"{TOKENIZER}: no padding token: choose a checkpoint that has one")
    size = model.get_input_embeddings().weight.shape[0]
    if (largest := max(int(rows.ids.max()), tokenizer.pad_token_id)) >= size:
        raise InputError(
            f"{TOKENIZER}: gives token id {largest}, but the model knows {size} tokens: they do not belong together"
        )
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and (longest := int(rows.lengths.max())) > positions:
        raise InputError(
            f"params.yaml: tokenize.max_length: texts of {longest} tokens, but the model has {positions} positions"
        )


def checkpoint_folder(fingerprint: str) -> "_CheckpointFolder":
    """A folder outside the pipeline's outputs for the Trainer's checkpoints of one set of inputs, held by a lock.

    Its root is ``$RETUNE_CHECKPOINTS``, or retune/checkpoints in the user's cache folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("RETUNE_CHECKPOINTS") or cache / "retune" / "checkpoints")
    return _CheckpointFolder(root.absolute() / fingerprint)


class _CheckpointFolder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = filelock.FileLock(folder.with_suffix(".lock"), timeout=0)

    def __enter__(self) -> Path:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire()
        except filelock.Timeout:
            raise InputError(
                f"another process is training on the same inputs (it holds {self.lock.lock_file}): wait for it"
            ) from None
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(self.lock.lock_file).unlink(missing_ok=True)
        self.lock.release()


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

"""Fine-tuning with the Trainer: how it is set, what it is fed, and what it leaves behind."""

import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from stages import callbacks, checkpoints, cpu, machine, memory, metrics, paths, provenance, tables
from stages.batching import PadToLongest, TokenizedRows
from stages.classifier import load_pretrained, load_tokenizer
from stages.compatibility import check_checkpoint, check_fit
from stages.errors import InputError
from stages.first_token import narrow
from stages.interruption import Interruption
from stages.losses import BatchLoss
from stages.trimmed_embeddings import trim

if TYPE_CHECKING:
    from stages.train import TrainParams

LOGS_PER_EPOCH = 10  # at most


def fine_tune(
    params: "TrainParams", stamp: dict[str, Any], folder: Path, classifier: Path, interruption: Interruption
) -> list[dict[str, Any]]:
    """Train, and save the best epoch's model, its tokenizer and provenance.json to ``classifier``.

    Goes on from the newest whole checkpoint in ``folder``, to the same bytes unless memory ran out in between.

    Returns:
        The Trainer's log history.

    Raises:
        InputError: the checkpoint does not fit the data, no step would change it, the loss is not finite, one text
            alone fills the memory, or an input was edited since the stage began.
        Stopped: a signal came; any checkpoint is in ``folder``.
    """
    train, validation = (tables.read(paths.tokenized(split)) for split in ("train", "validation"))
    tokenizer = load_tokenizer(paths.TOKENIZER)
    train_rows, validation_rows = TokenizedRows(train), TokenizedRows(validation)
    if params.warmup_ratio and params.epochs == 1 and params.batch_size >= len(train_rows):
        raise InputError(
            "params.yaml: train.warmup_ratio: the only step would have a learning rate of 0, from which it rises: set "
            "the ratio to 0, lower train.batch_size, or raise train.epochs"
        )
    newest = checkpoints.keep_newest(folder)
    first = newest[1]["machine"]["gradient_accumulation_steps"] if newest else 1

    def attempt(steps: int) -> tuple[Trainer, dict[str, Any]]:
        interruption.before_training()
        set_seed(params.seed)
        model = load_pretrained(tables.label_names(train.schema)).to(machine.device())
        check_fit(model, tokenizer, train_rows, validation_rows, bf16=machine.bf16_supported())
        check_checkpoint(model, tokenizer, train_rows)
        speed_up(model, tokenizer.pad_token_id, train_rows, validation_rows)
        arguments = training_arguments(params, folder, len(train_rows), steps)
        trainer = build_trainer(params, arguments, model, tokenizer, train_rows, validation_rows)
        resumed = newest if steps == first else checkpoints.keep_newest(folder)
        made_on = machine.description(bf16=arguments.bf16) | {"gradient_accumulation_steps": steps}
        checkpoint, made = checkpoints.attach(trainer, made_on, resumed)
        trainer.add_callback(interruption)
        trainer.add_callback(callbacks.FiniteLoss(trainer))
        provenance.check_unchanged(stamp)  # else checkpoints of what was read here would be resumed as of the stamp's
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer, made

    trainer, made = memory.accumulate_as_needed(attempt, params.batch_size, first)
    best = callbacks.best_epoch(trainer.state)
    score = f"{params.best_metric} {best[f'eval_{params.best_metric}']:.4f}"
    print(f"kept: the model after epoch {round(best['epoch'])} of {params.epochs}, validation {score}", flush=True)
    trainer.model.save_pretrained(classifier)
    tokenizer.save_pretrained(classifier)
    for weights in classifier.glob("*.safetensors"):  # which safetensors lets nobody else read
        shutil.copymode(classifier / "config.json", weights)
    (classifier / Path(paths.CLASSIFIER_PROVENANCE).name).write_text(provenance.text(stamp | made), encoding="utf-8")
    return list(trainer.state.log_history)


def speed_up(model: PreTrainedModel, pad_token_id: int, *splits: TokenizedRows) -> None:
    """Have ``model``'s training on these splits computed as fast as the device can.

    The result is the same but for rounding, the numbers that dropout draws, and weight decay, which the embeddings of
    tokens that are in no text do not get.
    """
    narrow(model)
    trim(model, pad_token_id, *splits)
    if machine.device().type == "cpu":
        cpu.keep_heap()
        cpu.draw_masks_fast()
        model.set_attn_implementation("eager")  # scaled_dot_product_attention has no fused path for dropout on a CPU
    else:
        torch.backends.cuda.enable_cudnn_sdp(enabled=False)  # cuDNN's attention is planned anew for each batch shape


def training_arguments(
    params: "TrainParams", output_dir: Path, rows: int, accumulation_steps: int = 1
) -> TrainingArguments:
    """The Trainer's settings: those of params.yaml, and those that the machine decides."""
    rows_at_once = params.batch_size // accumulation_steps
    device = machine.device().type
    arguments = TrainingArguments(
        output_dir=str(output_dir),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=rows_at_once,
        per_device_eval_batch_size=rows_at_once,  # which training has shown to fit in memory
        gradient_accumulation_steps=accumulation_steps,
        learning_rate=params.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=params.warmup_ratio,  # below 1, a share of the steps
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        optim="adamw_torch_fused",
        use_cpu=device == "cpu",
        bf16=machine.bf16_supported(),
        seed=params.seed,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        label_names=["labels"],  # else those that the model's forward names, which may name none
        eval_strategy="epoch",
        save_strategy="epoch",
        restore_callback_states_from_checkpoint=True,  # early stopping's patience
        load_best_model_at_end=True,
        metric_for_best_model=params.best_metric,
        greater_is_better=params.best_metric != "loss",
        logging_steps=math.ceil(rows / (params.batch_size * LOGS_PER_EPOCH)),
        logging_nan_inf_filter=False,
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=device == "cuda",
        accelerator_config={"non_blocking": device == "cuda"},  # else each copy waits for the device
        report_to="none",
    )
    arguments._n_gpu = 1  # noqa: SLF001 - else DataParallel multiplies the loss of BERT and its like by the number of GPUs
    return arguments


def build_trainer(
    params: "TrainParams",
    arguments: TrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: TokenizedRows,
    validation: TokenizedRows,
) -> Trainer:
    """The Trainer as it comes, with a collator, a loss, metrics, and plain lines in place of printed dicts."""
    patience = params.early_stopping_patience
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=PadToLongest(tokenizer),
        compute_metrics=compute_metrics,
        preprocess_logits_for_metrics=lambda logits, _: logits.argmax(dim=-1),  # else each batch copies all so far
        compute_loss_func=BatchLoss(model, params.label_smoothing, params.contrastive_weight),
        callbacks=[callbacks.TieByLoss(), *([EarlyStoppingCallback(patience)] if patience else [])],
    )
    trainer.remove_callback(PrinterCallback if arguments.disable_tqdm else ProgressCallback)
    trainer.add_callback(callbacks.LogLines() if arguments.disable_tqdm else callbacks.LogBar())
    return trainer


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """The scores of the Trainer's evaluation after each epoch."""
    return metrics.scores(np.asarray(prediction.label_ids), np.asarray(prediction.predictions))

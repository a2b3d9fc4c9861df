"""Steps and time of training to a validation accuracy, for params.yaml and for the book's settings, over seeds.

Run: python -m benchmarks.accuracy ours|book [--epochs N] [--seeds N ...] [--target ACCURACY]
In a folder whose tokenize stage has run. Both train by this project's path: the steps that the book's settings take do
not hang on how batches are padded, and its time is those steps at the rate that benchmarks.training measures.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from stages import fine_tuning, params, paths, tables
from stages.batching import TokenizedRows
from stages.classifier import load_classifier
from stages.train import TrainParams

BOOK = {"learning_rate": 2e-5, "warmup_ratio": 0.0, "weight_decay": 0.01, "batch_size": 64, "label_smoothing": 0.0}
BOOK_ACCURACY = 0.9225  # DistilBERT's on validation after two epochs


class Record(TrainerCallback):
    """The validation accuracy after each epoch, and the seconds until then."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, float, float]] = []  # step, seconds, accuracy

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_evaluate(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        """Note an epoch's end."""
        self.epochs.append((state.global_step, time.perf_counter() - self.start, metrics["eval_accuracy"]))


def train(settings: TrainParams, *, in_random_order: bool) -> list[tuple[int, float, float]]:
    """Fine-tune the checkpoint and give step, seconds and validation accuracy at each epoch's end."""
    table = tables.read(paths.tokenized("train"))
    rows, validation = TokenizedRows(table), TokenizedRows(tables.read(paths.tokenized("validation")))
    set_seed(settings.seed)
    model = load_classifier(tables.label_names(table.schema))
    fine_tuning.prepare_for_device(model)
    tokenizer = AutoTokenizer.from_pretrained(paths.TOKENIZER)
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        arguments = fine_tuning.training_arguments(settings, Path(folder), len(rows))
        arguments.save_strategy, arguments.load_best_model_at_end = "no", False
        if in_random_order:
            arguments.train_sampling_strategy = "random"
        trainer = fine_tuning.build_trainer(settings, arguments, model, tokenizer, rows, validation)
        trainer.add_callback(record)
        trainer.train()
    return record.epochs


def main() -> None:
    """Train with each seed, and print what each took to the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", choices=("ours", "book"))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--target", type=float, default=BOOK_ACCURACY)
    arguments = parser.parse_args()
    settings = params.load("train", TrainParams)
    changes = (BOOK if arguments.settings == "book" else {}) | (
        {"epochs": arguments.epochs} if arguments.epochs else {}
    )
    for seed in arguments.seeds:
        one = settings.model_copy(update=changes | {"seed": seed})
        epochs = train(one, in_random_order=arguments.settings == "book")
        reached = next(((step, seconds) for step, seconds, accuracy in epochs if accuracy >= arguments.target), None)
        best = max(accuracy for _, _, accuracy in epochs)
        accuracies = ", ".join(f"{accuracy:.4f}" for _, _, accuracy in epochs)
        to_target = f"after {reached[0]} steps, {reached[1]:.0f} s" if reached else "never"
        print(
            f"{arguments.settings}, seed {seed}: {accuracies}; best {best:.4f}; {arguments.target}: {to_target}; "
            f"{epochs[-1][1]:.0f} s in all",
            flush=True,
        )


if __name__ == "__main__":
    main()

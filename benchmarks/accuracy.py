"""Validation accuracy, and when training reaches one, over seeds: with the settings of params.yaml or of the book.

Run: python -m benchmarks.accuracy {ours,book} [...] [--set KEY=VALUE ...] [--seeds N ...]

In a folder whose tokenize stage has run; scored at each epoch's end. Both train by stages/fine_tuning.py, since padding
changes what a step costs and not what it teaches; the book's time is its steps at the rate of (b) in
benchmarks.training.
"""

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from transformers import TrainerCallback, TrainerState, set_seed

from stages import entry, errors, fine_tuning, params, paths, tables, yaml12
from stages.batching import TokenizedRows
from stages.classifier import load_pretrained, load_tokenizer
from stages.train import TrainParams

BOOK = {
    "epochs": 2,
    "batch_size": 64,
    "learning_rate": 2e-5,
    "warmup_ratio": 0.0,
    "weight_decay": 0.01,
    "label_smoothing": 0.0,
    "contrastive_weight": 0.0,
}
BOOK_ACCURACY = 0.9225  # DistilBERT's on validation after two epochs


class Score(NamedTuple):
    """An evaluation."""

    step: int
    seconds: float  # of training until then, evaluations left out
    accuracy: float


class Record(TrainerCallback):
    """The scores of a training."""

    def __init__(self) -> None:
        self.scores: list[Score] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_evaluate(self, _: Any, state: TrainerState, *__: Any, metrics: dict[str, float], **___: Any) -> None:
        """Note the score."""
        self.start += metrics["eval_runtime"]
        self.scores.append(Score(state.global_step, time.perf_counter() - self.start, metrics["eval_accuracy"]))


def train(settings: TrainParams, *, in_random_order: bool) -> list[Score]:
    """Fine-tune the checkpoint; the scores at each epoch's end."""
    table = tables.read(paths.tokenized("train"))
    rows, validation = TokenizedRows(table), TokenizedRows(tables.read(paths.tokenized("validation")))
    set_seed(settings.seed)
    model = load_pretrained(tables.label_names(table.schema))
    tokenizer = load_tokenizer(paths.TOKENIZER)
    fine_tuning.speed_up(model, tokenizer.pad_token_id, rows, validation)
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        arguments = fine_tuning.training_arguments(settings, Path(folder), len(rows))
        arguments.save_strategy, arguments.load_best_model_at_end = "no", False
        if in_random_order:
            arguments.train_sampling_strategy = "random"
        trainer = fine_tuning.build_trainer(settings, arguments, model, tokenizer, rows, validation)
        trainer.add_callback(record)
        trainer.train()
    return record.scores


def main() -> None:
    """Train with each seed, and print how accurate it was and what it took to the target."""
    parser = entry.parser("benchmarks.accuracy", __doc__)
    parser.add_argument("settings", nargs="+", choices=("ours", "book"), help="params.yaml's, or the book's")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of the section train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    arguments = parser.parse_args()
    changes = {key: yaml12.parse(value) for key, _, value in (change.partition("=") for change in arguments.set)}
    for name, seed in itertools.product(arguments.settings, arguments.seeds):
        book = name == "book"
        settings = params.load("train", TrainParams).model_dump() | (BOOK if book else {}) | changes | {"seed": seed}
        try:
            checked = TrainParams.model_validate(settings)
        except ValidationError as error:
            raise errors.InputError(*(f"train.{wrong['loc'][0]}: {wrong['msg']}" for wrong in error.errors())) from None
        scores = train(checked, in_random_order=book)
        reached = next((score for score in scores if score.accuracy >= BOOK_ACCURACY), None)
        print(
            f"{' '.join((name, *arguments.set))}, seed {seed}: "
            f"{', '.join(f'{score.accuracy:.4f}' for score in scores)}; "
            f"best {max(score.accuracy for score in scores):.4f}; {BOOK_ACCURACY}: "
            + (f"reached after {reached.step} steps, {reached.seconds:.0f} s" if reached else "not reached")
            + f"; {scores[-1].step} steps, {scores[-1].seconds:.0f} s in total",
            flush=True,
        )


if __name__ == "__main__":
    entry.run(main, pinned=False)

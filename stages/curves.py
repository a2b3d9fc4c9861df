"""The curves of a training run, as tables that DVC plots."""

import csv
from pathlib import Path
from typing import Any

TRAINING = ("step", "epoch", "loss", "learning_rate")
VALIDATION = ("epoch", "loss", "accuracy", "f1", "f1_macro")


def write(history: list[dict[str, Any]], training: Path, validation: Path) -> None:
    """Write the Trainer's log history: a row per logged step, and a row per epoch; no timings, so that reruns agree."""
    steps = [entry for entry in history if "loss" in entry]
    epochs = [
        {key.removeprefix("eval_"): value for key, value in entry.items()} for entry in history if "eval_loss" in entry
    ]
    for path, columns, entries in ((training, TRAINING, steps), (validation, VALIDATION, epochs)):
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows(
                {key: round(entry[key], 8) if isinstance(entry[key], float) else entry[key] for key in columns}
                for entry in entries
            )

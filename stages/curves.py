"""The curves of a training run, as tables that DVC plots."""

from pathlib import Path
from typing import Any

import pandas as pd

from stages import tables

TRAINING = ["step", "epoch", "loss", "learning_rate"]
VALIDATION = ["epoch", "loss", "accuracy", "f1", "f1_macro"]


def write(history: list[dict[str, Any]], training: Path, validation: Path) -> None:
    """Write the Trainer's log history: a row per logged step, and a row per epoch; no timings, so that reruns agree."""
    steps = [entry for entry in history if "loss" in entry]
    epochs = [
        {key.removeprefix("eval_"): value for key, value in entry.items()} for entry in history if "eval_loss" in entry
    ]
    tables.write_csv(training, pd.DataFrame(steps, columns=TRAINING).round({"epoch": 8, "loss": 8}))
    tables.write_csv(validation, pd.DataFrame(epochs, columns=VALIDATION).round(8))

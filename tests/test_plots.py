"""The tables and pictures of the evaluation hold every label, whatever its name."""

import csv
from pathlib import Path

import numpy as np
import pytest

from stages import plots


@pytest.mark.filterwarnings("ignore:Glyph 13")
def test_a_label_with_a_carriage_return_is_one_row(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(20) % 2
    probabilities = generator.dirichlet([1, 1], 20).astype(np.float32)
    plots.draw(labels, probabilities, generator.normal(size=(20, 4)).astype(np.float32), ["a\rb", "c"], tmp_path)
    with (tmp_path / "per_class.csv").open(encoding="utf-8", newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["a\rb", "c"]

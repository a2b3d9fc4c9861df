"""The model card: the figures of the run, what it was made from, and code that works."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from edits import edit_json
from stand_ins import read_csv

from stages import paths, tables
from tools import card

NAME = "tiny/emotions"
HUB_DATA = {"dataset__source": "hub", "model__source": "hub"}


def header(content: str) -> dict[str, Any]:
    """What the hub reads of a card."""
    return dict(yaml.safe_load(content.split("---\n")[1]))


def test_the_code_on_the_card_gives_the_labels_of_evaluate(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)
    code = re.findall(r"```python\n(.*?)```", card.model_card(NAME, "c0ffee"), re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code.replace(NAME, paths.CLASSIFIER), names)
    texts, evaluated = tables.read(paths.raw("test")), tables.read(paths.predictions("test"))
    labels = tables.label_names(texts.schema)
    found = names["classify"](texts["text"].to_pylist())
    assert [one["label"] for one in found] == [labels[number] for number in evaluated["prediction"].to_pylist()]


@pytest.fixture
def written(inside: Path) -> Callable[..., str]:
    """The card of a run whose download stage had other params."""

    def write(**params: Any) -> str:
        path = inside / paths.provenance("download")
        stamp = json.loads(path.read_text(encoding="utf-8"))["params"]
        edit_json(path, params=stamp | {name.replace("__", "."): value for name, value in params.items()})
        return card.model_card(NAME, "c0ffee")

    return write


def test_a_card_has_the_figures_of_the_run(pipeline: Path, written: Callable[..., str]) -> None:
    content = written()
    metrics = json.loads((pipeline / paths.METRICS).read_text(encoding="utf-8"))
    for name, value in metrics.items():
        assert f"| {name} | {value:.4f} |" in content
    low, high = map(float, re.findall(r"(\d\.\d{4}) to (\d\.\d{4}) \(Wilson\)", content)[0])
    rows, right, z = 72, round(72 * metrics["accuracy"]), 1.959964
    middle, half = right + z**2 / 2, z * (right * (rows - right) / rows + z**2 / 4) ** 0.5
    assert (low, high) == pytest.approx(((middle - half) / (rows + z**2), (middle + half) / (rows + z**2)), abs=1e-4)
    assert "| majority class |" in content
    assert "**Warning**: the fine-tuned model does not beat" in content  # it is the tiny random checkpoint
    assert "| `joy` | 12 | 12 | 12 |" in content
    assert "| all | 72 | 72 | 72 |" in content
    assert "On the 72 rows of the test split" in content
    assert "Labels a text with one of 6 labels." in content
    assert "truncation=True, max_length=128)" in content
    assert "| `tokenize.max_length` | 128 |" in content
    assert "| `train.learning_rate` | 0.01 |" in content
    assert "commit `c0ffee`" in content
    joy = next(row for row in read_csv(pipeline / paths.PLOTS / "per_class.csv") if row["label"] == "joy")
    assert f"| `joy` | {float(joy['precision']):.4f} | {float(joy['recall']):.4f} | {float(joy['f1']):.4f} |" in content
    made = json.loads((pipeline / paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))["machine"]
    assert f"On `{made['device']}`, in {made['precision']}, with torch {made['versions']['torch']}" in content
    assert "# emotions\n" in content


def keep(split: str, rows: Sequence[int]) -> None:
    """Keep some rows of a split."""
    table = tables.read(paths.raw(split))
    Path(paths.raw(split)).unlink()
    columns = {name: table[name].take(list(rows)) for name in table.column_names}
    tables.write(Path(paths.raw(split)), table.schema, **columns)


def test_a_card_counts_the_rows_that_were_left_out(written: Callable[..., str]) -> None:
    assert "left out" not in written()
    skipped = {"train": {}, "validation": {}, "test": {"no label": 2, "an unknown label": 1}}
    edit_json(Path(paths.AUDIT), skipped_rows=skipped)
    assert "| all | 72 | 72 | 72 |\n| left out | 0 | 0 | 3 |\n" in written()


def test_a_card_counts_each_split_in_its_column(written: Callable[..., str]) -> None:
    for split, kept in (("validation", 3), ("test", 2)):
        table = tables.read(paths.raw(split))
        joy = tables.label_names(table.schema).index("joy")
        keep(split, np.flatnonzero(table["label"].to_numpy() == joy)[:kept].tolist())
    content = written()
    assert "| `joy` | 12 | 3 | 2 |\n" in content
    assert "| all | 72 | 3 | 2 |" in content
    assert "On the 2 rows of the test split" in content


def test_a_label_without_test_rows_has_no_scores(written: Callable[..., str]) -> None:
    file = Path(paths.PLOTS, "per_class.csv")
    rows = [row | {"label": "NA", "support": "0"} if row["label"] == "joy" else row for row in read_csv(file)]
    pd.DataFrame(rows).to_csv(file, index=False)
    content = written()
    assert "| `NA` | - | - | - | 0 |\n" in content
    assert content.count("| - ") == 3


def test_labels_that_are_numbers_are_shown_as_they_are_spelt(written: Callable[..., str]) -> None:
    file = Path(paths.PLOTS, "per_class.csv")
    rows = [row | {"label": f"0{number}"} for number, row in enumerate(read_csv(file))]
    pd.DataFrame(rows).to_csv(file, index=False)
    assert "| `00` |" in written()


def test_of_a_dataset_that_lacks_a_validation_split_the_metrics_are_its_own(written: Callable[..., str]) -> None:
    edit_json(Path(paths.AUDIT), splits={"train": {}, "test": {}})
    content = written(**HUB_DATA)
    assert "model-index" in header(content)
    assert "The validation split was carved from train." in content
    assert "The test split was carved from train." not in content


def test_a_card_says_what_others_can_have_of_the_checkpoint(written: Callable[..., str]) -> None:
    sha256 = {"model__weights_sha256": "0" * 64}
    said = f" (sha256 of the weights: `{'0' * 64}`).\n"
    assert f"Fine-tuned from a local model{said}" in written(**sha256)
    package = {"model__source": "package", "model__package": "some-model==1.0"}
    assert f"Fine-tuned from the model of the package `some-model==1.0`{said}" in written(**package, **sha256)
    hub = {"model__source": "hub", "model__hub_name": "some/model", "model__hub_revision": "c0ffee"}
    assert "Fine-tuned from [some/model](https://huggingface.co/some/model/tree/c0ffee).\n" in written(**hub)


def test_a_card_names_no_path(written: Callable[..., str]) -> None:
    content = written()
    assert header(content).keys() == {"library_name", "pipeline_tag", "metrics"}
    assert "The texts are from files." in content
    assert "Fine-tuned from a local model." in content
    for path in ("data/small", "models/tiny", str(Path.cwd())):
        assert path not in content


@pytest.mark.parametrize(("source", "key"), [("dataset", "datasets"), ("model", "base_model")])
def test_a_card_names_to_the_hub_only_what_is_from_there(written: Callable[..., str], source: str, key: str) -> None:
    said = header(written(**{f"{source}__source": "hub"}))
    assert said.keys() & {"datasets", "base_model"} == {key}


def test_a_card_of_a_hub_dataset_and_checkpoint_names_both_and_has_the_metrics_in_its_header(
    written: Callable[..., str],
) -> None:
    content = written(**HUB_DATA)
    metrics = json.loads(Path(paths.METRICS).read_text(encoding="utf-8"))
    said = header(content)
    assert said["datasets"] == ["dair-ai/emotion"]
    assert said["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    (result,) = said["model-index"][0]["results"]
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "accuracy": metrics["accuracy"],
        "f1": metrics["f1"],
    }
    assert [one["args"] for one in result["metrics"] if "args" in one] == [{"average": "weighted"}]  # of F1
    assert (result["dataset"]["config"], result["dataset"]["split"]) == ("split", "test")
    assert ", configuration `split`." in content
    revision = result["dataset"]["revision"]
    assert f"https://huggingface.co/datasets/dair-ai/emotion/tree/{revision}" in content


def test_metrics_of_a_carved_test_split_are_not_called_those_of_the_dataset(
    written: Callable[..., str],
) -> None:
    edit_json(Path(paths.AUDIT), splits={"train": {}})
    content = written(**HUB_DATA)
    assert "model-index" not in header(content)
    assert "The test split was carved from train." in content

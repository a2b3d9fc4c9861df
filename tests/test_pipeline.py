"""The whole pipeline under `dvc repro`: what it writes, and what it reruns."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from clones import TREE, change_params, git, run, stages_run
from stand_ins import read_csv

from stages import paths, tables

LABELS = ["sadness", "joy", "love", "anger", "fear", "surprise"]


def test_git_takes_dvc_lock_and_the_metrics_of_a_run_and_nothing_else(pipeline: Path) -> None:
    assert git("status", "--short", cwd=pipeline) == ""
    committed = git("show", "--name-only", "--format=", "HEAD", cwd=pipeline).splitlines()
    inputs = ("data/small/", "models/tiny/")
    assert {path for path in committed if not path.startswith(inputs)} == {
        "dvc.lock",
        "metrics/metrics.json",
        "params.yaml",
    }


def test_the_metrics_are_a_handful_of_rounded_numbers(pipeline: Path) -> None:
    metrics = json.loads((pipeline / "metrics/metrics.json").read_text(encoding="utf-8"))
    validation = ["validation_accuracy", "validation_f1", "validation_f1_macro"]
    assert list(metrics) == ["accuracy", "f1", "f1_macro", "loss", *validation]
    assert all(value == round(value, 4) for value in metrics.values())


def test_the_metrics_are_those_of_the_predictions(pipeline: Path) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    metrics = json.loads((pipeline / "metrics/metrics.json").read_text(encoding="utf-8"))
    for split, prefix in (("test", ""), ("validation", "validation_")):
        table = pq.read_table(pipeline / f"data/predictions/{split}.parquet")
        label, prediction = table["label"].to_numpy(), table["prediction"].to_numpy()
        assert metrics[f"{prefix}accuracy"] == round(accuracy_score(label, prediction), 4)
        assert metrics[f"{prefix}f1"] == round(f1_score(label, prediction, average="weighted"), 4)


@pytest.mark.parametrize("split", paths.SPLITS)
def test_labels_and_rows_keep_their_order_from_file_to_predictions(pipeline: Path, split: str) -> None:
    expected = [LABELS.index(row["label"]) for row in read_csv(pipeline / f"data/small/{split}.csv")]
    folders = ("raw", "tokenized") if split == "train" else ("raw", "tokenized", "predictions")
    for folder in folders:
        table = pq.read_table(pipeline / f"data/{folder}/{split}.parquet")
        assert table["label"].to_pylist() == expected
        assert tables.label_names(table.schema) == LABELS


def test_predictions_carry_probabilities_and_what_they_were_made_from(pipeline: Path) -> None:
    table = pq.read_table(pipeline / "data/predictions/test.parquet")
    for probabilities, prediction in zip(
        table["probabilities"].to_pylist(), table["prediction"].to_pylist(), strict=True
    ):
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert probabilities.index(max(probabilities)) == prediction
    stamp = tables.metadata(table.schema)
    lock = yaml.safe_load((pipeline / "dvc.lock").read_text(encoding="utf-8"))["stages"]["evaluate"]
    assert stamp["deps"] == {dep["path"]: dep["md5"] for dep in lock["deps"]}
    assert stamp["machine"]["precision"] == "float32"


def test_the_classifier_is_what_from_pretrained_needs_and_its_provenance(pipeline: Path) -> None:
    assert {"config.json", "model.safetensors", "provenance.json", "tokenizer.json", "tokenizer_config.json"} == {
        path.name for path in (pipeline / "models/classifier").iterdir()
    }


def test_curves_have_a_row_for_each_epoch_and_no_timings(pipeline: Path) -> None:
    rows = read_csv(pipeline / "metrics/curves/validation.csv")
    assert [float(row["epoch"]) for row in rows] == [1.0, 2.0]
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "f1", "f1_macro"]
    assert list(read_csv(pipeline / "metrics/curves/training.csv")[0]) == ["step", "epoch", "loss", "learning_rate"]


def test_dvc_draws_every_plot_of_dvc_yaml(pipeline: Path, tmp_path: Path) -> None:
    run("dvc", "plots", "show", "--out", str(tmp_path / "plots"), cwd=pipeline)
    page = (tmp_path / "plots/index.html").read_text(encoding="utf-8")
    for plot in yaml.safe_load((pipeline / "dvc.yaml").read_text(encoding="utf-8"))["plots"]:
        name = plot if isinstance(plot, str) else next(iter(plot))
        assert name.replace("/", "_") in page or name in page


def test_per_class_figures_are_plot_data_and_no_metric(pipeline: Path) -> None:
    rows = read_csv(pipeline / "metrics/plots/per_class.csv")
    assert [row["label"] for row in rows] == LABELS
    assert list(rows[0]) == ["label", "precision", "recall", "f1", "support"]
    assert set(json.loads(run("dvc", "metrics", "show", "--json", cwd=pipeline).stdout)[""]["data"]) == {
        "metrics/metrics.json"
    }


def test_a_failed_stage_leaves_the_rest_as_it_was_and_no_partial_output(copy: Path) -> None:
    change_params(copy, tokenize__max_length=100_000)
    done = run("dvc", "repro", cwd=copy, check=False)
    assert done.returncode
    assert "error: params.yaml: tokenize.max_length: 100000 is more than" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(copy.glob("data/tokenized/*"))
    change_params(copy)
    assert stages_run(copy) == []


def test_the_hardest_rows_are_rows_of_test(pipeline: Path) -> None:
    raw = pq.read_table(pipeline / "data/raw/test.parquet")
    texts, names = raw["text"].to_pylist(), tables.label_names(raw.schema)
    labels = [names[number] for number in raw["label"].to_pylist()]
    hardest = read_csv(pipeline / "data/predictions/hardest.csv")
    rows = [(int(row["row"]), row["text"], row["label"]) for row in hardest]
    assert sorted(rows) == list(zip(range(len(texts)), texts, labels, strict=True))


def test_the_classifier_knows_the_number_of_each_label(pipeline: Path) -> None:
    config = json.loads((pipeline / "models/classifier/config.json").read_text(encoding="utf-8"))
    assert config["label2id"] == {name: int(number) for number, name in config["id2label"].items()}


def test_the_hardest_rows_and_the_plots_are_of_the_predictions_of_test(pipeline: Path) -> None:
    table = pq.read_table(pipeline / "data/predictions/test.parquet")
    predicted = [LABELS[number] for number in table["prediction"].to_pylist()]
    highest = [max(row) for row in table["probabilities"].to_pylist()]
    rows = read_csv(pipeline / "data/predictions/hardest.csv")
    hardest = {int(row["row"]): (row["prediction"], float(row["probability"])) for row in rows}
    assert [hardest[row][0] for row in range(len(predicted))] == predicted
    assert [hardest[row][1] for row in range(len(predicted))] == pytest.approx(highest, abs=1e-4)
    confusion = read_csv(pipeline / "metrics/plots/confusion_matrix.csv")
    pairs = [(row["label"], row["prediction"]) for row in confusion]
    assert pairs == list(zip((LABELS[number] for number in table["label"].to_pylist()), predicted, strict=True))


@pytest.mark.parametrize("name", [".venv", "data/own", "data/raw", "models/own/model", "models/classifier", "report"])
def test_a_link_in_the_place_of_an_ignored_folder_is_ignored_too(tmp_path: Path, name: str) -> None:
    git("init", "--quiet", str(tmp_path), cwd=tmp_path)
    shutil.copy(TREE / ".gitignore", tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to("elsewhere")
    assert git("check-ignore", name, cwd=tmp_path).strip() == name

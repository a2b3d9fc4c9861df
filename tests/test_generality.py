"""The whole pipeline, in process, on data of many kinds, with the tiny random checkpoint: only mechanics count."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from own_data import Workspace
from sklearn.metrics import accuracy_score, f1_score
from stand_ins import write_csv

from stages import audit, baselines, download, evaluate, paths, tables, tokenize, train
from stages.classifier import load_pretrained

Rows = list[tuple[str, str]]
Run = Callable[..., dict[str, Any]]

STAGES = (download.main, audit.main, tokenize.main, train.main, evaluate.main, baselines.main)


def texts_of(labels: list[str], rows: int) -> Rows:
    """``rows`` rows of each label, the labels in turn, each text once."""
    return [(f"text {row} which is about {label}", label) for row in range(rows) for label in labels]


@pytest.fixture
def run(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the stages on splits given as rows, or on a single list of rows; hold what every run is to give."""

    def run_stages(data: dict[str, Rows] | Rows, **params: Any) -> dict[str, Any]:
        single = isinstance(data, list)
        path = "all.csv" if single else "own"
        quick = {"train__epochs": 1, "dataset__path": path, "dataset__labels": None}
        folder = workspace(**quick | params)
        (folder / "own").mkdir()
        for split, rows in {"all": data}.items() if isinstance(data, list) else data.items():
            write_csv(folder / ("all.csv" if single else f"own/{split}.csv"), rows)
        for main in STAGES:
            main()
        metrics = json.loads((folder / "metrics/metrics.json").read_text(encoding="utf-8"))
        raw = {split: tables.read(f"data/raw/{split}.parquet") for split in paths.SPLITS}
        names = tables.label_names(raw["train"].schema)
        for split in paths.EVALUATED:
            predictions = tables.read(f"data/predictions/{split}.parquet")
            assert predictions["label"].to_pylist() == raw[split]["label"].to_pylist()
            assert tables.label_names(predictions.schema) == names
            assert {len(row) for row in predictions["probabilities"].to_pylist()} == {len(names)}
        labels, found = predictions["label"].to_pylist(), predictions["prediction"].to_pylist()  # of test
        assert metrics["accuracy"] == round(accuracy_score(labels, found), 4)
        assert metrics["f1"] == round(f1_score(labels, found, average="weighted", zero_division=0), 4)
        texts = {split: table["text"].to_pylist() for split, table in raw.items()}
        classify = transformers.pipeline(
            "text-classification", "models/classifier", device="cpu", truncation=True, max_length=128
        )
        answers = classify(texts["test"][:8])
        assert {answer["label"] for answer in answers} <= set(names)
        predicted = [names[number] for number in tables.read("data/predictions/test.parquet")["prediction"].to_pylist()]
        assert [answer["label"] for answer in answers] == predicted[:8]
        return {"names": names, "texts": texts, "raw": raw, "said": capsys.readouterr().out, "metrics": metrics}

    torch.manual_seed(0)
    return run_stages


def in_three(rows: Rows, labels: int) -> dict[str, Rows]:
    """The rows as three splits, of which validation and test have two rows of each label."""
    held = 2 * labels
    return {"train": rows[2 * held :], "validation": rows[:held], "test": rows[held : 2 * held]}


def test_two_labels_make_a_classifier(run: Run) -> None:
    assert run(in_three(texts_of(["no", "yes"], 20), 2))["names"] == ["no", "yes"]


def test_eighty_labels_make_a_classifier(run: Run) -> None:
    labels = [f"topic {number:02}" for number in range(80)]
    done = run(in_three(texts_of(labels, 8), 80))
    assert done["names"] == labels
    assert "80 labels: topic 00, " in done["said"]


def test_integer_labels_make_a_classifier(run: Run) -> None:
    done = run(in_three(texts_of(["0", "1", "10", "2"], 12), 4))
    assert done["names"] == ["0", "1", "2", "10"]


def test_integer_labels_take_the_names_that_are_given(run: Run) -> None:
    done = run(in_three(texts_of(["0", "1", "2"], 12), 3), dataset__labels=["low", "middle", "high"])
    assert done["names"] == ["low", "middle", "high"]


def test_a_label_name_no_row_has_is_a_label_of_the_classifier(run: Run) -> None:
    done = run(in_three(texts_of(["a", "b"], 20), 2), dataset__labels=["a", "b", "neither"])
    assert done["names"] == ["a", "b", "neither"]


def test_a_label_that_appears_once_makes_no_trouble(run: Run) -> None:
    rows = [*texts_of(["a", "b"], 40), ("the only one of its kind", "c")]
    done = run(rows)
    assert done["names"] == ["a", "b", "c"]
    assert Counter(done["raw"]["train"]["label"].to_pylist())[2] == 1


def test_one_file_is_enough(run: Run) -> None:
    done = run(texts_of(["a", "b", "c"], 50))
    assert {split: len(texts) for split, texts in done["texts"].items()} == {"train": 121, "validation": 14, "test": 15}


def test_a_checkpoint_in_several_files_makes_a_classifier(
    run: Run, tiny_random_checkpoint: Path, tmp_path: Path
) -> None:
    checkpoint = shutil.copytree(tiny_random_checkpoint, tmp_path / "sharded")
    (checkpoint / "model.safetensors").unlink()
    transformers.AutoModel.from_pretrained(tiny_random_checkpoint).save_pretrained(checkpoint, max_shard_size="20KB")
    assert len(list(checkpoint.glob("model-*.safetensors"))) > 1
    run(in_three(texts_of(["no", "yes"], 20), 2), model__path=str(checkpoint))


def test_texts_of_every_kind_come_through_whole(run: Run) -> None:
    kinds = [
        "an emoji \N{PARTY POPPER}, a thumb of one colour \N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}",
        '"quoted", she said, and then: ""',
        "two\nlines and\r\na third",
        "\N{SNOWMAN}",
        "字字字",
        "=1+1",
        "null",
        "[SEP] [CLS] [PAD]",
        "<script>alert('&amp;')</script>",
        "\N{ZERO WIDTH SPACE}",
    ]
    rows = [(f"{kind}{'!' * number}", label) for number in range(3) for kind in kinds for label in ("a", "b")]
    rows = [(text if label == "a" else f"{text} b", label) for text, label in rows]
    splits = {"train": rows, "validation": rows[:20], "test": rows[::-1][:24]}
    done = run(splits)
    assert done["texts"] == {split: [text for text, _ in rows] for split, rows in splits.items()}


def test_a_text_of_5000_words_is_cut_and_reported(run: Run) -> None:
    rows = texts_of(["a", "b"], 20)
    splits = in_three(rows, 2)
    splits["test"] = [("x " * 5000, "a"), *splits["test"]]
    done = run(splits, tokenize__max_length=64)
    lines = [
        line
        for line in done["said"].splitlines()
        if line.endswith(f"truncated to 64: 1 rows, {5000 + 2 - 64} tokens dropped")
    ]
    assert [line.split(":")[0] for line in lines] == ["test"]
    tokenized = tables.read("data/tokenized/test.parquet")["input_ids"].to_pylist()
    assert len(tokenized[0]) == 64


def test_labels_with_marks_and_spaces_keep_their_names(run: Run) -> None:
    labels = [
        "São Paulo",
        "a, b",
        'say "x"',
        "a/b\\c",
        "\N{PARTY POPPER}",
        "字",
        "LABEL_0",
        "<b>&amp;</b>",
        r"$\nope$",
        "_",
        "[/b]",
    ]
    done = run(in_three(texts_of(labels, 8), len(labels)))
    assert set(done["names"]) == set(labels)


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification", "regression"])
def test_a_checkpoint_that_classifies_other_labels_gets_a_new_head(
    run: Run, tiny_random_checkpoint: Path, tmp_path: Path, problem: str
) -> None:
    shutil.copytree(tiny_random_checkpoint, tmp_path / "classifier")
    odd = {"output_hidden_states": True, "output_attentions": True, "return_dict": False, "chunk_size_feed_forward": 3}
    classifier = transformers.AutoModelForSequenceClassification.from_pretrained(
        tiny_random_checkpoint, num_labels=5, problem_type=problem, attn_implementation="eager", **odd
    )
    classifier.save_pretrained(tmp_path / "classifier")
    done = run(in_three(texts_of(["no", "yes"], 20), 2), model__path="classifier")
    assert done["names"] == ["no", "yes"]


def test_a_checkpoint_without_a_pooler_gets_one(workspace: Workspace, tiny_random_checkpoint: Path) -> None:
    bare = transformers.BertModel.from_pretrained(tiny_random_checkpoint, add_pooling_layer=False)
    bare.save_pretrained(workspace() / paths.PRETRAINED)
    assert load_pretrained(["no", "yes"]).base_model.pooler is not None


def unlike(rows: int) -> Rows:
    """``rows`` rows of each of two labels, no two of them alike."""
    numbers = [" ".join(f"{(4 * row + word) * 7919 % 100003:05d}" for word in range(4)) for row in range(2 * rows)]
    return [(text, "ab"[row % 2]) for row, text in enumerate(numbers)]


def test_leaked_rows_are_marked_and_left_out_of_a_second_pair_of_figures(run: Run) -> None:
    splits = in_three(unlike(20), 2)
    splits["test"] = [*splits["test"], *splits["train"][:2]]
    metrics = run(splits)["metrics"]
    table = tables.read("data/predictions/test.parquet")
    assert table["leaked"].to_pylist() == [False] * 4 + [True] * 2
    right = [a == b for a, b in zip(table["label"].to_pylist(), table["prediction"].to_pylist(), strict=True)]
    assert metrics["leaked_rows"] == 2
    assert metrics["accuracy"] == round(sum(right) / 6, 4)
    assert metrics["accuracy_without_leaked"] == round(sum(right[:4]) / 4, 4)
    labels, found = (table[name].to_pylist()[:4] for name in ("label", "prediction"))
    assert metrics["f1_without_leaked"] == round(f1_score(labels, found, average="weighted", zero_division=0), 4)


def test_leaked_rows_of_validation_are_marked_as_its_own(run: Run) -> None:
    splits = in_three(unlike(20), 2)
    splits["validation"] = [splits["train"][0], *splits["validation"]]
    metrics = run(splits)["metrics"]
    leaked = {split: tables.read(paths.predictions(split))["leaked"].to_pylist() for split in paths.EVALUATED}
    assert leaked == {"validation": [True] + [False] * 4, "test": [False] * 4}
    assert "leaked_rows" not in metrics

"""A bad dataset ends download with a line that says what is wrong and where, and leaves nothing."""

import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_data import AS_TRAIN, CARVED, GOOD, Fail, Workspace, own_dataset, parquet, refusal

from stages import audit, download, paths, tables

SKIP = "fix the row, or set dataset.on_bad_rows to skip"
REMOVE = f"give it some, or {CARVED}"
UNKNOWN = "fix the row, add its label to dataset.labels (null: to train), or set dataset.on_bad_rows to skip"
TWO_LABELS = "at least two are needed: check dataset.label_column, or add rows of another label"


def class_labels(*numbers: int) -> bytes:
    file = io.BytesIO()
    schema = tables.schema(tables.TEXTS, ["a", "b"], "label")
    pq.write_table(pa.table({"text": ["some text"] * len(numbers), "label": numbers}, schema=schema), file)
    return file.getvalue()


ROWS: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "csv row without text": (
        {"train.csv": "text,label\nx,a\n,b\n"}, {},
        f"own/train.csv, line 3: no text: {SKIP}",
    ),
    "csv row of blank text": (
        {"train.csv": 'text,label\nx,a\n" \n ",b\n'}, {},
        f"own/train.csv, line 3: no text: {SKIP}",
    ),
    "csv row too short for a label": (
        {"train.csv": "text,label\nx,a\ny\n"}, {},
        f"own/train.csv, line 3: no label: {SKIP}",
    ),
    "csv row with an escape sequence for the terminal in its label": (
        {"train.csv": "text,label\nx,a\ny,\x1b[2Jb\n"}, {},
        f"own/train.csv, line 3: a label with a control character: {SKIP}",
    ),
    "csv row with an empty label": (
        {"train.csv": "text,label\nx,a\ny, \n"}, {},
        f"own/train.csv, line 3: no label: {SKIP}",
    ),
    "csv row after a text of two lines": (
        {"train.csv": 'text,label\n"x\ny",a\nz,\n'}, {},
        f"own/train.csv, line 4: no label: {SKIP}",
    ),
    "csv without header, label position past the end": (
        {"train.csv": "x,a\ny,b\n"}, {"dataset__header": False, "dataset__text_column": 0, "dataset__label_column": 2},
        "own/train.csv, line 1: 2 columns, and none at position 2: set dataset.delimiter, dataset.text_column",
    ),
    "csv without header, text position past the end": (
        {"train.csv": "x,a\ny,b\n"}, {"dataset__header": False, "dataset__text_column": 2, "dataset__label_column": 1},
        "own/train.csv, line 1: 2 columns, and none at position 2: set dataset.delimiter, dataset.text_column",
    ),
    "csv without header, row with fewer columns than the first, which has one too many": (
        {"train.csv": "well, good,a\nx,b\ny, z,a\n"},
        {"dataset__header": False, "dataset__text_column": 0, "dataset__label_column": 1},
        f"own/train.csv, line 2: fewer columns than the first line has: {SKIP}",
    ),
    "csv row with more columns than the header": (
        {"train.csv": "text,label\nwell, i am mad,anger\nx,a\ny,b\n"}, {},
        f"own/train.csv, line 2: more columns than the first line has: {SKIP}",
    ),
    "tsv row without label, gzipped": (
        {"train.tsv.gz": gzip.compress(b"text\tlabel\nx\ta\ny\t\n")}, {},
        f"own/train.tsv.gz, line 3: no label: {SKIP}",
    ),
    "jsonl null text": (
        {"train.jsonl": '{"text": "x", "label": "a"}\n{"text": null, "label": "a"}\n'}, {},
        f"own/train.jsonl, line 2: no text: {SKIP}",
    ),
    "jsonl null label": (
        {"train.jsonl": '{"text": "x", "label": null}\n'}, {},
        f"own/train.jsonl, line 1: no label: {SKIP}",
    ),
    "jsonl without the key of the text": (
        {"train.jsonl": '{"tweet": "x", "label": "a"}\n'}, {},
        ("own/train.jsonl: no 'text' in any line, there are: label, tweet: set dataset.text_column and "
        "dataset.label_column"),
    ),
    "jsonl without the key of the label": (
        {"train.jsonl": '{"text": "x"}\n'}, {},
        "own/train.jsonl: no 'label' in any line, there are: text: set dataset.text_column and dataset.label_column",
    ),
    "jsonl without the key of the label in one line": (
        {"train.jsonl": '{"text": "x"}\n{"text": "y", "label": "a"}\n'}, {},
        f"own/train.jsonl, line 1 (no label in it, only: text): no label: {SKIP}",
    ),
    "jsonl text that is a number": (
        {"train.jsonl": '{"text": 5, "label": "a"}\n'}, {},
        f"own/train.jsonl, line 1: a text that is not a string of Unicode: {SKIP}",
    ),
    "jsonl text with half a surrogate pair": (
        {"train.jsonl": '{"text": "cut \\ud83d", "label": "a"}\n'}, {},
        f"own/train.jsonl, line 1: a text that is not a string of Unicode: {SKIP}",
    ),
    "jsonl label with half a surrogate pair": (
        {"train.jsonl": '{"text": "x", "label": "\\ud83d"}\n'}, {},
        f"own/train.jsonl, line 1: a label that is not a name or an integer: {SKIP}",
    ),
    "jsonl label that is a list": (
        {"train.jsonl": '{"text": "x", "label": ["a"]}\n'}, {},
        f"own/train.jsonl, line 1: a label that is not a name or an integer: {SKIP}",
    ),
    "jsonl label that is a fraction": (
        {"train.jsonl": '{"text": "x", "label": 0.5}\n'}, {},
        f"own/train.jsonl, line 1: a label that is a fraction, which only a string may be: {SKIP}",
    ),
    "parquet label that is a fraction": (
        {"train.parquet": parquet(text=["x"], label=[Decimal("0.5")])}, {},
        f"own/train.parquet, row 0 (from 0): a label that is a fraction, which only a string may be: {SKIP}",
    ),
    "parquet null text": (
        {"train.parquet": parquet(text=["x", None], label=["a", "b"])}, {},
        f"own/train.parquet, row 1 (from 0): no text: {SKIP}",
    ),
    "parquet null label": (
        {"train.parquet": parquet(text=["x", "y"], label=["a", None])}, {},
        f"own/train.parquet, row 1 (from 0): no label: {SKIP}",
    ),
    "parquet null among integer labels": (
        {"train.parquet": parquet(text=["x", "y"], label=[1, None])}, {},
        f"own/train.parquet, row 1 (from 0): no label: {SKIP}",
    ),
    "parquet label that the datasets library has no name for": (
        {"train.parquet": class_labels(0, -1)}, {},
        f"own/train.parquet, row 1 (from 0): a label number without a name: {SKIP}",
    ),
    "parquet texts that are bytes": (
        {"train.parquet": parquet(text=[b"x"], label=["a"])}, {},
        f"own/train.parquet, row 0 (from 0): a text that is not a string of Unicode: {SKIP}",
    ),
    "unknown label in train": (
        {"train.csv": "text,label\nx,a\ny,b\nz,c\n"}, {"dataset__labels": ["a", "b"]},
        f"own/train.csv, line 4: an unknown label 'c', known are: a, b: {UNKNOWN}",
    ),
    "unknown label in validation": (
        {"validation.csv": "text,label\nx,a\ny,c\n"}, {},
        f"own/validation.csv, line 3: an unknown label 'c', known are: a, b: {UNKNOWN}",
    ),
    "unknown label in test, of many known": (
        {
            "train.csv": "text,label\n" + "".join(f"x,{letter}\n" for letter in "abcdefghijklmno"),
            "test.csv": "text,label\nx,a\ny,z\n",
        },
        {},
        ("own/test.csv, line 3: an unknown label 'z', known are: a, b, c, d, e, f, g, h, i, j, k, l and 3 more: "
        f"{UNKNOWN}"),
    ),
    "label in another case": (
        {"test.csv": "text,label\nx,a\ny,B\n"}, {},
        f"own/test.csv, line 3: an unknown label 'B', known are: a, b: {UNKNOWN}",
    ),
    "integer label out of range": (
        {"validation.csv": "text,label\nx,0\ny,2\n"}, {"dataset__labels": ["a", "b"]},
        f"own/validation.csv, line 3: an unknown label '2', known are: a, b: {UNKNOWN}",
    ),
    "negative integer label": (
        {"test.jsonl": '{"text": "x", "label": -1}\n'}, {"dataset__labels": ["a", "b"]},
        f"own/test.jsonl, line 1: an unknown label '-1', known are: a, b: {UNKNOWN}",
    ),
    "integer label that train lacks": (
        {
            split: "text,label\nx,0\ny,1\n" + ("z,2\n" if split == "test.csv" else "")
            for split in ("train.csv", "validation.csv", "test.csv")
        },
        {},
        f"own/test.csv, line 4: an unknown label '2', known are: 0, 1: {UNKNOWN}",
    ),
}  # fmt: skip

SPLITS: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "train with a header only": ({"train.csv": "text,label\n"}, {}, "the train split has no rows: give it some"),
    "validation with a header only": (
        {"validation.csv": "text,label\n"}, {},
        f"the validation split has no rows: {REMOVE}",
    ),
    "empty jsonl": (
        {"test.jsonl": ""}, {},
        f"the test split has no rows: {REMOVE}",
    ),
    "parquet without rows": (
        {"train.parquet": parquet(text=[], label=[])}, {},
        "the train split has no rows: give it some",
    ),
    "no row left": (
        {"train.csv": "text,label\n,a\ny,\n"}, {"dataset__on_bad_rows": "skip"},
        "the train split has no rows (bad rows left out: 1 with no text, 1 with no label): give it some",
    ),
    "no label known": (
        {"train.csv": GOOD}, {"dataset__labels": ["joy", "anger"], "dataset__on_bad_rows": "skip"},
        ("the train split has no rows (bad rows left out: 20 with an unknown label): set dataset.labels (null: those "
        "of train)"),
    ),
    "no label known in validation, in most rows": (
        {"validation.csv": "text,label\n,a\nx,c\ny,c\n"}, {"dataset__on_bad_rows": "skip"},
        ("the validation split has no rows (bad rows left out: 1 with no text, 2 with an unknown label): set "
        f"dataset.labels (null: those of train), or {CARVED}"),
    ),
    "train with one class": (
        {"train.csv": "text,label\nx,a\ny,a\n"}, {},
        f"the train split has a single class, 'a': {TWO_LABELS}",
    ),
    "validation with one class": (
        {"validation.csv": "text,label\nx,b\n"}, {},
        f"the validation split has a single class, 'b': {TWO_LABELS}",
    ),
    "texts taken for labels": (
        {"train.csv": "text,label\n" + "".join(f"a,some text {number}\n" for number in range(21))}, {},
        ("params.yaml: dataset.label_column: 21 of 21 train rows have a label that no other has, such as 'some text 0'"
        ": name the column of the labels, or, if it is that, list them in dataset.labels"),
    ),
    "test without labels": (
        {"test.csv": "text,label\nx,\ny,\n"}, {},
        f"the test split has no labels: {REMOVE}",
    ),
    "test whose labels are kept back": (
        {"test.parquet": class_labels(-1, -1)}, {},
        f"the test split has no labels: {REMOVE}",
    ),
    "test without the column of the labels": (
        {"test.csv": "id,text\n0,x\n1,y\n"}, {},
        (f"own/test.csv, line 1: no column 'label', there are: id, text: {AS_TRAIN}, or, if the test split has no "
        f"labels, {CARVED}"),
    ),
    "jsonl for validation without labels": (
        {"validation.jsonl": '{"text": "x"}\n'}, {},
        (f"own/validation.jsonl: no 'label' in any line, there are: text: {AS_TRAIN}, or, if the validation split "
        f"has no labels, {CARVED}"),
    ),
    "most rows bad": (
        {"train.csv": GOOD + "a text, with a comma,a\n" * 21}, {},
        ("own/train.csv, line 22: more columns than the first line has (and 20 more of the 41 rows of train are bad): "
        "set dataset.delimiter, or put texts that have it in them in quotes"),
    ),
    "most rows bad, the first by another problem": (
        {"train.csv": "text,label\nx,\n" + "a text, with a comma,a\n" * 21}, {},
        ("own/train.csv, line 3: more columns than the first line has (and 21 more of the 22 rows of train are bad): "
        "set dataset.delimiter, or put texts that have it in them in quotes"),
    ),
    "labels of another data set": (
        {"train.csv": GOOD}, {"dataset__labels": ["joy", "anger"]},
        ("own/train.csv, line 2: an unknown label 'a', known are: joy, anger (and 19 more of the 20 rows of train are "
        "bad): set dataset.labels (null: those of train)"),
    ),
    "no label in most rows": (
        {"train.csv": GOOD + "x,\n" * 21}, {},
        ("own/train.csv, line 22: no label (and 20 more of the 41 rows of train are bad): set dataset.text_column and "
        "dataset.label_column, or fix the file"),
    ),
    "one class left": (
        {"test.csv": "text,label\nx,b\ny,c\n"}, {"dataset__on_bad_rows": "skip"},
        f"the test split has a single class, 'b' (bad rows left out: 1 with an unknown label): {TWO_LABELS}",
    ),
}  # fmt: skip

DATA = ROWS | SPLITS


@pytest.mark.parametrize(("files", "params", "message"), DATA.values(), ids=DATA)
def test_a_bad_row_or_split_is_named_with_its_place(
    workspace: Workspace, fail: Fail, files: dict[str, str | bytes], params: dict[str, Any], message: str
) -> None:
    assert refusal(workspace, fail, files, params).startswith(message)


def test_all_bad_rows_are_named_at_once(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {"train.csv": GOOD + ",a\n" * 10})
    first, *others = fail().split("\n       ")
    assert first == f"own/train.csv, line 22: no text: {SKIP}"
    assert (len(others), others[-1]) == (8, "and 2 more")


def test_a_failure_leaves_earlier_outputs_as_they_were(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    download.main()
    before = {path: path.read_bytes() for path in folder.glob("data/raw/*")}
    (folder / "own/test.csv").write_text("text,label\n,a\n", encoding="utf-8")
    fail()
    assert {path: path.read_bytes() for path in folder.glob("data/raw/*")} == before


def test_bad_rows_that_are_skipped_are_counted(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    bad = 'text,label\nx,a\n,a\n" ",b\ny,\nz,b\nw,c\nv\n'
    own_dataset(workspace, {"test.csv": bad}, dataset__on_bad_rows="skip", dataset__labels=["a", "b"])
    download.main()
    counts = {"no text": 2, "no label": 2, "an unknown label": 1}
    said = ", ".join(f"{count} rows left out: {reason}" for reason, count in counts.items())
    assert f"test: 2 rows, {said}\n" in capsys.readouterr().out
    assert tables.read("data/raw/test.parquet")["text"].to_pylist() == ["x", "z"]
    audit.main()
    skipped = json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))["skipped_rows"]
    assert skipped == {"train": {}, "validation": {}, "test": counts}
    assert "test: 2 rows left out: no text\n" in capsys.readouterr().out


def test_without_the_rows_that_were_skipped_the_splits_are_the_same_bytes(workspace: Workspace) -> None:
    bad = "text,label\nx,a\n,a\nz,b\n"
    folder = own_dataset(workspace, {"test.csv": bad}, dataset__on_bad_rows="skip")
    download.main()
    before = Path("data/raw/test.parquet").read_bytes()
    (folder / "own/test.csv").write_text(bad.replace("\n,a\n", "\n"), encoding="utf-8")
    download.main()
    assert json.loads(Path(paths.DELIVERY).read_text(encoding="utf-8"))["skipped_rows"]["test"] == {}
    assert Path("data/raw/test.parquet").read_bytes() == before


def test_a_row_that_is_skipped_gives_no_label_its_name(workspace: Workspace) -> None:
    rows = GOOD + "well, i am mad,anger\n,fear\n"
    own_dataset(workspace, {"train.csv": rows}, dataset__on_bad_rows="skip", dataset__labels=None)
    download.main()
    assert tables.label_names(tables.read("data/raw/train.parquet").schema) == ["a", "b"]


def test_bad_rows_skipped_before_carving_count_as_train_s(workspace: Workspace) -> None:
    rows = GOOD + "y,\n"
    own_dataset(workspace, {"all.csv": rows}, dataset__path="own/all.csv", dataset__on_bad_rows="skip")
    download.main()
    assert json.loads(Path(paths.DELIVERY).read_text(encoding="utf-8")) == {
        "carved": ["test", "validation"],
        "skipped_rows": {"train": {"no label": 1}, "validation": {}, "test": {}},
    }

"""Every bad input ends a stage with exit code 1 and one line that says what is wrong and where, and leaves nothing."""

import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import transformers
import yaml
from conftest import make_tiny_random_checkpoint

from stages import download, entry, paths, tables, tokenize, train
from stages.params import load

GOOD = "text,label\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(20))
SKIP = "mend the row, or set dataset.on_bad_rows to skip"
COLUMNS = "set dataset.text_column and dataset.label_column"
ENDINGS = ".csv, .tsv, .txt, .jsonl, .parquet"
OUTPUTS = ("data", "models", "metrics")

Fail = Callable[..., str]
Workspace = Callable[..., Path]


@pytest.fixture
def fail(workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Run a stage that is to fail, hold what every failure has in common, and give its message."""
    folder = workspace()
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")  # which `run` sets as well: this is put back after the test
    monkeypatch.delenv("RETUNE_TRACEBACK", raising=False)
    transformers.logging.disable_progress_bar()

    def files() -> set[Path]:
        return {path for output in OUTPUTS for path in (folder / output).rglob("*") if not path.is_dir()}

    def run(main: Callable[[], None] = download.main) -> str:
        before = files()
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            entry.run(main)
        error = capsys.readouterr().err
        assert end.value.code == 1
        assert error.startswith("error: ")
        assert "Traceback" not in error
        assert files() == before
        assert not list(folder.rglob(".*.partial"))
        return error.removeprefix("error: ").removesuffix("\n")

    return run


def own_dataset(workspace: Workspace, files: dict[str, str | bytes], **params: Any) -> Path:
    """A folder ``own`` of good splits, of which ``files`` take the place."""
    folder = workspace(**{"dataset__path": "own", "dataset__labels": None} | params)
    given = {name.split(".")[0] for name in files}
    good = {f"{split}.csv": GOOD for split in paths.SPLITS if split not in given}
    (folder / "own").mkdir()
    for name, content in (good | files).items():
        (folder / "own" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def parquet(damage: slice | None = None, **columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns or {"text": ["some text"] * 50, "label": ["a", "b"] * 25}), file)
    content = bytearray(file.getvalue())
    if damage:
        content[damage] = bytes(byte ^ 0xFF for byte in content[damage])
    return bytes(content)


def damaged_gzip() -> bytes:
    content = bytearray(gzip.compress(GOOD.encode()))
    content[-8] ^= 0xFF  # the checksum
    return bytes(content)


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
        f"own/train.csv, line 1: no label: {SKIP}",
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
        f"own/train.jsonl, line 1 (it has: tweet, label): no text: {SKIP}",
    ),
    "jsonl without the key of the label": (
        {"train.jsonl": '{"text": "x"}\n'}, {},
        f"own/train.jsonl, line 1 (it has: text): no label: {SKIP}",
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
        f"own/train.jsonl, line 1: a label that is not a name or an integer: {SKIP}",
    ),
    "parquet null text": (
        {"train.parquet": parquet(text=["x", None], label=["a", "b"])}, {},
        f"own/train.parquet, row 2: no text: {SKIP}",
    ),
    "parquet null label": (
        {"train.parquet": parquet(text=["x", "y"], label=["a", None])}, {},
        f"own/train.parquet, row 2: no label: {SKIP}",
    ),
    "parquet null among integer labels": (
        {"train.parquet": parquet(text=["x", "y"], label=[1, None])}, {},
        f"own/train.parquet, row 2: no label: {SKIP}",
    ),
    "parquet texts that are bytes": (
        {"train.parquet": parquet(text=[b"x", b"y"], label=["a", "b"])}, {},
        f"own/train.parquet, row 1: a text that is not a string of Unicode: {SKIP}",
    ),
    "unknown label in train": (
        {"train.csv": "text,label\nx,a\ny,b\nz,c\n"}, {"dataset__labels": ["a", "b"]},
        f"own/train.csv, line 4: an unknown label 'c', known are: a, b: {SKIP}",
    ),
    "unknown label in validation": (
        {"validation.csv": "text,label\nx,a\ny,c\n"}, {},
        f"own/validation.csv, line 3: an unknown label 'c', known are: a, b: {SKIP}",
    ),
    "unknown label in test, of many known": (
        {
            "train.csv": "text,label\n" + "".join(f"x,{letter}\n" for letter in "abcdefghijklmno"),
            "test.csv": "text,label\nx,a\ny,z\n",
        },
        {},
        f"own/test.csv, line 3: an unknown label 'z', known are: a, b, c, d, e, f, g, h, i, j, k, l and 3 more: {SKIP}",
    ),
    "label in another case": (
        {"test.csv": "text,label\nx,a\ny,B\n"}, {},
        f"own/test.csv, line 3: an unknown label 'B', known are: a, b: {SKIP}",
    ),
    "integer label out of range": (
        {"validation.csv": "text,label\nx,0\ny,2\n"}, {"dataset__labels": ["a", "b"]},
        f"own/validation.csv, line 3: an unknown label '2', known are: a, b: {SKIP}",
    ),
    "negative integer label": (
        {"test.jsonl": '{"text": "x", "label": -1}\n'}, {"dataset__labels": ["a", "b"]},
        f"own/test.jsonl, line 1: an unknown label '-1', known are: a, b: {SKIP}",
    ),
    "integer label that train lacks": (
        {
            split: "text,label\nx,0\ny,1\n" + ("z,2\n" if split == "test.csv" else "")
            for split in ("train.csv", "validation.csv", "test.csv")
        },
        {},
        f"own/test.csv, line 4: an unknown label '2', known are: 0, 1: {SKIP}",
    ),
}  # fmt: skip

SPLITS: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "train with a header only": ({"train.csv": "text,label\n"}, {}, "the train split has no rows: give it some"),
    "validation with a header only": (
        {"validation.csv": "text,label\n"}, {},
        "the validation split has no rows: give it some, or remove its file to have it carved from train",
    ),
    "empty jsonl": (
        {"test.jsonl": ""}, {},
        "the test split has no rows: give it some, or remove its file to have it carved from train",
    ),
    "parquet without rows": (
        {"train.parquet": parquet(text=[], label=[])}, {},
        "the train split has no rows: give it some",
    ),
    "no row left": (
        {"train.csv": "text,label\n,a\ny,\n"}, {"dataset__on_bad_rows": "skip"},
        "the train split has no rows (2 bad rows left out): give it some",
    ),
    "train with one class": (
        {"train.csv": "text,label\nx,a\ny,a\n"}, {},
        "the train split has a single class, 'a': at least two are needed to tell them apart",
    ),
    "validation with one class": (
        {"validation.csv": "text,label\nx,b\n"}, {},
        "the validation split has a single class, 'b': at least two are needed to tell them apart",
    ),
    "one class left": (
        {"test.csv": "text,label\nx,b\ny,c\n"}, {"dataset__on_bad_rows": "skip"},
        "the test split has a single class, 'b' (1 bad rows left out): at least two are needed to tell them apart",
    ),
}  # fmt: skip

LATIN_1 = "text,label\nx,a\na caf\xe9,b\n".encode("latin-1")
FILES: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "empty csv": ({"train.csv": ""}, {}, f"own/train.csv, line 1: no column 'text', there are: none: {COLUMNS}"),
    "empty gz": (
        {"train.csv.gz": ""}, {}, f"own/train.csv.gz, line 1: no column 'text', there are: none: {COLUMNS}"
    ),
    "empty parquet": (
        {"train.parquet": ""}, {}, "own/train.parquet: not a readable parquet file (Parquet file size is 0 bytes)"
    ),
    "not UTF-8": (
        {"train.csv": LATIN_1}, {}, "own/train.csv, line 3: byte 0xe9 is not UTF-8: save the file as UTF-8"
    ),
    "not UTF-8, gzipped": (
        {"train.csv.gz": gzip.compress(LATIN_1)}, {},
        "own/train.csv.gz, line 3: byte 0xe9 is not UTF-8: save the file as UTF-8",
    ),
    "not UTF-8 in jsonl": (
        {"test.jsonl": '{"text": "caf\xe9", "label": "a"}\n'.encode("latin-1")}, {},
        "own/test.jsonl, line 1: byte 0xe9 is not UTF-8: save the file as UTF-8",
    ),
    "not UTF-8 after a byte order mark": (
        {"train.csv": b"\xef\xbb\xbf\xe9,label\n"}, {},
        "own/train.csv, line 1: byte 0xe9 is not UTF-8: save the file as UTF-8",
    ),
    "UTF-16": (
        {"train.csv": b"\xff\xfe" + GOOD.encode("utf-16-le")}, {},
        "own/train.csv, line 1: byte 0xff is not UTF-8: save the file as UTF-8",
    ),
    "not gzipped": (
        {"train.csv.gz": GOOD}, {}, "own/train.csv.gz: broken gzip file (Not a gzipped file (b'te')): fetch it again"
    ),
    "gz cut short": (
        {"train.csv.gz": gzip.compress(GOOD.encode())[:-12]}, {}, "own/train.csv.gz: broken gzip file (Compressed file"
    ),
    "gz with another checksum": (
        {"train.csv.gz": damaged_gzip()}, {}, "own/train.csv.gz: broken gzip file (CRC check failed"
    ),
    "not parquet": ({"train.parquet": GOOD}, {}, "own/train.parquet: not a readable parquet file (Parquet magic bytes"),
    "parquet cut short": (
        {"train.parquet": parquet()[:-20]}, {}, "own/train.parquet: not a readable parquet file (Parquet magic bytes"
    ),
    "parquet with a damaged header of a page": (
        {"train.parquet": parquet(slice(4, 40))}, {}, "own/train.parquet: not a readable parquet file (Couldn't"
    ),
    "parquet with a damaged page": (
        {"train.parquet": parquet(slice(60, 120))}, {}, "own/train.parquet: not a readable parquet file ("
    ),
    "jsonl that is not JSON": (
        {"train.jsonl": '{"text": "x", "label": "a"}\ntext,label\n'}, {},
        "own/train.jsonl, line 2: not JSON (Expecting value): each line is to be one object",
    ),
    "jsonl that is one JSON array": (
        {"train.jsonl": '[\n{"text": "x", "label": "a"}\n]\n'}, {},
        "own/train.jsonl, line 1: not JSON (Expecting value): each line is to be one object",
    ),
    "jsonl of arrays": (
        {"train.jsonl": '["x", "a"]\n'}, {},
        "own/train.jsonl, line 1: an object is expected, with a text and a label",
    ),
    "jsonl with an integer of 5000 digits": (
        {"train.jsonl": f'{{"text": "x", "label": {"1" * 5000}}}\n'}, {},
        "own/train.jsonl, line 1: not JSON (Exceeds the limit",
    ),
    "jsonl nested without end": (
        {"train.jsonl": "[" * 100_000}, {}, "own/train.jsonl, line 1: not JSON (maximum recursion depth exceeded"
    ),
    "jsonl by position": (
        {"train.jsonl": '{"text": "x", "label": "a"}\n'}, {"dataset__text_column": 0},
        "own/train.jsonl: set dataset.text_column and dataset.label_column to names: .jsonl has no positions",
    ),
    "unclosed quote": (
        {"train.csv": 'text,label\nx,a\n"y,b\nz,a\n'}, {},
        ("own/train.csv, the row that begins on line 3: unexpected end of data: "
        "mend its quotes, or set dataset.quoting to false"),
    ),
    "unclosed quote in the header": (
        {"train.csv": '"text,label\nx,a\n'}, {}, "own/train.csv, the row that begins on line 1: unexpected end of data:"
    ),
    "quote that ends within a field": (
        {"train.csv": 'text,label\nx,a\n"y" and z,b\n'}, {},
        ("own/train.csv, the row that begins on line 3: ',' expected after '\"': "
        "mend its quotes, or set dataset.quoting to false"),
    ),
    "lines that end in CR": (
        {"train.csv": GOOD.replace("\n", "\r")}, {"dataset__quoting": False},
        "own/train.csv, the row that begins on line 1: new-line character seen in unquoted field: mend its line ends",
    ),
    "no text column": (
        {"train.csv": "tweet,label\nx,a\n"}, {},
        f"own/train.csv, line 1: no column 'text', there are: tweet, label: {COLUMNS}",
    ),
    "no label column": (
        {"test.tsv": "text\temotion\nx\ta\n"}, {},
        f"own/test.tsv, line 1: no column 'label', there are: text, emotion: {COLUMNS}",
    ),
    "another delimiter": (
        {"train.csv": "text;label\nx;a\n"}, {},
        f"own/train.csv, line 1: no column 'text', there are: text;label: {COLUMNS}",
    ),
    "no such column in parquet": (
        {"train.parquet": parquet(tweet=["x"], label=["a"])}, {},
        f"own/train.parquet: no column 'text', there are: tweet, label: {COLUMNS}",
    ),
    "no such position in parquet": (
        {"train.parquet": parquet()}, {"dataset__label_column": 2},
        f"own/train.parquet: no column 2, there are: text, label: {COLUMNS}",
    ),
    "two columns of one name": (
        {"train.csv": "text,text,label\nx,y,a\n"}, {},
        f"own/train.csv, line 1: more than one column 'text', there are: text, text, label: {COLUMNS}",
    ),
    "names without a header": (
        {"train.csv": "x,a\ny,b\n"}, {"dataset__header": False},
        "own/train.csv: without a header, columns are positions from 0, not names like 'text'",
    ),
    "txt without delimiter": (
        {"train.txt": "x;a\n"}, {},
        "own/train.txt: a .txt file does not say what parts its columns: set dataset.delimiter",
    ),
    "unknown ending": (
        {"train.xlsx": b"PK"}, {},
        f"own/train.xlsx: unknown ending: {ENDINGS} are read, all but parquet also with .gz",
    ),
    "gzipped parquet": (
        {"train.parquet.gz": gzip.compress(parquet())}, {},
        f"own/train.parquet.gz: unknown ending: {ENDINGS} are read, all but parquet also with .gz",
    ),
    "no ending": ({"train": GOOD}, {}, f"own/train: unknown ending: {ENDINGS} are read"),
    "two train files": (
        {"train.csv": GOOD, "train.tsv": GOOD}, {}, "own: both train.csv and train.tsv are train: leave one of them"
    ),
    "two validation files": (
        {"dev.csv": GOOD, "val.csv": GOOD, "validation.csv": GOOD}, {},
        "own: both dev.csv and val.csv are validation: leave one of them",
    ),
    "missing path": (
        {}, {"dataset__path": "elsewhere"},
        "dataset.path: elsewhere does not exist: set it to a file or to a folder with a train file",
    ),
    "single file of unknown ending": (
        {"notes.md": "# x"}, {"dataset__path": "own/notes.md"},
        f"own/notes.md: unknown ending: {ENDINGS} are read, all but parquet also with .gz",
    ),
    "too few rows to carve from": (
        {"train.csv": "text,label\nw,a\nx,b\ny,a\nz,b\n"}, {"dataset__path": "own/train.csv"},
        ("the train split's 4 rows are too few to carve 10% of them as test with two classes: "
        "raise dataset.test_fraction, or give a test file"),
    ),
}  # fmt: skip

DATA = ROWS | SPLITS | FILES


@pytest.mark.parametrize(("files", "params", "message"), DATA.values(), ids=DATA)
def test_a_bad_data_set_is_named_with_its_place(
    workspace: Workspace, fail: Fail, files: dict[str, str | bytes], params: dict[str, Any], message: str
) -> None:
    own_dataset(workspace, files, **params)
    error = fail()
    assert error.startswith(message)
    assert "\n" not in error


def test_a_folder_without_a_train_file_is_an_error(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    (folder / "own/train.csv").unlink()
    assert fail() == f"own: no train file: name it train with one of the endings {ENDINGS} (or .gz)"


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
    assert tables.metadata(tables.read("data/raw/test.parquet").schema)["skipped"] == counts
    assert tables.metadata(tables.read("data/raw/train.parquet").schema)["skipped"] == {}
    said = ", ".join(f"{count} rows left out: {reason}" for reason, count in counts.items())
    assert f"test: 2 rows, {said}\n" in capsys.readouterr().out
    assert tables.read("data/raw/test.parquet")["text"].to_pylist() == ["x", "z"]


def test_bad_rows_skipped_before_carving_count_as_train_s(workspace: Workspace) -> None:
    rows = GOOD + "y,\n"
    own_dataset(workspace, {"all.csv": rows}, dataset__path="own/all.csv", dataset__on_bad_rows="skip")
    download.main()
    schemas = {split: tables.read(f"data/raw/{split}.parquet").schema for split in paths.SPLITS}
    assert {split: tables.metadata(schema) for split, schema in schemas.items()} == {
        "train": {"delivered_as": "train", "skipped": {"no label": 1}},
        "validation": {"delivered_as": "train", "skipped": {}},
        "test": {"delivered_as": "train", "skipped": {}},
    }


VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "epochs: yes": ({"train__epochs": True}, "train.epochs: should be a valid integer, is True"),
    "epochs: null": ({"train__epochs": None}, "train.epochs: should be a valid integer, is None"),
    "epochs: 3.0": ({"train__epochs": 3.0}, "train.epochs: should be a valid integer, is 3.0"),
    "epochs: 0": ({"train__epochs": 0}, "train.epochs: should be greater than or equal to 1, is 0"),
    "batch_size: -8": ({"train__batch_size": -8}, "train.batch_size: should be greater than or equal to 1, is -8"),
    "learning_rate: fast": (
        {"train__learning_rate": "fast"}, "train.learning_rate: should be a valid number, is 'fast'"
    ),
    "learning_rate: [1]": ({"train__learning_rate": [1]}, "train.learning_rate: should be a valid number, is [1]"),
    "learning_rate: true": ({"train__learning_rate": True}, "train.learning_rate: should be a valid number, is True"),
    "learning_rate: 0": ({"train__learning_rate": 0}, "train.learning_rate: should be greater than 0, is 0"),
    "learning_rate: 3": ({"train__learning_rate": 3}, "train.learning_rate: should be less than or equal to 1, is 3"),
    "learning_rate: .nan": (
        {"train__learning_rate": float("nan")}, "train.learning_rate: should be a finite number, is nan"
    ),
    "learning_rate: nan": ({"train__learning_rate": "nan"}, "train.learning_rate: should be a valid number, is 'nan'"),
    "max_grad_norm: .inf": (
        {"train__max_grad_norm": float("inf")}, "train.max_grad_norm: should be a finite number, is inf"
    ),
    "warmup_ratio: 1.0": ({"train__warmup_ratio": 1.0}, "train.warmup_ratio: should be less than 1, is 1.0"),
    "best_metric: F1": (
        {"train__best_metric": "F1"},
        "train.best_metric: should be 'accuracy', 'f1', 'f1_macro' or 'loss', is 'F1'",
    ),
    "early_stopping_patience: never": (
        {"train__early_stopping_patience": "never"},
        "train.early_stopping_patience: should be a valid integer, is 'never'",
    ),
    "max_length: 3": (
        {"tokenize__max_length": 3}, "tokenize.max_length: should be greater than or equal to 4, is 3"
    ),
    "source: file": ({"dataset__source": "file"}, "dataset.source: should be 'files' or 'hub', is 'file'"),
    "header: no, in quotes": ({"dataset__header": "no"}, "dataset.header: should be a valid boolean, is 'no'"),
    "text_column: -1": ({"dataset__text_column": -1}, "dataset.text_column: should be"),
    "delimiter: ;;": ({"dataset__delimiter": ";;"}, "dataset.delimiter: should have at most 1 character, is ';;'"),
    "delimiter: a quote": ({"dataset__delimiter": '"'}, "dataset.delimiter: should match pattern"),
    "delimiter: a line end": ({"dataset__delimiter": "\n"}, "dataset.delimiter: should match pattern"),
    "labels: a": ({"dataset__labels": "a"}, "dataset.labels: should be a valid list, is 'a'"),
    "labels: [a]": ({"dataset__labels": ["a"]}, "dataset.labels: should have at least 2 items"),
    "labels: [0, a]": ({"dataset__labels": [0, "a"]}, "dataset.labels: should be a valid string, is 0"),
    "labels: [a, a]": (
        {"dataset__labels": ["a", "a"]},
        "dataset.labels: should be names that all differ, none empty, none with spaces around it, is ['a', 'a']",
    ),
    "labels: ['', a]": ({"dataset__labels": ["", "a"]}, "dataset.labels: should be names that all differ, none empty"),
    "labels: [' b', a]": ({"dataset__labels": [" b", "a"]}, "dataset.labels: should be names that all differ"),
    "test_fraction: 0.9": (
        {"dataset__test_fraction": 0.9}, "dataset.test_fraction: should be less than or equal to 0.5, is 0.9"
    ),
    "hub_revision: main": (
        {"dataset__hub_revision": "main"},
        "dataset.hub_revision: should be a commit hash (40 lower-case hexadecimal digits), is 'main'",
    ),
    "weights_sha256: 123": (
        {"model__weights_sha256": "123"},
        "model.weights_sha256: should be a sha256 (64 lower-case hexadecimal digits), is '123'",
    ),
    "package: ''": ({"model__package": ""}, "model.package: should have at least 1 character, is ''"),
}  # fmt: skip
MAINS = {"dataset": download.main, "model": download.main, "tokenize": tokenize.main, "train": train.main}


def line_of(key: str) -> int:
    """The line of params.yaml with ``key``, as section.key."""
    section, name = key.split(".")
    lines = Path("params.yaml").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"{section}:")
    return next(number for number, line in enumerate(lines, 1) if number > start and line.startswith(f"  {name}:"))


@pytest.mark.parametrize(("changes", "message"), VALUES.values(), ids=VALUES)
def test_a_bad_value_is_named_with_its_line_and_key(
    workspace: Workspace, fail: Fail, changes: dict[str, Any], message: str
) -> None:
    workspace(**changes)
    key = message.split(":", maxsplit=1)[0]
    error = fail(MAINS[key.split(".")[0]])
    assert error.splitlines()[0].startswith(f"params.yaml, line {line_of(key)}: {message}")


def test_every_bad_value_of_a_section_is_named(workspace: Workspace, fail: Fail) -> None:
    workspace(train__epochs=0, train__best_metric="F1")
    assert [line.split(": ")[1] for line in fail(train.main).splitlines()] == ["train.epochs", "train.best_metric"]


def edit_params(old: str, new: str) -> None:
    file = Path("params.yaml")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  epochs: 5", "  epoch: 5", "train.epoch: unknown key, did you mean train.epochs?"),
        ("  learning_rate:", "  lr: 1\n  learning_rate:", "train.lr: unknown key, did you mean train."),
        ("  epochs: 5", "  epochs: 5\n  7: 5", "train.7: unknown key, did you mean train."),
        ("train:\n", "trian: {}\ntrain:\n", "trian: unknown section, did you mean train?"),
        ("  epochs: 5\n", "", "train.epochs: missing: passes over the train split"),
    ],
    ids=["misspelt key", "key of another name", "integer key", "misspelt section", "missing key"],
)
def test_the_keys_are_those_that_are_known(workspace: Workspace, fail: Fail, old: str, new: str, message: str) -> None:
    workspace(train__epochs=5)
    edit_params(old, new)
    assert message in fail(train.main)


def test_an_unknown_key_is_named_with_its_line(workspace: Workspace, fail: Fail) -> None:
    workspace(train__epochs=5)
    edit_params("  epochs: 5", "  epoch: 5")
    place = f"params.yaml, line {line_of('train.epoch')}: train.epoch: unknown key, did you mean train.epochs?"
    assert place in fail(train.main).replace("\n       ", "\n").splitlines()


@pytest.mark.parametrize("main", [download.main, tokenize.main, train.main], ids=["download", "tokenize", "train"])
def test_an_unknown_section_stops_every_stage_with_params(
    workspace: Workspace, fail: Fail, main: Callable[[], None]
) -> None:
    folder = workspace()
    with (folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("evaluate:\n  batch_size: 1\n")
    assert "evaluate: unknown section, did you mean" in fail(main)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"# nothing\n", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"- train\n", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"1: 2\n", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"train: a: b\n", "params.yaml, line 1: not YAML: mapping values are not allowed here"),
        (b"train:\n\tepochs: 1\n", "params.yaml, line 2: not YAML: found character '\\t' that cannot start any token"),
        (b"train:\n  seed: 2024-99-99\n", "params.yaml: not YAML: month must be in 1..12"),
        (b"train:\n  seed: !!python/name:os.system\n", "params.yaml, line 2: not YAML: could not determine"),
        (b'train:\n  seed: "\0"\n', "params.yaml: not YAML: unacceptable character #x0000"),
        (b"train:\n  seed: \xe9\n", "params.yaml: byte 15 is not UTF-8: save the file as UTF-8"),
        (b"train:\n", "params.yaml: section train is missing, or has no keys"),
        (b"train: [1]\n", "params.yaml: section train is missing, or has no keys"),
        (b"model: {}\n", "params.yaml: section train is missing, or has no keys"),
    ],
)
def test_a_params_file_that_is_none_is_named(workspace: Workspace, fail: Fail, content: bytes, message: str) -> None:
    (workspace() / "params.yaml").write_bytes(content)
    error = fail(train.main)
    assert error.startswith(message)
    assert "\n" not in error


def test_a_missing_params_file_is_named(workspace: Workspace, fail: Fail) -> None:
    (workspace() / "params.yaml").unlink()
    assert fail() == "params.yaml does not exist: copy one from recipes/, or run from the top of the clone"


def test_params_with_a_byte_order_mark_and_crlf_are_read(workspace: Workspace) -> None:
    file = workspace(train__epochs=5) / "params.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load("train", train.TrainParams).epochs == 5


@pytest.mark.parametrize("value", ["2e-5", "3e-05", "0.1", ".5"])
def test_numbers_that_yaml_takes_for_strings_are_read(workspace: Workspace, value: str) -> None:
    workspace(train__learning_rate=yaml.safe_load(value))
    assert load("train", train.TrainParams).learning_rate == float(value)


def own_checkpoint(workspace: Workspace, checkpoint: Path, **params: Any) -> Path:
    """A folder with a good data set, and a copy of the checkpoint in ``own-model``, which is given."""
    folder = own_dataset(workspace, {}, model__path="own-model", **params)
    return shutil.copytree(checkpoint, folder / "own-model")


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def replace(name: str, content: bytes | None) -> Callable[[Path], None]:
    """What writes a file of a checkpoint anew, or removes it."""

    def change(checkpoint: Path) -> None:
        (checkpoint / name).unlink()
        if content is not None:
            (checkpoint / name).write_bytes(content)

    return change


def cut_weights(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def drop_tokenizer(checkpoint: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (checkpoint / name).unlink()


CHECKPOINTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (
        replace("config.json", None), "own-model: no config.json: is it a checkpoint in the Transformers format?"
    ),
    "config that is not JSON": (
        replace("config.json", b"{nope"), "own-model/config.json: not JSON (Expecting property name"
    ),
    "config that is not UTF-8": (replace("config.json", b"\xff"), "own-model/config.json: not JSON ("),
    "config that is a list": (replace("config.json", b"[1]"), "own-model/config.json: no model_type: is it a"),
    "config without model_type": (replace("config.json", b"{}"), "own-model/config.json: no model_type: is it a"),
    "remote code": (
        lambda checkpoint: edit_json(checkpoint / "config.json", auto_map={"AutoModel": "modeling.Model"}),
        "own-model/config.json: asks for remote code (auto_map), which is never run: choose another checkpoint",
    ),
    "pickled weights only": (
        lambda checkpoint: (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin"),
        "own-model: its weights are pickled, which is never loaded: save them as safetensors",
    ),
    "no weights": (replace("model.safetensors", None), "own-model: no safetensors weights"),
    "weights cut short": (cut_weights, "own-model/model.safetensors: not whole safetensors ("),
    "empty weights": (replace("model.safetensors", b""), "own-model/model.safetensors: not whole safetensors ("),
    "weights that are none": (
        replace("model.safetensors", b"<html>" * 99), "own-model/model.safetensors: not whole safetensors ("
    ),
    "no tokenizer": (
        drop_tokenizer,
        "own-model: no tokenizer: one of tokenizer.json, vocab.txt, vocab.json, *.model is needed beside the weights",
    ),
    "no folder": (
        shutil.rmtree,
        "model.path: own-model is not a folder: set it to one with config.json and safetensors weights",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_a_bad_checkpoint_is_found_at_download(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, change: Callable[[Path], None], message: str
) -> None:
    change(own_checkpoint(workspace, tiny_random_checkpoint))
    assert fail().startswith(message)


def test_weights_with_another_sha256_are_refused(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {}, model__weights_sha256="0" * 64)
    error = fail()
    assert "model.safetensors: sha256 is " in error
    assert error.endswith(f"model.weights_sha256 is {'0' * 64}: not the weights asked for")


@pytest.mark.parametrize(
    ("package", "sha256", "message"),
    [
        (
            "no-such-checkpoint",
            "0" * 64,
            "model.package: no-such-checkpoint is not installed: run `make install`, or set model.source",
        ),
        ("numpy", "0" * 64, "model.package: numpy holds 0 checkpoints with safetensors weights, one is expected"),
        ("numpy", None, "params.yaml: model.weights_sha256: a package is trusted by its hash: set it"),
    ],
    ids=["not installed", "no checkpoint", "no hash"],
)
def test_a_package_without_a_checkpoint_or_hash_is_refused(
    workspace: Workspace, fail: Fail, package: str, sha256: str | None, message: str
) -> None:
    own_dataset(workspace, {}, model__source="package", model__package=package, model__weights_sha256=sha256)
    assert fail() == message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{nope"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"\xff\xfe"),
        ("tokenizer_config.json", b"{nope"),
    ],
)
def test_a_broken_tokenizer_is_found_at_tokenize(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, name: str, content: bytes
) -> None:
    replace(name, content)(own_checkpoint(workspace, tiny_random_checkpoint))
    download.main()
    error = fail(tokenize.main)
    assert error.startswith("models/pretrained/tokenizer: not a tokenizer that loads (")
    assert error.endswith("): choose another checkpoint")
    assert "\n" not in error


def test_max_length_over_the_tokenizer_s_limit_is_refused(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {}, tokenize__max_length=257)
    download.main()
    assert fail(tokenize.main) == (
        "params.yaml: tokenize.max_length: 257 is more than the 256 tokens that the checkpoint takes"
    )


def test_texts_over_the_model_s_positions_are_refused(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path
) -> None:
    checkpoint = own_checkpoint(workspace, tiny_random_checkpoint, tokenize__max_length=512)
    edit_json(checkpoint / "tokenizer_config.json", model_max_length=10**30)
    (checkpoint.parent / "own/train.csv").write_text(GOOD + f"{'word ' * 300},a\n", encoding="utf-8")
    download.main()
    tokenize.main()
    assert fail(train.main) == (
        "params.yaml: tokenize.max_length: texts of 512 tokens, but the model has 256 positions"
    )


def other_type(name: str) -> Callable[[Path], None]:
    return lambda checkpoint: edit_json(checkpoint / "config.json", model_type=name)


MODELS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unknown model_type": (
        other_type("nonesuch"),
        ("does not load for sequence classification (ValueError: The checkpoint you are trying to load has model type "
        "`nonesuch` but Transformers does not recognize this architecture."),
    ),
    "model_type that classifies no texts": (
        other_type("vit"), "does not load for sequence classification (ValueError: Unrecognized configuration class"
    ),
    "weights of another architecture": (other_type("distilbert"), "its weights lack distilbert.transformer."),
    "weights of fewer layers": (
        lambda checkpoint: edit_json(checkpoint / "config.json", num_hidden_layers=3),
        "its weights lack bert.encoder.layer.2.",
    ),
    "weights of another width": (
        lambda checkpoint: edit_json(checkpoint / "config.json", hidden_size=64),
        "its weights lack bert.embeddings.LayerNorm.bias (of that shape) and ",
    ),
    "a shard missing": (
        lambda checkpoint: (checkpoint / "model.safetensors.index.json").write_text(
            '{"metadata": {}, "weight_map": {"pooler.dense.bias": "model-00002-of-00002.safetensors"}}'
        )
        and (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors"),
        "does not load for sequence classification (",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MODELS.values(), ids=MODELS)
def test_a_checkpoint_that_is_no_text_classifier_is_found_at_train(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, change: Callable[[Path], None], message: str
) -> None:
    change(own_checkpoint(workspace, tiny_random_checkpoint))
    download.main()
    tokenize.main()
    error = fail(train.main)
    assert error.startswith(f"models/pretrained/model: {message}")
    assert "\n" not in error


def test_a_tokenizer_with_more_tokens_than_the_model_is_found_at_train(
    workspace: Workspace, fail: Fail, tmp_path: Path
) -> None:
    own_dataset(workspace, {}, model__path="small")
    make_tiny_random_checkpoint(tmp_path / "small", vocab_size=20)
    download.main()
    tokenize.main()
    assert fail(train.main).endswith("but the model knows 20 tokens: they do not belong together")


def test_a_tokenizer_without_padding_is_found_at_train(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path
) -> None:
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "tokenizer_config.json", pad_token=None)
    download.main()
    tokenize.main()
    assert fail(train.main) == ("models/pretrained/tokenizer: no padding token: choose a checkpoint that has one")


@pytest.mark.parametrize(
    ("main", "missing"),
    [
        (tokenize.main, "data/raw/train.parquet"),
        (train.main, "data/tokenized/train.parquet"),
    ],
    ids=["tokenize", "train"],
)
def test_a_stage_without_the_one_before_says_what_to_run(
    workspace: Workspace, fail: Fail, main: Callable[[], None], missing: str
) -> None:
    own_dataset(workspace, {})
    download.main()
    Path(missing).unlink(missing_ok=True)
    assert fail(main) == f"{missing} does not exist: run `dvc repro`, which makes it first"


def test_a_damaged_table_between_stages_says_what_to_run(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {})
    download.main()
    Path("data/raw/validation.parquet").write_bytes(b"nothing of the kind")
    error = fail(tokenize.main)
    assert error.startswith("data/raw/validation.parquet: damaged (")
    assert error.endswith("): delete it and run `dvc checkout` or `dvc repro`")


def test_other_versions_of_the_libraries_are_refused(workspace: Workspace, fail: Fail) -> None:
    (workspace() / "requirements.txt").write_text("numpy==1.0.0\n", encoding="utf-8")
    error = fail()
    assert error.startswith("requirements.txt: numpy==1.0.0 is pinned but ")
    assert error.endswith(" is installed: run `make install`")


def test_the_traceback_is_shown_when_asked_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(dataset__path="elsewhere")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("RETUNE_TRACEBACK", "1")
    with pytest.raises(entry.InputError, match="elsewhere does not exist"):
        entry.run(download.main)

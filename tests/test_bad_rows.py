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
from edits import instead
from own_data import GOOD, TOO_DEEP, Fail, Workspace, own_dataset

from stages import audit, download, paths, tables

SKIP = "fix the row, or set dataset.on_bad_rows to skip"
EMPTY = "it is empty: begin the file with the names of the columns, and the rows below it"
CARVED = "remove it (of a hub dataset, save the other splits as files) to have it carved from train"
REMOVE = f"give it some, or {CARVED}"
UNKNOWN = "fix the row, or set dataset.labels (null: those of train) or dataset.on_bad_rows (skip)"
UNREADABLE = "own/train.parquet: not a readable parquet file ("
NAMES = "set dataset.text_column and dataset.label_column"
COLUMNS = f"{NAMES}, or dataset.header or dataset.delimiter"
TWO_LABELS = "at least two are needed: check dataset.label_column, or add rows of another label"
ENDINGS = ".csv, .tsv, .txt, .jsonl, .parquet"


def parquet(damage: slice | None = None, **columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns or {"text": ["some text"] * 50, "label": ["a", "b"] * 25}), file)
    content = bytearray(file.getvalue())
    if damage:
        content[damage] = bytes(byte ^ 0xFF for byte in content[damage])
    return bytes(content)


def class_labels(*numbers: int) -> bytes:
    file = io.BytesIO()
    schema = tables.schema(tables.TEXTS, ["a", "b"], "label")
    pq.write_table(pa.table({"text": ["some text"] * len(numbers), "label": numbers}, schema=schema), file)
    return file.getvalue()


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
        f"own/train.parquet, row 1: a label that is a fraction, which only a string may be: {SKIP}",
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
    "parquet label that the datasets library has no name for": (
        {"train.parquet": class_labels(0, -1)}, {},
        f"own/train.parquet, row 2: a label number without a name: {SKIP}",
    ),
    "parquet texts that are bytes": (
        {"train.parquet": parquet(text=[b"x"], label=["a"])}, {},
        f"own/train.parquet, row 1: a text that is not a string of Unicode: {SKIP}",
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
        (f"own/test.csv, line 1: no column 'label', there are: id, text: {COLUMNS}; or, if the test split has no "
        f"labels, {CARVED}"),
    ),
    "jsonl for validation without labels": (
        {"validation.jsonl": '{"text": "x"}\n'}, {},
        (f"own/validation.jsonl: no 'label' in any line, there are: text: {NAMES}; or, if the validation split has no "
        f"labels, {CARVED}"),
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

LATIN_1 = "text,label\nx,a\na caf\xe9,b\n".encode("latin-1")
FILES: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "empty csv": ({"train.csv": ""}, {}, f"own/train.csv, line 1: {EMPTY}"),
    "empty gz": ({"train.csv.gz": ""}, {}, f"own/train.csv.gz, line 1: {EMPTY}"),
    "empty csv for test": (
        {"test.csv": ""}, {}, f"own/test.csv, line 1: {EMPTY}; or, if the test split has no labels, {CARVED}"
    ),
    "empty parquet": (
        {"train.parquet": ""}, {}, f"{UNREADABLE}ArrowInvalid: Parquet file size is 0 bytes)"
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
    "UTF-16 without a byte order mark": (
        {"train.csv": GOOD.encode("utf-16-le")}, {},
        "own/train.csv, line 1: a NUL byte, as in UTF-16: save the file as UTF-8",
    ),
    "gzipped without saying so": (
        {"train.csv": gzip.compress(GOOD.encode())}, {}, "own/train.csv: it is gzipped: add .gz to its name"
    ),
    "a pointer of git LFS": (
        {"train.parquet": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}, {},
        "own/train.parquet: git LFS has not fetched it: run `git lfs pull`",
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
    "not parquet": ({"train.parquet": GOOD}, {}, f"{UNREADABLE}ArrowInvalid: Parquet magic bytes"),
    "parquet cut short": (
        {"train.parquet": parquet()[:-20]}, {}, f"{UNREADABLE}ArrowInvalid: Parquet magic bytes"
    ),
    "parquet with a damaged header of a page": (
        {"train.parquet": parquet(slice(4, 40))}, {}, f"{UNREADABLE}OSError: Couldn't"
    ),
    "parquet with a damaged page": (
        {"train.parquet": parquet(slice(60, 120))}, {}, UNREADABLE
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
        {"train.jsonl": "[" * 100_000}, {}, f"own/train.jsonl, line 1: not JSON ({TOO_DEEP}"
    ),
    "jsonl by position": (
        {"train.jsonl": '{"text": "x", "label": "a"}\n'}, {"dataset__text_column": 0},
        "own/train.jsonl: set dataset.text_column and dataset.label_column to names: .jsonl has no positions",
    ),
    "jsonl label by position": (
        {"train.jsonl": '{"text": "x", "label": "a"}\n'}, {"dataset__label_column": 1},
        "own/train.jsonl: set dataset.text_column and dataset.label_column to names: .jsonl has no positions",
    ),
    "quotes in a tsv that are just characters": (
        {"train.tsv": 'text\tlabel\n"so he said\ta\nand went\tb\nand that was the end"\ta\n'}, {},
        ("own/train.tsv, the row that begins on line 2: a quoted field that seems to hold other rows: "
        "set dataset.quoting to false"),
    ),
    "quotes in another column of a tsv": (
        {"train.tsv": 'text\tlabel\tnote\nx\ta\t"so\ny\tb\tand so"\n'}, {},
        "own/train.tsv, the row that begins on line 2: a quoted field that seems to hold other rows: ",
    ),
    "quotes in a csv that are just characters": (
        {"train.csv": 'text,label\ngood words,b\n"so he said,a\nand went,b\nand that was the end",a\n'}, {},
        ("own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: "
        "set dataset.quoting to false"),
    ),
    "quotes in a csv that are just characters, with the line ends of Windows": (
        {"train.csv": 'text,label\r\ngood words,b\r\n"so he said,a\r\nand went,b\r\nand that was the end",a\r\n'}, {},
        "own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: ",
    ),
    "csv that begins with an empty line": (
        {"train.csv": f"\n{GOOD}"}, {}, f"own/train.csv, line 1: {EMPTY}",
    ),
    "a quote in a csv that takes two rows for one": (
        {"train.csv": 'text,label\ngood words,a\n"so he said,a\nand that was the end",b\n'}, {},
        "own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: ",
    ),
    "quotes in a csv whose first column is the label": (
        {"train.csv": 'label,text\na,good words\nb,"so he said\na,and went\nb,and that was the end"\n'}, {},
        ("own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: "
        "set dataset.quoting to false"),
    ),
    "quotes in a csv whose first column is neither": (
        {"train.csv": 'id,text,label\n1,good words,b\n2,"so he said,a\n3,and went,b\n4,and that was the end",a\n'}, {},
        ("own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: "
        "set dataset.quoting to false"),
    ),
    "quotes in a csv in a column before text and label": (
        {"train.csv": 'id,place,text,label\n1,x,good,b\n2,"here,so he said,a\n3,there,went,b\n4,out",the end,a\n'}, {},
        "own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: ",
    ),
    "quotes in a csv in a column after text and label": (
        {"train.csv": 'text,label,place\ngood,b,x\nso he said,a,"here\nwent,b,there\nthe end,a,out"\n'}, {},
        "own/train.csv, the row that begins on line 3: a quoted field that seems to hold other rows: ",
    ),
    "a quote in a csv that takes two rows for one, of a label that comes later": (
        {"train.csv": 'text,label\n"so he said,a\nand that was the end",b\ngood words,a\n'}, {},
        "own/train.csv, the row that begins on line 2: a quoted field that seems to hold other rows: ",
    ),
    "one column for both in jsonl": (
        {"train.jsonl": '{"text": "a"}\n'}, {"dataset__label_column": "text"},
        "own/train.jsonl: dataset.text_column and dataset.label_column are one column, 'text': name two columns",
    ),
    "unclosed quote": (
        {"train.csv": 'text,label\nx,a\n"y,b\nz,a\n'}, {},
        ("own/train.csv, the row that begins on line 3: unexpected end of data: "
        "fix its quotes, or set dataset.quoting to false"),
    ),
    "unclosed quote in the header": (
        {"train.csv": '"text,label\nx,a\n'}, {}, "own/train.csv, the row that begins on line 1: unexpected end of data:"
    ),
    "quote that ends within a field": (
        {"train.csv": 'text,label\nx,a\n"y" and z,b\n'}, {},
        ("own/train.csv, the row that begins on line 3: ',' expected after '\"': "
        "fix its quotes, or set dataset.quoting to false"),
    ),
    "lines that end in CR": (
        {"train.csv": GOOD.replace("\n", "\r")}, {"dataset__quoting": False},
        "own/train.csv, the row that begins on line 1: new-line character seen in unquoted field: fix its line ends",
    ),
    "lines that end in CR, quotes allowed": (
        {"train.csv": GOOD.replace("\n", "\r")}, {},
        "own/train.csv, the row that begins on line 1: new-line character seen in unquoted field: fix its line ends",
    ),
    "no such position in csv": (
        {"train.csv": GOOD}, {"dataset__label_column": 2},
        f"own/train.csv, line 1: no column 2, there are: text, label: {COLUMNS}",
    ),
    "column past the last, by whose number another is named": (
        {"train.csv": "label,3,2\na,x,y\n"}, {"dataset__text_column": 3, "dataset__label_column": 0},
        f"own/train.csv, line 1: no column 3, there are: label, 3, 2: {COLUMNS}",
    ),
    "parquet column past the last, by whose number another is named": (
        {"train.parquet": parquet(None, **{"2": ["x"], "label": ["a"]})}, {"dataset__text_column": 2},
        f"own/train.parquet: no column 2, there are: 2, label: {NAMES}",
    ),
    "one column for both": (
        {}, {"dataset__text_column": "label"},
        "own/train.csv: dataset.text_column and dataset.label_column are one column, 1: name two columns",
    ),
    "one column for both, by name and by position": (
        {}, {"dataset__text_column": "label", "dataset__label_column": 1},
        "own/train.csv: dataset.text_column and dataset.label_column are one column, 1: name two columns",
    ),
    "one column for both in parquet": (
        {"train.parquet": parquet(text=["x", "y"], label=["a", "b"])}, {"dataset__label_column": 0},
        "own/train.parquet: dataset.text_column and dataset.label_column are one column, 'text': name two columns",
    ),
    "a first row taken for a header": (
        {"train.csv": "x,a\ny,b\nz,a\n"}, {"dataset__text_column": 0, "dataset__label_column": 1},
        "own/train.csv, line 3: its label is 'a' as on line 1: set dataset.header to false if line 1 is a row,",
    ),
    "a header in the middle, after a byte order mark": (
        {"train.csv": f'{GOOD}\ufeff"text","label"\nz,a\n'}, {},
        f"own/train.csv, line {GOOD.count(chr(10)) + 1}: the header again: fix the row, or set dataset.on_bad_rows",
    ),
    "a header in the middle, with a space": (
        {"train.csv": f"{GOOD}text, label\nz,a\n"}, {},
        f"own/train.csv, line {GOOD.count(chr(10)) + 1}: the header again: fix the row, or set dataset.on_bad_rows",
    ),
    "a header in the middle": (
        {"train.csv": f"{GOOD}text,label\nz,a\n"}, {},
        f"own/train.csv, line {GOOD.count(chr(10)) + 1}: the header again: fix the row, or set dataset.on_bad_rows",
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
        f"own/train.parquet: no column 'text', there are: tweet, label: {NAMES}",
    ),
    "no such position in parquet": (
        {"train.parquet": parquet()}, {"dataset__label_column": 2},
        f"own/train.parquet: no column 2, there are: text, label: {NAMES}",
    ),
    "two columns of one name": (
        {"train.csv": "text,text,label\nx,y,a\n"}, {},
        f"own/train.csv, line 1: more than one column 'text', there are: text, text, label: {COLUMNS}",
    ),
    "names without a header": (
        {"train.csv": "x,a\ny,b\n"}, {"dataset__header": False},
        "own/train.csv: without a header, columns are positions from 0, not names like 'text': set dataset.text_column",
    ),
    "txt without delimiter": (
        {"train.txt": "x;a\n"}, {},
        "own/train.txt: a .txt file does not say what separates its columns: set dataset.delimiter",
    ),
    "unknown ending": (
        {"train.xlsx": b"PK"}, {},
        f"own/train.xlsx: unsupported file extension: {ENDINGS} are read, all but parquet also with .gz",
    ),
    "gzipped parquet": (
        {"train.parquet.gz": gzip.compress(parquet())}, {},
        f"own/train.parquet.gz: unsupported file extension: {ENDINGS} are read, all but parquet also with .gz",
    ),
    "no ending": ({"train": GOOD}, {}, f"own/train: unsupported file extension: {ENDINGS} are read"),
    "zipped": (
        {"train.csv": GOOD, "test.csv.zip": b"PK"}, {}, f"own/test.csv.zip: unsupported file extension: {ENDINGS} are"
    ),
    "two train files": (
        {"train.csv": GOOD, "train.tsv": GOOD}, {}, "own: both train.csv and train.tsv are train: leave one of them"
    ),
    "two validation files": (
        {"dev.csv": GOOD, "val.csv": GOOD, "validation.csv": GOOD}, {},
        "own: both dev.csv and val.csv are validation: leave one of them",
    ),
    "a shard beside a whole file": (
        {"test-00000-of-00001.csv": GOOD}, {},
        "own: both test-00000-of-00001.csv and test.csv are test: leave one of them",
    ),
    "a shard missing": (
        {"train.csv": b"", "train-00001-of-00003.csv": GOOD}, {},
        "own: no train-00000-of-00003, one of the 3 files of train: add it",
    ),
    "missing path": (
        {}, {"dataset__path": "elsewhere"},
        "params.yaml: dataset.path: elsewhere does not exist: set it to a file or to a folder with a train file",
    ),
    "single file of unknown ending": (
        {"notes.md": "# x"}, {"dataset__path": "own/notes.md"},
        f"own/notes.md: unsupported file extension: {ENDINGS} are read, all but parquet also with .gz",
    ),
    "too few rows to carve from": (
        {"train.csv": "text,label\nw,a\nx,b\ny,a\nz,b\n"}, {"dataset__path": "own/train.csv"},
        ("the train split's 4 rows are too few, or too much of one label, to carve 10% of them as test with two "
        "classes: raise dataset.test_fraction, or give a test file"),
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


def test_a_header_is_not_what_is_wrong_with_parquet(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {"train.parquet": parquet(text=["x", "y"], label=["a", "b"])}, dataset__text_column=2)
    assert fail() == f"own/train.parquet: no column 2, there are: text, label: {NAMES}"


def test_all_bad_rows_are_named_at_once(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {"train.csv": GOOD + ",a\n" * 10})
    first, *others = fail().split("\n       ")
    assert first == f"own/train.csv, line 22: no text: {SKIP}"
    assert (len(others), others[-1]) == (8, "and 2 more")


def test_a_folder_without_a_train_file_is_an_error(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    (folder / "own/train.csv").unlink()
    (folder / "own/posts.csv").write_text(GOOD, encoding="utf-8")
    assert fail() == f"own: no train file: name it train with one of the endings {ENDINGS} (or .gz)"


def test_the_only_file_of_a_folder_without_a_train_file_is_named(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    for path in (folder / "own").iterdir():
        path.unlink()
    (folder / "own/posts.csv").write_text(GOOD, encoding="utf-8")
    assert fail().endswith(" (or .gz), or set dataset.path to own/posts.csv")


def test_a_split_that_is_no_file_is_an_error(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    instead(folder / "own/test.csv", lambda path: path.mkdir())
    assert fail() == "own/test.csv: named for the test split, but no file: put a file there, or rename it"


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
    audit.main()
    skipped = json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))["skipped_rows"]
    assert skipped == {"train": {}, "validation": {}, "test": counts}
    assert "test: 2 rows left out: no text\n" in capsys.readouterr().out


def test_a_row_that_is_skipped_gives_no_label_its_name(workspace: Workspace) -> None:
    rows = GOOD + "well, i am mad,anger\n,fear\n"
    own_dataset(workspace, {"train.csv": rows}, dataset__on_bad_rows="skip", dataset__labels=None)
    download.main()
    assert tables.label_names(tables.read("data/raw/train.parquet").schema) == ["a", "b"]


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

"""A data file or folder that cannot be read ends download with a line that says what is wrong and where."""

import gzip
from typing import Any

import pytest
from edits import instead
from own_data import AS_TRAIN, CARVED, COLUMNS, GOOD, NAMES, TOO_DEEP, Fail, Workspace, own_dataset, parquet, refusal


def damaged_gzip() -> bytes:
    content = bytearray(gzip.compress(GOOD.encode()))
    content[-8] ^= 0xFF  # the checksum
    return bytes(content)


EMPTY = "it is empty: begin the file with the names of the columns, and the rows below it"
UNREADABLE = "own/train.parquet: not a readable parquet file ("
ENDINGS = ".csv, .tsv, .txt, .jsonl, .parquet"
LATIN_1 = "text,label\nx,a\na caf\xe9,b\n".encode("latin-1")
FILES: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "empty csv": ({"train.csv": ""}, {}, f"own/train.csv, line 1: {EMPTY}"),
    "empty gz": ({"train.csv.gz": ""}, {}, f"own/train.csv.gz, line 1: {EMPTY}"),
    "empty csv for test": (
        {"test.csv": ""}, {},
        f"own/test.csv, line 1: it is empty: {AS_TRAIN}, or, if the test split has no labels, {CARVED}",
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
    "gzipped twice": (
        {"train.csv.GZ": gzip.compress(gzip.compress(GOOD.encode()))}, {}, "own/train.csv.GZ: it is gzipped: unpack it"
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
        "fix its quotes, or, if a quote is just a character in this file, set dataset.quoting to false"),
    ),
    "unclosed quote in the header": (
        {"train.csv": '"text,label\nx,a\n'}, {}, "own/train.csv, the row that begins on line 1: unexpected end of data:"
    ),
    "quote that ends within a field": (
        {"train.csv": 'text,label\nx,a\n"y" and z,b\n'}, {},
        ("own/train.csv, the row that begins on line 3: ',' expected after '\"': "
        "fix its quotes, or, if a quote is just a character in this file, set dataset.quoting to false"),
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
        f"own/test.tsv, line 1: no column 'label', there are: text, emotion: {AS_TRAIN}, or, if the test split has no ",
    ),
    "another delimiter": (
        {"train.csv": "text;label\nx;a\n"}, {},
        "own/train.csv, line 1: a single column, 'text;label': set dataset.delimiter, or dataset.header",
    ),
    "a single column": (
        {"train.csv": "review-text\nx\n"}, {"dataset__text_column": "review-text"},
        f"own/train.csv, line 1: no column 'label', there are: review-text: {COLUMNS}",
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
    "a part under a name of its own": (
        {"train-2.jsonl": '{"text": "w", "label": "a"}'}, {},
        ("own/train-2.jsonl: not read under this name: if it is all of train, name it train; if a part of it, "
        "train-00000-of-00002 and so on, where the second number is how many there are; if neither, take it out of "
        "there"),
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
        ("the train split's 4 rows are too few, or too many of one label, to carve 10% of them as test with two "
        "classes: raise dataset.test_fraction, or give a test file"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "params", "message"), FILES.values(), ids=FILES)
def test_a_bad_file_or_folder_is_named_with_its_place(
    workspace: Workspace, fail: Fail, files: dict[str, str | bytes], params: dict[str, Any], message: str
) -> None:
    assert refusal(workspace, fail, files, params).startswith(message)


def test_a_header_is_not_what_is_wrong_with_parquet(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {"train.parquet": parquet(text=["x", "y"], label=["a", "b"])}, dataset__text_column=2)
    assert fail() == f"own/train.parquet: no column 2, there are: text, label: {NAMES}"


def test_a_folder_without_a_train_file_is_an_error(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    (folder / "own/train.csv").unlink()
    (folder / "own/posts.csv").write_text(GOOD, encoding="utf-8")
    assert fail() == f"own: no train file: name it train with one of the endings {ENDINGS} (or .gz)"


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["posts.csv"], "set dataset.path to own/posts.csv"),
        (["part-1.csv", "part-2.csv"], "its parts train-00000-of-00002 and so on"),
    ],
)
def test_the_files_of_a_folder_with_none_named_for_a_split_may_be_what_is_meant(
    workspace: Workspace, fail: Fail, names: list[str], advice: str
) -> None:
    folder = own_dataset(workspace, {})
    for path in (folder / "own").iterdir():
        path.unlink()
    for name in names:
        (folder / "own" / name).write_text(GOOD, encoding="utf-8")
    assert fail().endswith(f" (or .gz), or {advice}")


def test_a_split_that_is_no_file_is_an_error(workspace: Workspace, fail: Fail) -> None:
    folder = own_dataset(workspace, {})
    instead(folder / "own/test.csv", lambda path: path.mkdir())
    assert fail() == "own/test.csv: named for the test split, but no file: put a file there, or rename it"

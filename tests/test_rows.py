"""Files of every form that is read: the same rows from each, down to the bytes of data/raw."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_data import LAYOUT, Workspace, read

from stages import download, tables
from stages.errors import InputError
from stages.files import read_rows

LABELS = ["anger", "joy"]
TEXTS = (
    "plain words",
    "a comma, a semicolon; a tab\tand a pipe|",
    'she said "so" and left',
    '"quoted as a whole"',
    "two\nlines",
    "a carriage return\r\nand a line feed",
    "an emoji \N{PARTY POPPER}, an \N{LATIN SMALL LETTER E WITH ACUTE}, a 字, a zero-width\N{ZERO WIDTH JOINER}joiner",
    "  space at both ends  ",
    "123",
    "null",
    "a backslash \\n and 'apostrophes'",
    "a line separator \N{LINE SEPARATOR} within",
)
ROWS: list[tuple[str, str]] = [(text, LABELS[number % 2]) for number, text in enumerate(TEXTS)]
SPLITS = {"train": ROWS, "validation": ROWS[4:], "test": ROWS[::-1]}

Rows = list[tuple[str, str]]


class Form(NamedTuple):
    """A form of a file: its ending, what writes it, and the params that differ from the default's."""

    ending: str
    write: Callable[[Rows], bytes]
    params: dict[str, Any]


def separated(*, delimiter: str = ",", header: bool = True, extra: bool = False, **dialect: Any) -> Any:
    """What writes rows as separated values, with ``extra`` between an id and a number, label first."""

    def write(rows: Rows) -> bytes:
        file = io.StringIO(newline="")
        table = csv.writer(file, delimiter=delimiter, **({"lineterminator": "\n"} | dialect))
        if header:
            table.writerow(("id", "label", "text", "number") if extra else ("text", "label"))
        table.writerows([("x", label, text, 7) if extra else (text, label) for text, label in rows])
        return file.getvalue().encode()

    return write


def jsonl(*, newline: str = "\n", **settings: Any) -> Any:
    def write(rows: Rows) -> bytes:
        lines = (json.dumps({"text": text, "label": label}, **settings) for text, label in rows)
        return "".join(line + newline for line in lines).encode()

    return write


def parquet(*, kind: pa.DataType | None = None, names: tuple[str, str] = ("text", "label")) -> Any:
    def write(rows: Rows) -> bytes:
        columns = [pa.array(column, pa.string()).cast(kind or pa.string()) for column in zip(*rows, strict=True)]
        file = io.BytesIO()
        pq.write_table(pa.table(columns, names=list(names)), file, row_group_size=5)
        return file.getvalue()

    return write


def with_mark(write: Callable[[Rows], bytes]) -> Callable[[Rows], bytes]:
    return lambda rows: b"\xef\xbb\xbf" + write(rows)


POSITIONS: dict[str, Any] = {"dataset__text_column": 0, "dataset__label_column": 1}
NO_HEADER = POSITIONS | {"dataset__header": False}
OTHER_NAMES = {"dataset__text_column": "tweet", "dataset__label_column": "feeling"}
PLAIN = {
    "csv": Form("csv", separated(), {}),
    "csv, every field quoted": Form("csv", separated(quoting=csv.QUOTE_ALL), {}),
    "csv, lines end in CRLF": Form("csv", separated(lineterminator="\r\n"), {}),
    "csv, byte order mark": Form("csv", with_mark(separated()), {}),
    "csv, byte order mark and quoted header": Form("csv", with_mark(separated(quoting=csv.QUOTE_ALL)), {}),
    "csv, columns by position": Form("csv", separated(), POSITIONS),
    "csv, no header": Form("csv", separated(header=False), NO_HEADER),
    "csv, no header, byte order mark": Form("csv", with_mark(separated(header=False)), NO_HEADER),
    "csv, more columns in another order": Form("csv", separated(extra=True), {}),
    "csv, parted by semicolons": Form("csv", separated(delimiter=";"), {"dataset__delimiter": ";"}),
    "tsv": Form("tsv", separated(delimiter="\t"), {}),
    "tsv, no header": Form("tsv", separated(delimiter="\t", header=False), NO_HEADER),
    "txt, semicolons, no header": Form(
        "txt", separated(delimiter=";", header=False), NO_HEADER | {"dataset__delimiter": ";"}
    ),
    "jsonl": Form("jsonl", jsonl(ensure_ascii=False), {}),
    "jsonl, escaped": Form("jsonl", jsonl(), {}),
    "jsonl, lines end in CRLF, byte order mark": Form("jsonl", with_mark(jsonl(newline="\r\n")), {}),
    "jsonl, blank lines": Form("jsonl", jsonl(newline="\n\n"), {}),
}
PARQUET = {
    "parquet": Form("parquet", parquet(), {}),
    "parquet, large strings": Form("parquet", parquet(kind=pa.large_string()), {}),
    "parquet, dictionaries": Form("parquet", parquet(kind=pa.dictionary(pa.int32(), pa.string())), {}),
    "parquet, columns by position": Form("parquet", parquet(names=("a", "b")), POSITIONS),
    "parquet, other names": Form("parquet", parquet(names=("tweet", "feeling")), OTHER_NAMES),
}


def gzipped(form: Form) -> Form:
    return Form(f"{form.ending}.gz", lambda rows: gzip.compress(form.write(rows)), form.params)


FORMS = PLAIN | PARQUET | {f"{name}, gzipped": gzipped(form) for name, form in PLAIN.items()}


def raw_bytes() -> dict[str, bytes]:
    return {split: Path(f"data/raw/{split}.parquet").read_bytes() for split in SPLITS}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_data_set_gives_the_same_bytes(workspace: Workspace, form: Form) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None, **form.params)
    (folder / "own").mkdir()
    for split, rows in SPLITS.items():
        (folder / f"own/{split}.{form.ending}").write_bytes(form.write(rows))
        schema = tables.schema(tables.TEXTS, LABELS, "label")
        texts, labels = zip(*rows, strict=True)
        tables.write(folder / f"{split}.parquet", schema, text=texts, label=[LABELS.index(label) for label in labels])
    download.main()
    assert raw_bytes() == {split: (folder / f"{split}.parquet").read_bytes() for split in SPLITS}


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "csv.gz"])
def test_a_single_file_gives_the_same_bytes_as_a_folder_with_train_alone(workspace: Workspace, ending: str) -> None:
    form = next(form for form in FORMS.values() if form.ending == ending)
    rows = [(f"{text} {number}", label) for number in range(5) for text, label in ROWS]
    folder = workspace(dataset__path="own", dataset__labels=None)
    (folder / "own").mkdir()
    (folder / f"own/train.{ending}").write_bytes(form.write(rows))
    download.main()
    expected = raw_bytes()
    workspace(dataset__path=f"tweets of 2020.{ending}", dataset__labels=None)
    (folder / f"own/train.{ending}").rename(folder / f"tweets of 2020.{ending}")
    download.main()
    assert raw_bytes() == expected


NUMBERS = [2, 0, 1, 10, 2, 0]


@pytest.mark.parametrize("kind", ["csv", "csv of floats", "jsonl", "jsonl of strings", "int8", "int64", "double"])
def test_integer_labels_give_the_same_bytes_however_they_are_stored(
    workspace: Workspace, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None)
    (folder / "own").mkdir()
    texts = [f"text {number}" for number in range(len(NUMBERS))]
    rows = list(zip(texts, NUMBERS, strict=True))
    for split in SPLITS:
        file = folder / f"own/{split}"
        if kind == "csv":
            file.with_suffix(".csv").write_bytes(separated()(rows))
        elif kind == "csv of floats":  # as pandas writes integers with a gap
            floats = [(text, f"{label:.1f}") for text, label in rows]
            file.with_suffix(".csv").write_bytes(separated()(floats if split != "test" else rows))
        elif kind.startswith("jsonl"):
            strings = [(text, str(label)) for text, label in rows]
            file.with_suffix(".jsonl").write_bytes(jsonl()(strings if "strings" in kind else rows))
        else:
            table = pa.table({"text": texts, "label": pa.array(NUMBERS).cast(kind)})
            pq.write_table(table, file.with_suffix(".parquet"))
        schema = tables.schema(tables.TEXTS, ["0", "1", "2", "10"], "label")
        tables.write(folder / f"{split}.parquet", schema, text=texts, label=[2, 0, 1, 3, 2, 0])
    download.main()
    assert raw_bytes() == {split: (folder / f"{split}.parquet").read_bytes() for split in SPLITS}
    assert "4 labels: 0, 1, 2, 10\n" in capsys.readouterr().out


def test_parquet_rows_are_counted_over_row_groups(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(parquet()(ROWS))
    assert [row.where for row in read_rows(file, LAYOUT)][-1] == f"{file}, row {len(ROWS) - 1} (from 0)"


def test_jsonl_columns_go_by_name(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"0": "a", "1": "b"}\n', encoding="utf-8")
    assert read(file, LAYOUT._replace(text_column="0", label_column="1")) == [("a", "b")]
    with pytest.raises(InputError, match="to names"):
        read(file, LAYOUT._replace(text_column=0, label_column=1))


@pytest.mark.parametrize("metadata", [b"", b"null", b"[]", b'{"info": {"features": {"label": {"names": 3}}}}'])
def test_metadata_of_parquet_that_name_no_labels_are_passed_over(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / "train.parquet"
    table = pa.table({"text": ["x"], "label": [1]}).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, path)
    assert [row.label for row in read_rows(path, LAYOUT)] == [1]


def test_empty_lines_of_jsonl_are_no_rows_and_count_as_lines(tmp_path: Path) -> None:
    row = '{"text": "a", "label": "b"}'
    (tmp_path / "train.jsonl").write_text(f"\n{row}\n\n{row}\n", encoding="utf-8")
    assert [row.where for row in read_rows(tmp_path / "train.jsonl", LAYOUT)] == [
        f"{tmp_path}/train.jsonl, line {line}" for line in (2, 4)
    ]


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_a_byte_order_mark_is_one_at_the_top_of_a_file_only(tmp_path: Path, ending: str) -> None:
    content = "\ufefftext,label\n\ufeffa,b\n".encode()
    (tmp_path / f"train.{ending}").write_bytes(gzip.compress(content) if ending == "csv.gz" else content)
    assert read(tmp_path / f"train.{ending}") == [("\ufeffa", "b")]

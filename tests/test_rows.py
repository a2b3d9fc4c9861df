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
from own_data import Workspace

from stages import download, paths, tables
from stages.errors import InputError
from stages.files import read_rows
from stages.rows import Layout
from stages.splits import SPLIT_NAMES, split_files

LAYOUT = Layout("text", "label", header=True, delimiter=None, quoting=True)
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


def read(path: Path, layout: Layout = LAYOUT) -> list[tuple[Any, Any]]:
    return [(row.text, row.label) for row in read_rows(path, layout)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_data_set_gives_the_same_bytes(workspace: Workspace, form: Form) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None, **form.params)
    (folder / "own").mkdir()
    for split, rows in SPLITS.items():
        (folder / f"own/{split}.{form.ending}").write_bytes(form.write(rows))
        schema = tables.schema(tables.TEXTS, LABELS, "label", delivered_as=split, skipped={})
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
        schema = tables.schema(tables.TEXTS, ["0", "1", "2", "10"], "label", delivered_as=split, skipped={})
        tables.write(folder / f"{split}.parquet", schema, text=texts, label=[2, 0, 1, 3, 2, 0])
    download.main()
    assert raw_bytes() == {split: (folder / f"{split}.parquet").read_bytes() for split in SPLITS}
    assert "4 labels: 0, 1, 2, 10\n" in capsys.readouterr().out


def test_without_quoting_a_quote_is_a_character(tmp_path: Path) -> None:
    file = tmp_path / "train.tsv"
    file.write_text('text\tlabel\n"so he said\tjoy\n5" of snow\tfear\nits "end"\tjoy\n', encoding="utf-8")
    assert read(file, LAYOUT._replace(quoting=False)) == [
        ('"so he said', "joy"),
        ('5" of snow', "fear"),
        ('its "end"', "joy"),
    ]


def test_a_quote_within_an_unquoted_field_is_a_character(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text('text,label\n5" of snow,joy\n', encoding="utf-8")
    assert read(file) == [('5" of snow', "joy")]


def test_a_row_is_placed_by_the_line_it_begins_on(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text('text,label\n"one\ntwo\nthree",a\n\nfour,b\n', encoding="utf-8")
    assert [row.where.removeprefix(f"{file}, ") for row in read_rows(file, LAYOUT)] == ["line 2", "line 6"]


def test_parquet_rows_are_counted_over_row_groups(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(parquet()(ROWS))
    assert [row.where for row in read_rows(file, LAYOUT)][-1] == f"{file}, row {len(ROWS)}"


def test_a_last_line_needs_no_end(tmp_path: Path) -> None:
    for name, text in (("train.csv", "text,label\na,b"), ("train.jsonl", '{"text": "a", "label": "b"}')):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert read(tmp_path / name) == [("a", "b")]


def test_an_empty_first_line_is_no_row_where_there_is_no_header(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("\na,b\n", encoding="utf-8")
    assert read(file, Layout(0, 1, header=False, delimiter=None, quoting=True)) == [("a", "b")]


def test_a_header_that_is_taken_for_a_row_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "train.csv"
    layout = Layout(0, 1, header=False, delimiter=None, quoting=True)
    said = f"warning: {file}: its first line alone has the label 'label': is it a header? See dataset.header\n"
    for content, warning in (("text,label\na,b\nc,b\n", said), ("a,b\nc,d\ne,b\n", ""), ("a,b\nc,d\n", "")):
        file.write_text(content, encoding="utf-8")
        read(file, layout)
        assert capsys.readouterr().out == warning


def test_a_line_that_ends_before_the_text_is_a_row_without_one(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("label,text\na\nb,words\n", encoding="utf-8")
    assert read(file) == [(None, "a"), ("words", "b")]


def test_a_label_may_have_the_name_of_its_column(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,label\na,label\nb,other\n", encoding="utf-8")
    assert read(file) == [("a", "label"), ("b", "other")]


def test_a_header_within_the_rows_is_a_bad_row_where_columns_go_by_position(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,label\na,b\ntext,label\nc,d\n", encoding="utf-8")
    rows = read_rows(file, LAYOUT._replace(text_column=0, label_column=1))
    assert [row.problem for row in rows] == ["", "the header again", ""]


@pytest.mark.parametrize("quoting", [True, False])
def test_quotes_that_a_space_keeps_are_warned_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, quoting: bool
) -> None:
    file = tmp_path / "train.csv"
    file.write_text('text,label\n"a ""b""",c\nb, "c" \nd, "c"\n', encoding="utf-8")
    assert read(file, LAYOUT._replace(quoting=quoting))[1:] == [("b", ' "c" '), ("d", ' "c"')]
    said = f"warning: {file}, line 3: quotes after a space are taken for a part of the field: remove the space if they "
    assert capsys.readouterr().out == (f"{said}are not\n" if quoting else "")


def test_space_around_the_names_of_columns_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text , label\na,b\n", encoding="utf-8")
    assert read(file) == [("a", "b")]


def test_a_field_may_be_long(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text(f"text,label\n{'long ' * 100_000},a\n", encoding="utf-8")
    assert len(read(file)[0][0]) == 500_000


@pytest.mark.parametrize("name", [*SPLIT_NAMES, "TRAIN", "Dev"])
@pytest.mark.parametrize("ending", ["csv", "CSV", "jsonl.gz", "jsonl.GZ", "parquet"])
def test_files_are_found_by_the_names_of_splits_and_others_are_named(
    tmp_path: Path, name: str, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.tsv").touch()
    for other in ("README.md", "labels.csv", ".gitignore", "trainer.csv", "test.csv.dvc", "words.JSONL.GZ"):
        (tmp_path / other).touch()
    for other in ("test.old.csv", "train.2024.parquet"):  # whose names are not a split's and an ending
        (tmp_path / other).touch()
    (tmp_path / "tests").mkdir()
    split = SPLIT_NAMES[name.lower()]
    if split == "train":
        (tmp_path / "train.tsv").unlink()
    file = tmp_path / f"{name}.{ending}"
    file.touch()
    assert split_files(tmp_path) == {"train": [tmp_path / "train.tsv"]} | {split: [file]}
    unread = "labels.csv, test.old.csv, tests, train.2024.parquet, trainer.csv, words.JSONL.GZ"
    assert capsys.readouterr().out == f"warning: {tmp_path}: ignored, since not named for a split: {unread}\n"


def test_a_single_file_is_train_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "test.csv"
    file.touch()
    assert split_files(file) == {"train": [file]}


def test_the_shards_of_a_split_are_read_one_after_the_other(workspace: Workspace) -> None:
    shards = workspace(dataset__path="own", dataset__labels=None) / "own"
    shards.mkdir()
    for shard in (1, 0, 2):
        rows = "".join(f"text {shard} {row},{'ab'[row % 2]}\n" for row in range(20))
        (shards / f"train-0000{shard}-of-00003.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    download.main()
    train, validation, test = (
        [tuple(map(int, text.split()[1:])) for text in tables.read(paths.raw(split))["text"].to_pylist()]
        for split in paths.SPLITS
    )
    assert sorted([*train, *validation, *test]) == [(shard, row) for shard in range(3) for row in range(20)]
    assert train == sorted(train)


def test_jsonl_columns_go_by_name(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"0": "a", "1": "b"}\n', encoding="utf-8")
    assert read(file, LAYOUT._replace(text_column="0", label_column="1")) == [("a", "b")]
    with pytest.raises(InputError, match="to names"):
        read(file, LAYOUT._replace(text_column=0, label_column=1))


@pytest.mark.parametrize(
    "text",
    [
        "Dear Sir,\nthank you",
        "I came, I saw\nand left",
        "joy,\nanger,\nand more",
        "so,joy\n\nfine",
        "first\nsecond, joy",
        "a\nb,joy",
    ],
)
def test_a_quoted_text_of_several_lines_with_commas_is_one_row(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(
        separated(quoting=csv.QUOTE_ALL)([("unlabelled", ""), ("x", "joy"), (text, "joy"), ("y", "anger")])
    )
    assert [row.text for row in read_rows(path, LAYOUT)] == ["unlabelled", "x", text, "y"]


@pytest.mark.parametrize("text", ["a\tb", "a\nb"])
def test_a_quoted_text_of_a_tsv_with_a_tab_or_a_line_end_is_one_row(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(f'text\tlabel\n"{text}"\tjoy\n', encoding="utf-8")
    assert read(path) == [(text, "joy")]


@pytest.mark.parametrize("text", ["so:\njoy", "joy\njoy"])
def test_a_text_with_lines_that_are_labels_is_one_row_where_the_label_comes_first(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f'label,text\njoy,x\njoy,"{text}"\n', encoding="utf-8")
    assert read(path) == [("x", "joy"), (text, "joy")]


@pytest.mark.parametrize("metadata", [b"", b"null", b"[]", b'{"info": {"features": {"label": {"names": 3}}}}'])
def test_metadata_of_parquet_that_name_no_labels_are_passed_over(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / "train.parquet"
    table = pa.table({"text": ["x"], "label": [1]}).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, path)
    assert [row.label for row in read_rows(path, LAYOUT)] == [1]


@pytest.mark.parametrize(
    ("split", "names"), [("train", ["training"]), ("validation", ["valid", "val", "dev"]), ("test", ["testing"])]
)
def test_the_names_of_a_split_are_its_own(split: str, names: list[str]) -> None:
    assert [name for name, of in SPLIT_NAMES.items() if of == split] == [split, *names]


def test_the_ending_of_gzipped_files_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "train.CSV.GZ").write_bytes(gzip.compress(b"text,label\na,b\n"))
    assert [row.text for row in read_rows(tmp_path / "train.CSV.GZ", LAYOUT)] == ["a"]


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


def test_of_columns_of_one_name_each_position_is_its_own(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,text,label\na,b,c\n", encoding="utf-8")
    assert read(file, LAYOUT._replace(text_column=1, label_column=2)) == [("b", "c")]

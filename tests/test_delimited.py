"""The rows of csv, tsv and txt files: quotes, line ends, headers and columns."""

from pathlib import Path

import pytest
from own_data import LAYOUT, read
from stand_ins import write_csv

from stages.files import read_rows
from stages.rows import Layout


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
    write_csv(path, [("unlabelled", ""), ("x", "joy"), (text, "joy"), ("y", "anger")])
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


def test_of_columns_of_one_name_each_position_is_its_own(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,text,label\na,b,c\n", encoding="utf-8")
    assert read(file, LAYOUT._replace(text_column=1, label_column=2)) == [("b", "c")]

"""What a label in a file stands for: a name, or the position of one."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_data import LAYOUT, Workspace, own_dataset

from stages import download, hub, paths, tables
from stages.dataset import Split, build_splits
from stages.errors import InputError
from stages.files import read_rows
from stages.params import load
from stages.rows import Row
from stages.sources import DatasetParams


def download_rows(workspace: Workspace, rows: str, names: list[str] | None) -> pa.Table:
    """The train rows as written by download, from csv files that hold the same ``rows`` for each split."""
    own_dataset(workspace, {f"{split}.csv": f"text,label\n{rows}" for split in paths.SPLITS}, dataset__labels=names)
    download.main()
    return tables.read(paths.raw("train"))


def test_integers_are_positions_among_the_label_names(workspace: Workspace) -> None:
    table = download_rows(workspace, "a,2\nb,0\nc,middle\n", ["low", "middle", "high"])
    assert table["label"].to_pylist() == [2, 0, 1]
    assert tables.label_names(table.schema) == ["low", "middle", "high"]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("names", [["low", "high"], ["low", "middle", "high"]])
def test_integers_that_are_counted_from_1_are_an_error_even_where_bad_rows_are_skipped(
    names: list[str], *, skip: bool
) -> None:
    rows = [Row("here", "a text", str(number)) for number in range(1, len(names) + 1)]
    with pytest.raises(InputError, match=f"count from 0, those of the rows go from 1 to {len(names)}: set it to null"):
        build_splits({"train": rows}, names, skip=skip)


def test_a_label_without_a_train_row_is_warned_of(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    download_rows(workspace, "a,low\nb,high\n", ["low", "middle", "high"])
    said = capsys.readouterr().out
    advice = "set dataset.labels to null if they are of another dataset"
    assert f"warning: no train row has these labels: middle: {advice}\n" in said
    assert "warning: no test row has these labels: middle: the scores on test do not cover them\n" in said


def test_a_label_that_the_hub_names_and_no_train_row_has_is_warned_of(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace(dataset__source="hub", dataset__labels=None)
    rows = [Row("here", text, label) for text in ("one", "two") for label in ("low", "high")]
    delivered = dict.fromkeys(paths.SPLITS, rows)
    monkeypatch.setattr(hub, "dataset_rows", lambda *_: (delivered, ["low", "middle", "high"]))
    download.download_dataset(load("dataset", DatasetParams), list(map(Path, paths.SPLITS)), Path("delivery.json"))
    advice = "if they are of no use, list the others in dataset.labels"
    assert f"warning: no train row has these labels: middle: {advice}\n" in capsys.readouterr().out


def test_integer_labels_that_may_count_from_1_are_warned_of(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    download_rows(workspace, "a,1\nb,2\n", ["low", "middle", "high", "highest"])
    said = "set dataset.labels to null if they are of another dataset, or subtract 1 from integer labels"
    out = capsys.readouterr().out
    assert f"warning: no train row has these labels: low, highest: {said} that count from 1\n" in out


@pytest.mark.parametrize(
    ("other", "listed"), [("Low", "Low, low"), ("'low'", "'low', low"), ("low\u200b", r"low, low\u200b")]
)
def test_labels_that_are_easily_confused_are_warned_of(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], other: str, listed: str
) -> None:
    download_rows(workspace, f"a,low\nb,{other}\nc,high\n", None)
    alike = "labels that differ only in case, quotes or characters that are not seen"
    assert f"warning: {alike}: {listed}: if they are one, spell them alike\n" in capsys.readouterr().out


def test_labels_of_a_parquet_file_that_names_them_go_by_their_names(workspace: Workspace, tmp_path: Path) -> None:
    schema = tables.schema(tables.TEXTS, ["anger", " joy"], "label")
    tables.write((tmp_path / "labelled.parquet"), schema, text=["cross", "glad", "furious"], label=[0, 1, 0])
    content = (tmp_path / "labelled.parquet").read_bytes()
    own_dataset(workspace, {f"{split}.parquet": content for split in paths.SPLITS}, dataset__labels=["joy", "anger"])
    download.main()
    assert tables.read(paths.raw("train"))["label"].to_pylist() == [1, 0, 1]


@pytest.mark.parametrize("names", [None, ["caf\u00e9", "bar"], ["cafe\u0301", "bar"]])
def test_a_label_is_one_however_its_accent_is_composed(names: list[str] | None) -> None:
    rows = [Row("", "a text", label) for label in ("caf\u00e9", "cafe\u0301", "bar")]
    splits, found = build_splits({"train": rows}, names, skip=False)
    assert found == (names or ["bar", "caf\u00e9"])
    first, second, other = splits["train"].labels
    assert first == second != other


def test_a_label_that_is_nan_is_none() -> None:
    rows = [Row("", "a text", label) for label in ("a", "b", float("nan"))]
    assert build_splits({"train": rows}, None, skip=True)[0]["train"].skipped == {"no label": 1}


def test_integers_among_label_names_are_names(workspace: Workspace) -> None:
    assert download_rows(workspace, "a,0\nb,1\nc,5\n", ["5", "1", "0"])["label"].to_pylist() == [2, 1, 0]


def test_no_integer_is_a_position_among_names_that_are_those_of_train() -> None:
    found = {"train": [Row("", "x", "no"), Row("", "y", "yes")], "test": [Row("here", "z", "1")]}
    with pytest.raises(InputError, match="here: an unknown label '1', known are: no, yes"):
        build_splits(found, None, skip=False)


@pytest.mark.parametrize(
    ("names", "labels", "numbers"), [(["1", "a", "b"], "a12", [1, 0]), (["-1", "b"], ["-1", "b", "0"], [0, 1])]
)
def test_where_one_label_name_is_an_integer_none_is_a_position(
    names: list[str], labels: Sequence[str], numbers: list[int]
) -> None:
    splits, _ = build_splits({"train": [Row("here", "a text", label) for label in labels]}, names, skip=True)
    assert splits["train"].labels == numbers
    assert splits["train"].skipped == {"an unknown label": 1}


@pytest.mark.parametrize("label", ["2.0", " 2.0 ", 2.0])
def test_a_name_with_a_decimal_point_is_no_position(label: str | float) -> None:
    found = {"train": [Row("here", "a text", label), Row("there", "another", "3.0")]}
    assert build_splits(found, ["1.0", "2.0", "3.0"], skip=False)[0]["train"].labels == [1, 2]
    with pytest.raises(InputError, match="an unknown label '1'"):
        build_splits({"train": [*found["train"], Row("here", "a third", 1)]}, ["1.0", "2.0", "3.0"], skip=False)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b", "a", "C"], ["C", "a", "b"]),
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["²", "1", "--1"], ["--1", "1", "²"]),
        (["New York", "São Paulo"], ["New York", "São Paulo"]),
        ([" joy", "joy ", "fear"], ["fear", "joy"]),
    ],
)
def test_label_names_not_given_are_those_of_train_sorted(
    workspace: Workspace, labels: list[str], names: list[str]
) -> None:
    rows = "".join(f"text {number},{label}\n" for number, label in enumerate(labels))
    assert tables.label_names(download_rows(workspace, rows, None).schema) == names


def test_a_number_of_a_column_with_gaps_has_the_name_that_its_file_gives_it(tmp_path: Path) -> None:
    schema = tables.schema(tables.TEXTS, ["low", "high"], "label")
    gaps = pa.table({"text": ["a", "b", "c"], "label": pa.array([1.0, None, 0.0])})
    pq.write_table(gaps.replace_schema_metadata(schema.metadata), tmp_path / "train.parquet")
    assert [row.label for row in read_rows(tmp_path / "train.parquet", LAYOUT)] == ["high", None, "low"]


def test_a_label_that_is_nan_in_a_file_that_names_its_labels_is_none(tmp_path: Path) -> None:
    schema = tables.schema(tables.TEXTS, ["low", "high"], "label")
    gaps = pa.table({"text": ["a", "b", "c"], "label": [1.0, float("nan"), 0.0]})
    pq.write_table(gaps.replace_schema_metadata(schema.metadata), tmp_path / "train.parquet")
    rows = list(read_rows(tmp_path / "train.parquet", LAYOUT))
    assert build_splits({"train": rows}, ["low", "high"], skip=True)[0]["train"].skipped == {"no label": 1}


def test_integers_from_0_of_which_one_is_too_large_are_not_said_to_be_counted_from_1() -> None:
    rows = [Row("here", "a text", str(number)) for number in (0, 1, 2, 3)]
    with pytest.raises(InputError, match="here: an unknown label '3', known are: low, middle, high"):
        build_splits({"train": rows}, ["low", "middle", "high"], skip=False)


@pytest.mark.parametrize("skip", [False, True])
def test_integers_that_are_counted_from_minus_1_are_an_error_even_where_bad_rows_are_skipped(*, skip: bool) -> None:
    rows = [Row("here", "a text", str(number)) for number in (-1, 0, 1)]
    said = (
        "count from 0, those of the rows go from -1 to 1: set it to null .*, or count from 0 in the files, "
        "or remove the rows of -1 if that means no label$"
    )
    with pytest.raises(InputError, match=said):
        build_splits({"train": rows}, ["negative", "neutral", "positive"], skip=skip)


def test_a_row_of_minus_1_beside_all_positions_has_no_label() -> None:
    rows = [Row("here", "a text", str(number)) for number in (-1, 0, 1, 2)]
    found, _ = build_splits({"train": rows}, ["low", "middle", "high"], skip=True)
    assert found["train"].labels == [0, 1, 2]


def test_a_split_of_minus_1_alone_has_no_labels_though_the_last_label_has_no_rows() -> None:
    train, test = ([Row("here", "a text", str(number)) for number in numbers] for numbers in ((0, 1), (-1, -1)))
    with pytest.raises(InputError, match="the test split has no labels: "):
        build_splits({"train": train, "test": test}, ["low", "middle", "high"], skip=False)


def test_splits_come_in_the_pipelines_order() -> None:
    rows = [Row("here", "a text", label) for label in ("a", "b")]
    assert list(build_splits({"test": rows, "train": rows}, None, skip=False)[0]) == ["train", "test"]


def test_the_integers_of_all_splits_say_whether_they_are_counted_from_1() -> None:
    train, test = ([Row("here", "a text", str(number)) for number in numbers] for numbers in ((1, 2), (2, 3)))
    with pytest.raises(InputError, match="count from 0, those of the rows go from 1 to 3"):
        build_splits({"train": train, "test": test}, ["low", "middle", "high"], skip=True)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("1.0", "1"),
        ("2.00", "2"),
        (" 3.0 ", "3"),
        ("-1.0", "-1"),
        (Decimal("4.00"), "4"),
        (Decimal("9" * 38), "9" * 38),
    ],
)
def test_a_whole_number_is_one_label_with_a_decimal_point_or_without(label: str | Decimal, name: str) -> None:
    rows = [Row("", "a text", given) for given in (label, name, "7")]
    splits, found = build_splits({"train": rows}, None, skip=False)
    assert sorted(found) == sorted([name, "7"])
    first, second, other = splits["train"].labels
    assert first == second != other


def test_booleans_are_names() -> None:
    rows = [Row("", "a text", label) for label in (True, False, "True")]
    assert build_splits({"train": rows}, None, skip=False) == (
        {"train": Split(["a text"] * 3, [1, 0, 1])},
        ["False", "True"],
    )


@pytest.mark.parametrize("number", [2.0, 5.0, Decimal("2.0"), Decimal("0.5")])
def test_a_number_that_its_file_has_no_name_for_is_no_label(tmp_path: Path, number: float | Decimal) -> None:
    schema = tables.schema(tables.TEXTS, ["low", "high"], "label")
    numbers = pa.array([type(number)(1), type(number)(0), number])
    table = pa.table({"text": ["a", "b", "c"], "label": numbers})
    pq.write_table(table.replace_schema_metadata(schema.metadata), tmp_path / "train.parquet")
    rows = list(read_rows(tmp_path / "train.parquet", LAYOUT))
    assert [(row.label, row.problem) for row in rows] == [
        ("high", ""), ("low", ""), (number, "a label number without a name")
    ]  # fmt: skip


def test_names_of_more_digits_than_python_reads_are_sorted_as_names() -> None:
    rows = [Row("", "a text", label) for label in ("7", "1" * 5000)]
    assert build_splits({"train": rows}, None, skip=False)[1] == ["1" * 5000, "7"]


def test_many_labels_of_a_single_row_are_labels_where_they_are_fewer_than_half_of_the_rows() -> None:
    rows = [Row("", "a text", str(label)) for label in (*range(105), *range(45))]  # 60 have one, 45 have two
    assert len(build_splits({"train": rows}, None, skip=False)[1]) == 105


def test_twenty_labels_of_a_single_row_are_labels() -> None:
    rows = [Row("", "a text", str(label)) for label in range(20)]
    assert len(build_splits({"train": rows}, None, skip=False)[1]) == 20


@pytest.mark.parametrize(("bad", "problems"), [(8, 8), (9, 1)])
def test_up_to_eight_bad_rows_are_named_one_by_one(bad: int, problems: int) -> None:
    with pytest.raises(InputError) as error:
        build_splits({"train": [Row(f"line {number}", "", "a") for number in range(bad)]}, ["a", "b"], skip=False)
    assert len(error.value.problems) == problems


def test_a_split_whose_labels_are_all_nan_has_none() -> None:
    train = [Row("", "a text", label) for label in ("a", "b")]
    test = [Row("here", "a text", float("nan"))] * 2
    with pytest.raises(InputError, match="the test split has no labels: give it some, or remove it"):
        build_splits({"train": train, "test": test}, None, skip=False)


@pytest.mark.parametrize(
    ("text", "label", "problem"),
    [
        ("half of a pair: \udc00", "a", "a text that is not a string of Unicode"),
        ("a text", "a\x85b", "a label with a control character"),
        ("a text", "a\x7fb", "a label with a control character"),
    ],
)
def test_what_no_file_or_line_can_hold_is_a_bad_row(text: str, label: str, problem: str) -> None:
    rows = [Row("", "a text", "a"), Row("", "a text", "b"), Row("", text, label)]
    assert build_splits({"train": rows}, None, skip=True)[0]["train"].skipped == {problem: 1}


def test_a_train_split_without_labels_is_not_to_be_removed() -> None:
    with pytest.raises(InputError, match=r"^here: no label: fix the row"):
        build_splits({"train": [Row("here", "a text", "")] * 2}, ["a", "b"], skip=False)

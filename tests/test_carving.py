"""Splits that were not delivered are carved from train: stratified, by seed, no text on both sides."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_data import Workspace
from stand_ins import write_csv

from stages import download, paths, tables
from stages.carving import carve
from stages.dataset import Split
from stages.duplicates import near_duplicates
from stages.errors import InputError
from stages.words import normalize

Rows = list[tuple[str, int]]


def split_of(rows: Rows) -> Split:
    return Split([text for text, _ in rows], [label for _, label in rows])


def rows_of(split: Split) -> Rows:
    return list(zip(split.texts, split.labels, strict=True))


def balanced(labels: int, rows: int) -> Rows:
    """``rows`` rows of each label, the labels in turn, each text once."""
    return [(f"text {row} of {label}", label) for row in range(rows) for label in range(labels)]


def carved(rows: Rows, fraction: float = 0.1, seed: int = 0, name: str = "test") -> Rows:
    return rows_of(carve(split_of(rows), fraction, seed, name)[1])


@pytest.mark.parametrize("labels", [2, 6, 80])
@pytest.mark.parametrize("rows", [15, 50, 101])
@pytest.mark.parametrize("fraction", [0.1, 0.15, 0.5])
def test_each_label_of_balanced_data_gives_its_share_within_one_row(labels: int, rows: int, fraction: float) -> None:
    counts = Counter(label for _, label in carved(balanced(labels, rows), fraction))
    assert all(abs(counts[label] - fraction * rows) <= 1 for label in range(labels))
    assert abs(counts.total() - fraction * rows * labels) <= 0.5 + 1e-9


def test_what_a_seed_carves_is_the_same_on_every_machine() -> None:
    assert [text for text, _ in carved(balanced(2, 20))] == [
        "text 0 of 1",
        "text 5 of 1",
        "text 11 of 0",
        "text 13 of 0",
    ]


def test_test_and_validation_of_one_seed_are_other_rows() -> None:
    rows = balanced(3, 100)
    assert set(carved(rows, name="test")) != set(carved(rows, name="validation"))


def test_the_order_of_the_rows_does_not_choose_them() -> None:
    rows = balanced(2, 105)  # the rounding gives one label a row more
    assert set(carved(rows)) == set(carved(rows[::-1]))
    rows += [(f"{text.upper()}!", label) for text, label in rows]
    assert set(carved(rows)) == set(carved(rows[::-1]))


def test_rows_of_one_text_stay_together_whatever_their_case_and_space() -> None:
    rows = [
        (variant, label)
        for text, label in balanced(2, 60)
        for variant in (text, text.upper(), f"  {text.replace(' ', '   ')}\n")
    ]
    stays, taken = carve(split_of(rows), 0.2, 0, "test")
    assert {normalize(text) for text in taken.texts}.isdisjoint(normalize(text) for text in stays.texts)
    assert set(Counter(normalize(text) for text in taken.texts).values()) == {3}


def test_no_carved_row_equals_one_that_stays_as_the_audit_sees_it() -> None:
    rows = [(variant, label) for text, label in balanced(2, 60) for variant in (text, f"{text}!", f"“{text}” …")]
    stays, taken = carve(split_of(rows), 0.2, 0, "test")
    assert all(similarity < 1 for _, similarity in near_duplicates(taken.texts, stays.texts).values())


@pytest.mark.parametrize("seed", range(20))
def test_a_text_repeated_more_often_than_a_split_has_rows_costs_no_other_label_its_share(seed: int) -> None:
    counts = Counter(label for _, label in carved([*balanced(4, 50), *[("the same", 0)] * 100], seed=seed))
    assert counts == {0: 15, 1: 5, 2: 5, 3: 5}


def test_labels_of_a_single_row_add_nothing_to_the_share_of_others() -> None:
    rows = [
        *((f"only {label}", label) for label in range(50)),
        *((text, label + 50) for text, label in balanced(3, 20)),
    ]
    counts = Counter(label for _, label in carved(rows))
    assert all(abs(counts[label] - 2) <= 1 for label in (50, 51, 52))


def test_both_sides_keep_the_order_of_train() -> None:
    rows = balanced(4, 50)
    places = {row: place for place, row in enumerate(rows)}
    for side in carve(split_of(rows), 0.3, 0, "test"):
        order = [places[row] for row in rows_of(side)]
        assert order == sorted(order)


@pytest.mark.parametrize(
    ("rows", "larger"),
    [
        (balanced(2, 4), True),
        ([("only", 0), ("two", 1)], False),
        ([("one text", 0), ("one text", 1)], False),
        ([*balanced(1, 40), ("other", 1)], False),
        ([("x", 0), ("x", 2), ("y", 0), ("y", 3), ("z", 1), ("z", 4), ("w", 1), ("w", 5)], False),  # each label's only
    ],
)
@pytest.mark.parametrize("name", ["validation", "test"])
def test_train_too_small_to_carve_from_is_an_error_that_says_what_helps(rows: Rows, larger: bool, name: str) -> None:  # noqa: FBT001
    helps = f"raise dataset.{name}_fraction" if larger else "give it two texts of each of two labels"
    advice = f"{helps}, or give a {name} file"
    few = f"the train split's {len(rows)} rows are too few, or too many of one label, to carve 10% of them as {name} "
    with pytest.raises(InputError, match=f"{few}with two classes: {advice}"):
        carve(split_of(rows), 0.1, 0, name)


def test_the_fraction_is_told_as_it_was_given() -> None:
    with pytest.raises(InputError, match=r"to carve 12\.5% of them as test "):
        carve(split_of([("only", 0), ("two", 1)]), 0.125, 0, "test")


def test_texts_that_another_split_has_are_said_to_be_of_no_help() -> None:
    rows = balanced(2, 20)
    said = "carve 10% of them as test with two classes: give it two texts of each of two labels that no other split has"
    with pytest.raises(InputError, match=said):
        carve(split_of(rows), 0.1, 0, "test", [split_of(rows[1:])])


def test_two_texts_of_each_of_two_labels_are_enough() -> None:
    assert sorted(label for _, label in carved(balanced(2, 2), 0.5)) == [0, 1]


WORDS = st.sampled_from(["a", "b", "c", "A", "B", " a ", "a  b", "b c", "\N{SNOWMAN}", "d", "e", "f", "g", "h", "i"])
TRAINS = st.lists(st.tuples(st.one_of(WORDS, st.text(min_size=1, max_size=4)), st.integers(0, 4)), max_size=60)


@settings(max_examples=300)
@given(rows=TRAINS, fraction=st.floats(0.01, 0.5), seed=st.integers(0, 2**64), name=st.sampled_from(["test", "dev"]))
def test_nothing_is_lost_nothing_doubled_and_no_text_on_both_sides(
    rows: Rows, fraction: float, seed: int, name: str
) -> None:
    rows = balanced(5, 60) + rows
    stays, taken = carve(split_of(rows), fraction, seed, name)
    assert Counter(rows_of(stays)) + Counter(rows_of(taken)) == Counter(rows)
    assert {normalize(text) for text in stays.texts}.isdisjoint(normalize(text) for text in taken.texts)


@settings(max_examples=300)
@given(rows=TRAINS, fraction=st.floats(0.01, 0.5), seed=st.integers(0, 99))
def test_every_label_stays_in_train(rows: Rows, fraction: float, seed: int) -> None:
    rows = balanced(5, 60) + [(text, 5 + label) for text, label in rows]
    stays, _ = carve(split_of(rows), fraction, seed, "test")
    assert set(stays.labels) == {label for _, label in rows}


@settings(max_examples=300)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_where_texts_differ_a_row_added_moves_at_most_one_other_of_each_label(
    sizes: list[int], fraction: float, seed: int, data: st.DataObject
) -> None:
    rows = [(f"{row} {label}", label) for label, size in enumerate(sizes) for row in range(size)]
    new = (data.draw(st.text("xyz", min_size=1)), data.draw(st.integers(0, len(sizes) - 1)))
    try:
        before, after = (set(carved(train, fraction, seed)) for train in (rows, [*rows, new]))
    except InputError:
        return
    moved = Counter(label for _, label in before ^ (after - {new}))
    assert max(moved.values(), default=0) <= 1


def split_texts() -> dict[str, list[str]]:
    return {split: tables.read(f"data/raw/{split}.parquet")["text"].to_pylist() for split in paths.SPLITS}


def write(file: Path, rows: Rows) -> None:
    file.parent.mkdir(exist_ok=True)
    write_csv(file, ((text, f"label {label}") for text, label in rows))


def test_test_and_validation_are_carved_from_one_file(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(dataset__path="all.csv", dataset__labels=None)
    rows = balanced(4, 100)
    write(folder / "all.csv", rows)
    download.main()
    texts = split_texts()
    assert {split: len(rows) for split, rows in texts.items()} == {"train": 324, "validation": 36, "test": 40}
    assert sorted(text for split in texts.values() for text in split) == sorted(text for text, _ in rows)
    said = capsys.readouterr().out
    assert "train: 324 rows\nvalidation: 36 rows, carved from train\ntest: 40 rows, carved from train\n" in said


def test_a_delivered_test_split_is_left_alone(workspace: Workspace) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None)
    rows = balanced(4, 100)
    write(folder / "own/train.csv", rows)
    write(folder / "own/test.csv", rows[:20])
    download.main()
    texts = split_texts()
    assert texts["test"] == [text for text, _ in rows[:20]]
    assert {split: len(rows) for split, rows in texts.items()} == {"train": 360, "validation": 40, "test": 20}
    assert json.loads(Path(paths.DELIVERY).read_text(encoding="utf-8"))["carved"] == ["validation"]


def test_the_files_of_data_raw_in_place_of_those_that_were_carved_give_the_same_bytes(workspace: Workspace) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None)
    write(folder / "own/train.csv", balanced(4, 100))
    download.main()
    before = {file.name: file.read_bytes() for file in folder.glob("data/raw/*.parquet")}
    (folder / "own/train.csv").unlink()
    for name, content in before.items():
        (folder / "own" / name).write_bytes(content)
    download.main()
    assert {file.name: file.read_bytes() for file in folder.glob("data/raw/*.parquet")} == before


def test_the_carved_test_split_is_the_same_whether_validation_is_delivered_or_not(
    workspace: Workspace,
) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None)
    rows = balanced(4, 100)
    write(folder / "own/train.csv", rows)
    download.main()
    alone = split_texts()["test"]
    write(folder / "own/validation.csv", [(f"another {text}", label) for text, label in rows[:20]])
    download.main()
    assert split_texts()["test"] == alone


@pytest.mark.parametrize("delivered", ["validation", "test"])
def test_texts_of_a_delivered_split_stay_in_train_where_the_audit_finds_them(
    workspace: Workspace, delivered: str
) -> None:
    folder = workspace(dataset__path="own", dataset__labels=None)
    rows = [(f"{text}.", label) for text, label in balanced(4, 100)]
    write(folder / "own/train.csv", rows)
    write(folder / f"own/{delivered}.csv", [(f"{text.upper()}!", label) for text, label in rows[:100]])
    download.main()
    texts = split_texts()
    assert {text for text, _ in rows[:100]} <= set(texts["train"])
    assert len(texts["validation" if delivered == "test" else "test"]) == 40


def test_another_dataset_seed_carves_other_rows_in_the_pipeline(workspace: Workspace) -> None:
    carves = []
    for seed in (0, 1, 0):
        folder = workspace(dataset__path="all.csv", dataset__labels=None, dataset__seed=seed)
        write(folder / "all.csv", balanced(4, 100))
        download.main()
        carves.append(split_texts())
    assert carves[0] == carves[2]
    assert carves[0] != carves[1]


def test_half_a_row_that_is_owed_is_taken() -> None:
    assert Counter(label for _, label in carved(balanced(2, 15))) == {0: 2, 1: 1}


def test_of_several_labels_of_one_text_the_first_rows_counts() -> None:
    rows = [(f"of both {row}", label) for row in range(20) for label in (0, 1)]
    rows += [(f"of one {row}", 1) for row in range(20)]
    assert all(Counter(label for _, label in carved(rows, 0.25, seed))[0] == 5 for seed in range(20))


@pytest.mark.parametrize("seed", range(20))
def test_a_text_repeated_so_often_that_it_overfills_a_split_costs_no_other_label_its_share(seed: int) -> None:
    counts = Counter(label for _, label in carved([*balanced(4, 50), *[("the same", 0)] * 50], 0.5, seed))
    assert all(abs(counts[label] - 25) <= 1 for label in (1, 2, 3))


def test_a_larger_share_is_said_to_help_where_only_some_texts_of_each_label_are_in_another_split() -> None:
    rows = balanced(2, 4)
    with pytest.raises(InputError, match=r"raise dataset\.test_fraction, or give a test file$"):
        carve(split_of(rows), 0.1, 0, "test", [split_of(rows[:2])])


@pytest.mark.parametrize("seed", range(5))
def test_a_label_that_only_a_text_of_two_labels_has_stays_in_train(seed: int) -> None:
    rows = [("of both", 0), ("of both", 1), *balanced(2, 2)[::2], *[(f"another {number}", 2) for number in range(4)]]
    stays, _ = carve(split_of(rows), 0.5, seed, "test")
    assert set(stays.labels) == {0, 1, 2}


def test_what_a_label_of_one_text_could_not_give_takes_no_other_label_out_of_train() -> None:
    rows = [("alone", 0), *[(f"text {number} of {label}", label) for label in (1, 2) for number in range(2)]]
    stays, _ = carve(split_of(rows), 0.5, 0, "test")
    assert sorted(stays.labels) == [0, 1, 2]


def test_the_only_text_of_a_label_that_no_other_split_has_is_carved_where_another_stays() -> None:
    rows = balanced(2, 2)
    assert rows_of(carve(split_of(rows), 0.5, 0, "test", [split_of(rows[:2])])[1]) == rows[2:]


@pytest.mark.parametrize("rare", [0, 1])
@pytest.mark.parametrize(("rows", "others"), [(5, 495), (4, 493), (2, 13)])
def test_a_rare_label_gives_a_row_whatever_its_place_among_the_labels(rare: int, rows: int, others: int) -> None:
    train = [(f"{number} {label}", label) for label in (0, 1) for number in range(rows if label == rare else others)]
    assert Counter(label for _, label in carved(train))[rare] == 1

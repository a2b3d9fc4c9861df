"""The audit finds what is wrong with the data, counts it as delivered, and stops where the params say so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clones import set_params
from conftest import needs_emotion
from own_data import Workspace
from stand_ins import read_csv, write_csv

from stages import audit, download, evaluate
from stages.duplicates import SIMILARITY
from stages.errors import InputError

Rows = list[tuple[str, str]]
Audit = Callable[..., dict[str, Any]]


@pytest.fixture
def examine(workspace: Workspace) -> Audit:
    """Download and audit splits given as rows; give data.json."""

    def run(splits: dict[str, Rows], **params: Any) -> dict[str, Any]:
        folder = workspace(dataset__path="own", dataset__labels=None, **params)
        (folder / "own").mkdir()
        for split, rows in splits.items():
            write_csv(folder / f"own/{split}.csv", rows)
        download.main()
        audit.main()
        return dict(json.loads(Path("metrics/data.json").read_text(encoding="utf-8")))

    return run


def findings(kind: str) -> list[dict[str, str]]:
    return [row for row in read_csv(Path("data/audit/findings.csv")) if row["finding"] == kind]


TRAIN = [
    ("the harbour was quiet and we sat there until dark", "a"),
    ("my brother sold the old car without asking me", "b"),
    ("nobody told us that the shop had closed in june", "a"),
    ("she walked the whole way home in the pouring rain", "b"),
]
VALIDATION = [("a parcel came for the neighbours again", "a"), ("i burnt the soup while on the phone", "b")]
TEST = [("the train stood in a field for two hours", "a"), ("we painted the kitchen a loud yellow", "b")]
CLEAN = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


@needs_emotion
@pytest.mark.usefixtures("emotion_files")
def test_the_known_blemishes_of_the_emotion_data_are_found() -> None:
    download.main()
    audit.main()
    report = json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))
    train, validation = report["splits"]["train"], report["splits"]["validation"]
    assert list(report["splits"]) == ["train", "validation"]  # test was carved from train
    assert (train["rows"], validation["rows"]) == (16000, 2000)
    assert train["labels"]["joy"] == 5362
    assert (train["repeated_texts"], train["conflicting_texts"]) == (31, 30)
    assert validation["conflicting_texts"] == 2
    assert report["shared_texts"] == {"train and validation": {"texts": 5, "same_label": 0, "other_label": 5}}


def test_a_leaked_text_with_a_bare_carriage_return_is_marked_as_leaked(workspace: Workspace) -> None:
    workspace(dataset__path="own", dataset__labels=None)
    Path("own").mkdir()
    for split, rows in (CLEAN | {"test": TRAIN}).items():
        lines = [json.dumps({"text": text.replace(" ", "\r", 1), "label": label}) for text, label in rows]
        Path(f"own/{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    download.main()
    audit.main()
    assert evaluate.leaked_rows("test", len(TRAIN)).all()
    assert not evaluate.leaked_rows("validation", len(VALIDATION)).any()


def test_labels_are_shown_as_they_are_spelt(examine: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    spelt = {"a": "[red] :warning:", "b": "so [/b]" + " and so on" * 10}
    examine({split: [(text, spelt[label]) for text, label in rows] for split, rows in CLEAN.items()})
    printed = capsys.readouterr().out
    assert all(label in printed for label in spelt.values())


def test_wide_characters_take_the_room_of_two(examine: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    spelt = {"a": "ab", "b": "字字"}
    examine({split: [(text, spelt[label]) for text, label in rows] for split, rows in CLEAN.items()})
    printed = capsys.readouterr().out.splitlines()
    narrow, wide = (line for line in printed if line.startswith(("  ab ", "  字字 ")))
    assert len(narrow) == len(wide) + 2


def test_clean_data_give_no_findings(examine: Audit) -> None:
    report = examine(CLEAN)
    assert report["leaked_rows"] == {"validation": {"rows": 0, "equal": 0}, "test": {"rows": 0, "equal": 0}}
    assert len(Path("data/audit/findings.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_a_repeated_text_and_a_conflicting_one_are_told_apart(examine: Audit) -> None:
    report = examine(CLEAN | {"train": [*TRAIN, TRAIN[0], (TRAIN[1][0], "a")], "test": [*TEST, TEST[0]]})
    assert (report["splits"]["train"]["repeated_texts"], report["splits"]["train"]["conflicting_texts"]) == (2, 1)
    repeated = [(row["row"], row["other_row"], float(row["similarity"])) for row in findings("repeated")]
    assert repeated == [("4", "0", 1), ("2", "0", 1)]
    assert [(row["row"], row["label"], row["other_label"]) for row in findings("conflicting")] == [("5", "a", "b")]
    assert not evaluate.leaked_rows("test", 3).any()


def test_a_text_in_two_splits_is_counted_by_whether_its_label_is_the_same(examine: Audit) -> None:
    report = examine(CLEAN | {"test": [*TEST, TRAIN[0], (TRAIN[1][0], "a")]})
    assert report["shared_texts"]["train and test"] == {"texts": 2, "same_label": 1, "other_label": 1}
    assert report["leaked_rows"]["test"] == {"rows": 2, "equal": 2}


@pytest.mark.parametrize(
    ("text", "similarity"),
    [
        ("The harbour was QUIET, and we sat there until dark!!", "1.0"),
        ("the  harbour was quiet and we sat there -- until dark", "1.0"),
        ("the harbor was quiet and we sat there until dark", "0.8163"),
        ("so the harbour was quiet and we sat there until dark", "0.9375"),
    ],
)
def test_a_near_duplicate_in_train_is_a_leak(examine: Audit, text: str, similarity: str) -> None:
    examine(CLEAN | {"test": [*TEST, (text, "b")]})
    (leak,) = findings("leaked")
    assert (leak["split"], leak["row"], leak["other_split"], leak["other_row"]) == ("test", "2", "train", "0")
    assert leak["similarity"] == similarity


def test_an_alike_text_that_says_something_else_is_no_leak(examine: Audit) -> None:
    examine(CLEAN | {"test": [*TEST, ("the market was loud and we stood there until noon", "b")]})
    assert findings("leaked") == []


def test_traces_of_a_wrong_decoding_are_found(examine: Audit) -> None:
    rows = [("the cafÃ© was shut", "a"), ("itâ€™s late", "b"), ("half a \ufffd", "a")]
    report = examine(CLEAN | {"train": [*TRAIN, *rows, ("naïve café, “so what” … 🎉 字", "a")]})
    assert report["splits"]["train"]["broken_texts"] == 3
    assert [row["row"] for row in findings("broken")] == ["4", "5", "6"]


def test_lengths_are_described_in_words(examine: Audit) -> None:
    texts = [" ".join(["word"] * words) for words in (*range(1, 100), 500)]
    report = examine(CLEAN | {"train": [(text, "ab"[place % 2]) for place, text in enumerate(texts)]})
    assert report["splits"]["train"]["words"] == {"median": 50.5, "95%": 95.0, "most": 500}


def test_carved_splits_count_as_the_train_that_was_delivered(examine: Audit) -> None:
    rows = [(f"a text number {number} {'of its own ' * (number % 5)}", "ab"[number % 2]) for number in range(60)]
    report = examine({"train": rows})
    assert {split: part["rows"] for split, part in report["splits"].items()} == {"train": 60}


@pytest.mark.parametrize(
    ("key", "rows", "message"),
    [
        (
            "max_leaked_rows",
            {"test": [*TEST, TRAIN[0]]},
            r"row 2 \(from 0\) of data/raw/test.parquet, 'the harbour was quiet",
        ),
        (
            "max_conflicting_rows",
            {"train": [*TRAIN, (TRAIN[0][0], "b")]},
            r"row 4 \(from 0\) of data/raw/train.parquet, 'the harbour was quiet",
        ),
    ],
)
def test_more_than_a_limit_allows_stops_the_stage_and_as_many_do_not(
    examine: Audit, key: str, rows: dict[str, Rows], message: str
) -> None:
    with pytest.raises(InputError, match=rf"params.yaml: audit.{key} is 0, the data has 1; the first is {message}"):
        examine(CLEAN | rows, **{f"audit__{key}": 0})
    assert not Path("metrics/data.json").exists()
    set_params(Path(), dataset__path="own", dataset__labels=None, **{f"audit__{key}": 1})
    audit.main()
    assert Path("metrics/data.json").exists()


def test_a_leak_that_is_near_is_not_counted_as_equal(examine: Audit) -> None:
    text = TRAIN[0][0]
    report = examine(CLEAN | {"test": [*TEST, (f"so {text}", "b")]})
    assert report["leaked_rows"]["test"] == {"rows": 1, "equal": 0}
    (leak,) = findings("leaked")
    assert (leak["text"], leak["label"], leak["other_text"], leak["other_label"]) == (f"so {text}", "b", text, "a")


def test_a_text_of_512_words_is_not_long_and_one_of_513_is(examine: Audit) -> None:
    rows = [("word " * 512, "a"), ("more " * 513, "b")]
    assert examine(CLEAN | {"train": [*TRAIN, *rows]})["splits"]["train"]["long_texts"] == 1
    assert [row["row"] for row in findings("long")] == ["5"]


@pytest.mark.parametrize("letter", ["字", "の", "ก", "ກ", "\uf900", "\U00020000"])
def test_in_a_script_without_spaces_each_character_is_a_word(examine: Audit, letter: str) -> None:
    rows = [(letter * 513, "a"), (f"two {letter * 2} words", "b")]
    train = examine(CLEAN | {"train": rows})["splits"]["train"]
    assert (train["long_texts"], train["words"]["median"]) == (1, (513 + 4) / 2)


def test_korean_has_spaces(examine: Audit) -> None:
    rows = [("ㅋㅋㅋ 정말 좋아요", "a"), ("two words", "b")]
    assert examine(CLEAN | {"train": rows})["splits"]["train"]["words"]["most"] == 3


def test_the_wide_space_between_words_is_no_word(examine: Audit) -> None:
    rows = [("字\N{IDEOGRAPHIC SPACE}字", "a"), ("two words", "b")]
    assert examine(CLEAN | {"train": rows})["splits"]["train"]["words"]["most"] == 2


def test_a_carved_split_is_not_set_against_the_train_that_it_was_delivered_in(examine: Audit) -> None:
    rows = [(f"a text number {number}", "ab"[number % 2]) for number in range(60)]
    assert examine({"train": rows})["shared_texts"] == {}


def test_a_leak_that_differs_in_a_letter_of_a_long_text_is_not_counted_as_equal(examine: Audit) -> None:
    text = " ".join(str(number * 7919) for number in range(5000))  # a similarity of 1.0000, rounded
    report = examine(CLEAN | {"train": [*TRAIN, (text, "a")], "test": [*TEST, (f"{text}x", "a")]})
    assert report["leaked_rows"]["test"] == {"rows": 1, "equal": 0}


def test_each_label_is_shown_with_its_share_of_the_rows(examine: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    examine(CLEAN | {"train": [*TRAIN, ("one row more of this label", "a")]})
    (line,) = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  a ")]
    assert line == ["a", "3", "60.0%", "1", "50.0%", "1", "50.0%"]


def test_a_leak_that_stops_the_stage_is_named_with_the_row_of_train_beside_it(examine: Audit) -> None:
    beside = (
        r"'nobody told us that .*', b, beside row 2 of data/raw/train.parquet, a: fix the data, or raise the limit \("
    )
    beside += r"with null, data/audit/findings.csv is written and lists them all\)$"
    with pytest.raises(InputError, match=rf"the first is row 1 \(from 0\) of data/raw/test.parquet, {beside}"):
        examine(CLEAN | {"test": [TEST[0], (TRAIN[2][0], "b")]}, audit__max_leaked_rows=0)


def test_a_text_that_has_the_same_two_labels_in_two_splits_is_one_of_the_same_label(examine: Audit) -> None:
    both = [("one for either", "a"), ("one for either", "b")]
    report = examine(CLEAN | {"train": [*TRAIN, *both], "test": [*TEST, *both]})
    assert report["shared_texts"]["train and test"] == {"texts": 1, "same_label": 1, "other_label": 0}


def test_a_text_that_is_there_three_times_is_one_repeated_text_and_may_be_one_conflicting_one(examine: Audit) -> None:
    thrice = [("one of three", label) for label in "aab"]
    report = examine(CLEAN | {"train": [*TRAIN, *thrice]})
    assert (report["splits"]["train"]["repeated_texts"], report["splits"]["train"]["conflicting_texts"]) == (1, 1)


def test_what_the_splits_share_is_said_below_the_table(examine: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    shared = [TRAIN[0], TRAIN[2], (TRAIN[1][0], "a"), (f"so {TRAIN[3][0]}", "b")]
    examine(CLEAN | {"test": [*TEST, *shared]})
    said = capsys.readouterr().out.splitlines()
    assert "train and test: 3 texts in both, 1 of them with another label" in said
    leaked = "{} rows are near-duplicates of train rows, {} of them equal but for case, punctuation and spacing"
    assert f"warning: test: {leaked.format(4, 3)}" in said
    assert f"validation: {leaked.format(0, 0)}" in said


def test_a_near_leak_is_listed_as_less_similar_than_an_equal_one(examine: Audit) -> None:
    examine(CLEAN | {"test": [*TEST, TRAIN[0], (f"so {TRAIN[1][0]}", "b")]})
    equal, near = (float(row["similarity"]) for row in findings("leaked"))
    assert SIMILARITY <= near < equal == 1

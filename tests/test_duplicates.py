"""Which texts are equal, and which are nearly so."""

import random
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import duplicates
from stages.duplicates import SIMILARITY, near_duplicates
from stages.words import normalize

TEXTS = [
    "the kettle was still warm when she came down",
    "nobody had told him that the shop was closed",
    "we counted eleven herons along the canal",
    "the letter arrived on the day after the move",
]


def jaccard(one: str, other: str) -> float:
    sets = [{text[i : i + 5] for i in range(max(1, len(text) - 4))} for text in (normalize(one), normalize(other))]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@given(st.lists(st.text(alphabet="ab c", min_size=1, max_size=30), min_size=2, max_size=30))
def test_what_is_found_is_similar_and_nothing_that_is_equal_is_missed(texts: list[str]) -> None:
    half = len(texts) // 2
    found = near_duplicates(texts[:half], texts[half:])
    for position, (other, similarity) in found.items():
        one, two = texts[position], texts[half + other]
        assert similarity == pytest.approx(jaccard(one, two))
        assert similarity >= SIMILARITY
        assert (similarity == 1) == (normalize(one) == normalize(two))
    among = set(map(normalize, texts[half:]))
    assert {position for position in range(half) if normalize(texts[position]) in among} <= found.keys()


def test_texts_that_only_repeat_otherwise_are_nearly_similar_and_not_equal() -> None:
    other, similarity = near_duplicates(["hahahahahaha"], ["hahahaha"])[0]
    assert other == 0
    assert 0.9999 < similarity < 1


def test_nearly_all_pairs_a_little_above_the_threshold_are_found() -> None:
    words = [f"{number * 7919 % 100003:05d}" for number in range(200 * 12)]
    texts = [" ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
    changed = [text[:-1] + "x" for text in texts]
    assert all(SIMILARITY < jaccard(*pair) < 0.99 for pair in zip(texts, changed, strict=True))
    assert len(near_duplicates(changed, texts)) >= 0.98 * len(texts)


def test_how_many_texts_are_taken_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = [f"so {text}" for text in TEXTS[::-1]]
    whole = near_duplicates(changed, TEXTS)
    assert [other for other, _ in whole.values()] == [3, 2, 1, 0]
    for limit in ("ROWS", "CHARACTERS"):
        with monkeypatch.context() as patch:
            patch.setattr(f"stages.tables.{limit}", 1)
            assert near_duplicates(changed, TEXTS) == whole


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("nice \U0001f60d", "nice \U0001f621"),
        ("लड़का गया", "लड़की गयी"),
        ("كَتَبَ", "كُتِبَ"),
        ("i like C++", "i like C#"),
        ("μαΐστρος", "μαιστρος"),
        ("my to_do", "my to do"),
    ],
)
def test_marks_and_symbols_tell_texts_apart(one: str, other: str) -> None:
    assert near_duplicates([one], [other]).get(0, (0, 0.0))[1] < 1
    assert near_duplicates([one], [f"  {one.upper()}!"]) == {0: (0, 1.0)}


@pytest.mark.parametrize(
    ("one", "other"), [("I'm so happy", "im so happy"), ("don\N{RIGHT SINGLE QUOTATION MARK}t", "dont")]
)
def test_texts_that_differ_by_an_apostrophe_are_equal(one: str, other: str) -> None:
    assert near_duplicates([one], [other]) == {0: (0, 1.0)}


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\x07", "\ue000"])
def test_texts_that_differ_by_what_is_not_seen_are_equal(unseen: str) -> None:
    assert near_duplicates([f"so{unseen} tired"], ["so tired"]) == {0: (0, 1.0)}


@pytest.mark.parametrize("newer", ["\U0001fae8", "\U0001fffe"])  # of Unicode 15, after Python 3.11; and of none ever
def test_a_character_that_is_newer_than_python_is_a_symbol_too(newer: str) -> None:
    assert normalize(f"So {newer}!") == f"so {newer}"


FOOTER = "you receive this letter since you have written to us and this is what all of our letters end with"
LETTERS = [f"{number * 7919 % 99991:05d} {number * 1299709 % 9999991:07d} x {FOOTER}" for number in range(20, 80)]


def test_pairs_below_the_threshold_that_share_boilerplate_are_hardly_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def check(one: set[str], other: set[str]) -> float:
        checked.append(one)
        return len(one & other) / len(one | other)

    monkeypatch.setattr(duplicates, "_jaccard", check)
    footer = " ".join(f"word{number}" for number in range(20))
    texts = [f"{' '.join(str(number * 7919 % 99991 + word) for word in range(12))} {footer}" for number in range(200)]
    assert near_duplicates(texts[:100], texts[100:]) == {}
    assert len(checked) < 100


def test_texts_that_nearly_all_are_nearly_similar_to_are_compared_with_some_of_them_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks: list[float] = []
    jaccard = duplicates._jaccard  # noqa: SLF001

    def check(one: set[str], other: set[str]) -> float:
        checks.append(jaccard(one, other))
        return checks[-1]

    monkeypatch.setattr(duplicates, "_jaccard", check)
    monkeypatch.setattr(duplicates, "BUDGET", 3 * duplicates.CHECK)
    assert near_duplicates(LETTERS[:20], LETTERS[20:]) == {}
    assert all(similarity < SIMILARITY for similarity in checks)
    assert len(checks) <= 20 * 3
    assert "20 texts were compared with only some of those nearly like them" in capsys.readouterr().out


def test_what_is_only_estimated_counts_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(duplicates, "LIKELY", 2)  # nothing is verified
    monkeypatch.setattr(duplicates, "BUDGET", 5)
    assert near_duplicates(LETTERS[:20], LETTERS[20:]) == {}
    assert "20 texts were compared with only some of those nearly like them" in capsys.readouterr().out


def test_of_several_texts_that_are_similar_the_first_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    text = TEXTS[0]
    assert near_duplicates([text.upper()], [f"so {text}", text, f"{text}!"])[0] == (1, 1.0)
    assert near_duplicates([text], [f"so {text}", f"oh {text}"])[0][0] == 0
    assert not capsys.readouterr().out  # compared with as many as it takes


def test_texts_of_other_widths_ligatures_and_cases_are_equal() -> None:
    assert near_duplicates(["\uff26\uff55\uff4c\uff4c \ufb01eld, Stra\xdfe"], ["full field STRASSE"]) == {0: (0, 1.0)}


def test_texts_of_nothing_but_other_punctuation_are_not_equal() -> None:
    assert near_duplicates([" ?! "], ["...", "?!"]) == {0: (1, 1.0)}


DRAW = random.Random(0)
STRIDES = [(start, step) for start in range(26) for step in (1, 3, 5, 9)]


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (
            ["".join(ascii_lowercase[(start + step * place) % 26] for place in range(9)) for start, step in STRIDES],
            0.95,
        ),
        (["".join(DRAW.sample(ascii_lowercase, 9)) for _ in range(300)], 0.98),
    ],
    ids=["strides", "drawn at random"],
)
def test_nearly_all_pairs_right_at_the_threshold_are_found(texts: list[str], share: float) -> None:
    cut = [text[:-1] for text in texts]
    assert all(jaccard(*pair) == SIMILARITY for pair in zip(texts, cut, strict=True))
    assert len(near_duplicates(cut, texts)) >= share * len(texts)


def test_a_text_similar_to_one_after_repeated_ones_is_given_the_place_of_that_one() -> None:
    among = [TEXTS[0], TEXTS[0], TEXTS[1], TEXTS[1].upper(), TEXTS[2]]
    assert [near_duplicates([f"so {text}"], among)[0][0] for text in TEXTS[:3]] == [0, 2, 4]

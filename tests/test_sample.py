"""The starter corpus is what data/README.md says of it."""

import csv
import re
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest
from clones import TREE

SPLITS = {"train": 300, "validation": 50, "test": 50}
LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
OUTRIGHT = {
    "sadness": r"sad|sad(ness|ly|der|dest|den|dened)|unhapp(y|ily|iness)",
    "joy": r"joy|joy(s|ful|fully|ous)|happ(y|ier|iest|ily|iness)",
    "love": r"lov(e|es|ed|ing|ingly|able|ely|er|ers)|beloved",
    "anger": r"anger(s|ed)?|angr(y|ily|ier)|mad|furious(ly)?",
    "fear": r"fear(s|ed|ful|fully|ing)?|afraid|scar(ed|y|es|ing)",
    "surprise": r"surpris(e|es|ed|ing|ingly)",
}
NEGATION = re.compile(
    r"\b(not|never|no|nothing|nobody|cannot"
    r"|(?:do|does|did|is|was|are|were|ca|wo|could|would|should|have|has|had|ai)n'?t)\b"
)
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


@cache
def rows(split: str) -> list[tuple[str, str]]:
    with (TREE / f"data/sample/{split}.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file, strict=True)]


def everything() -> list[tuple[str, str]]:
    return [row for split in SPLITS for row in rows(split)]


def plain(text: str) -> str:
    """A text in lower case, with straight apostrophes."""
    return text.lower().replace("\u2019", "'")


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", plain(text))


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_has_as_many_rows_of_each_label(split: str) -> None:
    assert Counter(label for _, label in rows(split)) == dict.fromkeys(LABELS, SPLITS[split])


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_mixed_within_a_split(split: str) -> None:
    same = sum(one == other for (_, one), (_, other) in pairwise(rows(split)))
    assert same < 0.3 * len(rows(split))


def test_no_two_texts_share_six_words_in_a_row() -> None:
    owner: dict[tuple[str, ...], str] = {}
    for text, _ in everything():
        tokens = words(text)
        for run in {tuple(tokens[start : start + 6]) for start in range(len(tokens) - 5)}:
            assert run not in owner, (text, owner[run])
            owner[run] = text


def test_no_two_texts_are_alike() -> None:
    seen: list[set[str]] = []
    for text, _ in everything():
        tokens = set(words(text))
        assert not any(len(tokens & other) > 0.6 * len(tokens | other) for other in seen), text
        seen.append(tokens)


@pytest.mark.parametrize("label", LABELS)
def test_at_most_a_third_of_a_labels_texts_say_it_outright(label: str) -> None:
    texts = [text for text, given in everything() if given == label]
    said = sum(bool(re.search(rf"\b({OUTRIGHT[label]})\b", text.lower())) for text in texts)
    assert said <= len(texts) / 3


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_written_in_many_registers(label: str) -> None:
    texts = [text for text, given in everything() if given == label]
    assert 0.15 < sum(text == text.lower() for text in texts) / len(texts) < 0.85
    assert sum(bool(re.search(r"[.!?]$", text)) for text in texts) > 0.2 * len(texts)


def test_some_texts_have_emoji() -> None:
    assert sum(bool(EMOJI.search(text)) for text, _ in everything()) >= 10


@pytest.mark.parametrize("label", LABELS)
def test_every_label_has_negations(label: str) -> None:
    texts = [text for text, given in everything() if given == label]
    negated = sum(bool(NEGATION.search(plain(text))) for text in texts)
    assert negated > 0.1 * len(texts)


def test_texts_are_short_posts() -> None:
    lengths = [len(words(text)) for text, _ in everything()]
    assert min(lengths) >= 4
    assert max(lengths) <= 60
    assert 12 <= sum(lengths) / len(lengths) <= 25


@pytest.mark.parametrize("label", LABELS)
def test_no_frame_opens_many_of_a_labels_texts(label: str) -> None:
    openings = Counter(tuple(words(text)[:3]) for text, given in everything() if given == label)
    opening, times = openings.most_common(1)[0]
    assert times <= 20, opening

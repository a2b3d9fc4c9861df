"""How many tokens a text has, how many of them are dropped or unknown, and what is said of that."""

import json
from collections import Counter
from pathlib import Path

import pytest
import transformers
from edits import edit_json
from own_data import Fail, Workspace, own_dataset
from trainings import Prepare

from stages import download, paths, tables, tokenize


def test_a_text_of_just_the_most_tokens_is_not_truncated(tiny_random_checkpoint: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_random_checkpoint)
    assert tokenize.tokenize_texts(tokenizer, ["a b"], 4)[1:] == (0, 0)
    assert tokenize.tokenize_texts(tokenizer, ["a b c"], 4)[1:] == (1, 1)


def test_the_share_of_tokens_that_the_checkpoint_does_not_know_is_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    own_dataset(workspace, {"train.csv": "text,label\n🎉,a\n🎉 🎉,b\na,b\n"})
    download.main()
    tokenize.main()
    # [CLS] and [SEP] are of each text's tokens
    said = capsys.readouterr().out
    assert "train: 3 rows, 3.3 tokens on average, 30.0% of them unknown; truncated to" in said
    counts = json.loads(Path(paths.TOKENS).read_text(encoding="utf-8"))
    assert counts["train"] == {"rows": 3, "tokens": 10, "unknown": 3, "truncated": 0, "dropped": 0}
    assert list(counts) == ["train", "validation", "test"]
    assert "\nwarning: 30% of train's tokens are unknown: choose a checkpoint for texts like these\n" in said


def test_a_token_that_begins_each_text_is_not_unknown_although_it_stands_for_what_is(workspace: Workspace) -> None:
    own_dataset(workspace, {"train.csv": "text,label\na,a\nb,b\n"})
    download.main()
    edit_json(Path(paths.TOKENIZER) / "tokenizer_config.json", unk_token="[CLS]")
    tokenize.main()
    assert json.loads(Path(paths.TOKENS).read_text(encoding="utf-8"))["train"]["unknown"] == 0


def test_a_tokenizer_that_knows_no_token_of_train_is_refused(workspace: Workspace, fail: Fail) -> None:
    own_dataset(workspace, {"train.csv": "text,label\n🎉,a\n🎉 🎉,b\n"})
    download.main()
    assert fail(tokenize.main).startswith("models/pretrained/tokenizer: it knows no token of the train texts: ")


def test_a_tenth_of_the_tokens_dropped_or_unknown_is_no_reason_to_warn(capsys: pytest.CaptureFixture[str]) -> None:
    tokenize.report("train", 90, Counter(rows=1, tokens=90, unknown=9, truncated=1, dropped=10))
    assert "warning" not in capsys.readouterr().out
    tokenize.report("train", 89, Counter(rows=1, tokens=89, truncated=1, dropped=11))
    assert "\nwarning: 11% of train's tokens are dropped: raise tokenize.max_length, " in capsys.readouterr().out


def test_how_many_rows_are_tokenized_at_a_time_changes_nothing(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(tokenize__max_length=8)
    capsys.readouterr()
    found = []
    for rows in (1000, 5):
        monkeypatch.setattr(tables, "ROWS", rows)
        tokenize.main()
        tokenized = [tables.read(paths.tokenized(split)).to_pydict() for split in paths.SPLITS]
        found.append((tokenized, capsys.readouterr().out))
    assert found[0] == found[1]
    assert "truncated to 8: 72 rows" in found[0][1]


def test_tokens_that_are_known_in_the_first_rows_of_train_alone_or_not_in_test_are_enough(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_dataset(workspace, {"train.csv": "text,label\na,a\n🎉,b\n", "test.csv": "text,label\n🎉,a\n🎉 🎉,b\n"})
    download.main()
    monkeypatch.setattr(tables, "ROWS", 1)
    tokenize.main()
    assert tables.read(paths.tokenized("test")).num_rows == 2

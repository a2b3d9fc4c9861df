"""What the hub's library gives, and what it raises, in this process."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import datasets
import httpx2
import huggingface_hub
import pytest
from hub_server import COMMIT

from stages import hub
from stages.dataset import Split, build_splits
from stages.errors import InputError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def delivered(monkeypatch: pytest.MonkeyPatch, *splits: str, names: tuple[str, str] = ("text", "label")) -> None:
    """Have the hub deliver these splits, in this process; the names of the labels have space around them."""
    label = datasets.ClassLabel(names=[" no", "yes ", "yes"])
    features = datasets.Features({names[0]: datasets.Value("string"), names[1]: label})
    columns = {names[0]: ["a", "b", "c"], names[1]: [1, 0, 2]}
    found = {split: datasets.Dataset.from_dict(columns, features=features) for split in splits}
    builder = SimpleNamespace(
        config=SimpleNamespace(data_files={}),
        download_and_prepare=lambda: None,
        as_dataset=lambda **_: datasets.DatasetDict(found),
    )
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: builder)


def test_space_around_the_hubs_label_names_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered(monkeypatch, "train")
    found, names = hub.dataset_rows("tiny/spaced", None, COMMIT, "text", "label")
    assert build_splits(found, names, skip=False) == ({"train": Split(["a", "b", "c"], [1, 0, 1])}, ["no", "yes"])


@pytest.mark.parametrize("columns", [("tweet", "feeling"), (0, 1)])
def test_texts_and_labels_are_those_of_the_columns_asked_for(
    monkeypatch: pytest.MonkeyPatch, columns: tuple[str | int, str | int]
) -> None:
    delivered(monkeypatch, "train", names=("tweet", "feeling"))
    found, names = hub.dataset_rows("tiny/emotions", None, COMMIT, *columns)
    assert [(row.text, row.label) for row in found["train"]] == [("a", "yes"), ("b", "no"), ("c", "yes")]
    assert names == ["no", "yes"]


def test_splits_that_are_not_named_for_one_are_said_to_be_unread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    delivered(monkeypatch, "Train", "validation_matched", "test_1")
    found, _ = hub.dataset_rows("tiny/emotions", None, COMMIT, "text", "label")
    assert list(found) == ["train"]
    said = "warning: dataset tiny/emotions: ignored, since not named for a split: validation_matched, test_1\n"
    assert capsys.readouterr().out == said


def test_a_data_set_without_a_train_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered(monkeypatch, "test", "unsupervised")
    with pytest.raises(InputError, match="no train split, there are: test, unsupervised: choose another"):
        hub.dataset_rows("tiny/emotions", None, COMMIT, "text", "label")


def test_two_splits_for_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered(monkeypatch, "train", "validation", "dev")
    said = "^dataset tiny/emotions: a second validation split, dev: save one as a file"
    with pytest.raises(InputError, match=said):
        hub.dataset_rows("tiny/emotions", None, COMMIT, "text", "label")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC])
def test_a_disk_that_takes_nothing_more_is_not_called_the_hubs_fault(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/home/me/.cache/huggingface/hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        hub.snapshot("tiny/checkpoint", COMMIT, ("*.json",))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "huggingface.co answered with status 503: run again, or set model.source"),
        (403, "no such repository, or no access: fix model.hub_name"),
    ],
)
def test_a_hub_that_answers_with_an_error_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        response = httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co"))
        raise huggingface_hub.errors.HfHubHTTPError("an error", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://huggingface.co")
    with pytest.raises(InputError, match=f"tiny/checkpoint at 0123456789ab: {said}"):
        hub.snapshot("tiny/checkpoint", COMMIT, ("*.json",))

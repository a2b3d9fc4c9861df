"""The labels of the head that a checkpoint may have, and those of the data."""

import json
import re
from pathlib import Path

import pytest
from edits import edit_json
from own_data import Fail, Workspace, own_checkpoint

from stages import download, errors, tokenize, train
from stages.classifier import load_pretrained


def test_a_head_whose_labels_are_of_several_types_is_replaced(
    workspace: Workspace, tiny_random_checkpoint: Path
) -> None:
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "config.json", id2label={"0": "a", "1": None})
    download.main()
    assert load_pretrained(["a", "b"]).config.id2label == {0: "a", 1: "b"}


def test_a_head_whose_labels_are_integers_in_another_order_is_refused(
    workspace: Workspace, tiny_random_checkpoint: Path
) -> None:
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "config.json", id2label={"0": 1, "1": 0})
    download.main()
    said = r'^params\.yaml: dataset\.labels: models/pretrained/model has these labels in .*: set it to \["1", "0"\]'
    with pytest.raises(errors.InputError, match=said):
        load_pretrained(["0", "1"])


def test_a_head_with_the_labels_in_another_order_is_refused(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path
) -> None:
    checkpoint = own_checkpoint(workspace, tiny_random_checkpoint)
    edit_json(checkpoint / "config.json", id2label={"0": "b", "1": "a"}, label2id={"b": 0, "a": 1})
    download.main()
    tokenize.main()
    assert fail(train.main) == (
        "params.yaml: dataset.labels: models/pretrained/model has these labels in another order: set it to "
        '["b", "a"], and renumber the rows\' labels where they are integers'
    )


@pytest.mark.parametrize(
    ("own", "names", "wanted"),
    [(["NO", "YES"], ["Yes", "no"], ["no", "Yes"]), (["a", "A", "b"], ["A", "a", "B"], ["a", "A", "B"])],
)
def test_a_head_with_the_labels_in_another_order_and_case_is_refused(
    workspace: Workspace, tiny_random_checkpoint: Path, own: list[str], names: list[str], wanted: list[str]
) -> None:
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "config.json", id2label=dict(enumerate(own)))
    download.main()
    with pytest.raises(errors.InputError, match=re.escape(f"in another order: set it to {json.dumps(wanted)}, and")):
        load_pretrained(names)


def test_a_head_with_the_labels_in_another_case_is_kept(workspace: Workspace, tiny_random_checkpoint: Path) -> None:
    labels = {"0": "NO", "1": "YES"}
    edit_json(own_checkpoint(workspace, tiny_random_checkpoint) / "config.json", id2label=labels)
    download.main()
    assert load_pretrained(["no", "Yes"]).config.id2label == {0: "no", 1: "Yes"}

"""A bad params.yaml ends a stage with a line that names the line and the key, and leaves nothing."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from edits import substitute
from own_data import Fail, Workspace, line_of

from stages import audit, download, tokenize, train
from stages.params import load

VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "epochs: yes": ({"train__epochs": True}, "train.epochs: should be a valid integer, is True"),
    "epochs: null": ({"train__epochs": None}, "train.epochs: should be a valid integer, is null"),
    'epochs: "3"': (
        {"train__epochs": "3"}, "train.epochs: should be a valid integer, is '3': take it out of the quotes"
    ),
    'learning_rate: "0.001"': (
        {"train__learning_rate": "0.001"},
        "train.learning_rate: should be a valid number, is '0.001': take it out of the quotes",
    ),
    'header: "false"': (
        {"dataset__header": "false"},
        "dataset.header: should be a valid boolean, is 'false': take it out of the quotes",
    ),
    "labels: [null, a]": (
        {"dataset__labels": [None, "a"]}, "dataset.labels: should be a valid string, is null: put it in quotes"
    ),
    "epochs: 3.0": ({"train__epochs": 3.0}, "train.epochs: should be a valid integer, is 3.0"),
    "epochs: 0": ({"train__epochs": 0}, "train.epochs: should be greater than or equal to 1, is 0"),
    "epochs: 10**400": ({"train__epochs": 10**400}, "train.epochs: should be less than 2147483648, is 1000"),
    "batch_size: -8": ({"train__batch_size": -8}, "train.batch_size: should be greater than or equal to 1, is -8"),
    "learning_rate: fast": (
        {"train__learning_rate": "fast"}, "train.learning_rate: should be a valid number, is 'fast'"
    ),
    "learning_rate: [1]": ({"train__learning_rate": [1]}, "train.learning_rate: should be a valid number, is [1]"),
    "learning_rate: true": ({"train__learning_rate": True}, "train.learning_rate: should be a valid number, is True"),
    "learning_rate: 0": ({"train__learning_rate": 0}, "train.learning_rate: should be greater than 0, is 0"),
    "learning_rate: 3": ({"train__learning_rate": 3}, "train.learning_rate: should be less than or equal to 1, is 3"),
    "learning_rate: .nan": (
        {"train__learning_rate": float("nan")}, "train.learning_rate: should be a finite number, is nan"
    ),
    "learning_rate: nan": ({"train__learning_rate": "nan"}, "train.learning_rate: should be a valid number, is 'nan'"),
    "max_grad_norm: .inf": (
        {"train__max_grad_norm": float("inf")}, "train.max_grad_norm: should be a finite number, is inf"
    ),
    "warmup_ratio: -0.1": (
        {"train__warmup_ratio": -0.1}, "train.warmup_ratio: should be greater than or equal to 0, is -0.1"
    ),
    "weight_decay: -0.1": (
        {"train__weight_decay": -0.1}, "train.weight_decay: should be greater than or equal to 0, is -0.1"
    ),
    "weight_decay: 1": ({"train__weight_decay": 1}, "train.weight_decay: should be less than 1, is 1"),
    "contrastive_weight: 1": (
        {"train__contrastive_weight": 1}, "train.contrastive_weight: should be less than 1, is 1"
    ),
    "contrastive_weight: -0.1": (
        {"train__contrastive_weight": -0.1}, "train.contrastive_weight: should be greater than or equal to 0, is -0.1"
    ),
    "label_smoothing: 1": ({"train__label_smoothing": 1}, "train.label_smoothing: should be less than 1, is 1"),
    "seed: -1": ({"train__seed": -1}, "train.seed: should be greater than or equal to 0, is -1"),
    "seed: 2**32": ({"train__seed": 2**32}, "train.seed: should be less than 4294967296, is 4294967296"),
    "warmup_ratio: 1.0": ({"train__warmup_ratio": 1.0}, "train.warmup_ratio: should be less than 1, is 1.0"),
    "best_metric: F1": (
        {"train__best_metric": "F1"},
        "train.best_metric: should be 'accuracy', 'f1', 'f1_macro' or 'loss', is 'F1'",
    ),
    "early_stopping_patience: never": (
        {"train__early_stopping_patience": "never"},
        "train.early_stopping_patience: should be a valid integer, is 'never'",
    ),
    "max_length: 3": (
        {"tokenize__max_length": 3}, "tokenize.max_length: should be greater than or equal to 4, is 3"
    ),
    "source: file": ({"dataset__source": "file"}, "dataset.source: should be 'files' or 'hub', is 'file'"),
    "header: no, in quotes": ({"dataset__header": "no"}, "dataset.header: should be a valid boolean, is 'no'"),
    "path: nothing": ({"dataset__path": ""}, "dataset.path: should be a path, is ''"),
    "model.path: nothing": ({"model__path": ""}, "model.path: should be a path, is ''"),
    "path: ~": (
        {"dataset__path": "~"}, "dataset.path: should be a path that names the home folder in place of ~, is '~'"
    ),
    "path: with ~": (
        {"dataset__path": "~/own"},
        "dataset.path: should be a path that names the home folder in place of ~, is '~/own'",
    ),
    "model.path: with ~": (
        {"model__path": "~/own"}, "model.path: should be a path that names the home folder in place of ~, is '~/own'"
    ),
    "path: .. in its middle": (
        {"dataset__path": "data/../../own"},
        "dataset.path: should be ../own, without .. in its middle, is 'data/../../own'",
    ),
    "text_column: -1": (
        {"dataset__text_column": -1}, "dataset.text_column: should be a column's name, or its position from 0, is -1"
    ),
    "delimiter: ;;": (
        {"dataset__delimiter": ";;"},
        "dataset.delimiter: should be one character, neither a double quote nor a line end, is ';;'",
    ),
    "delimiter: a quote": (
        {"dataset__delimiter": '"'},
        "dataset.delimiter: should be one character, neither a double quote nor a line end, is '\"'",
    ),
    **{
        f"delimiter: a line end, {end!r}": (
            {"dataset__delimiter": end},
            f"dataset.delimiter: should be one character, neither a double quote nor a line end, is {end!r}",
        )
        for end in ("\n", "\r")
    },
    "labels: a": ({"dataset__labels": "a"}, "dataset.labels: should be a valid list, is 'a'"),
    "labels: a tab": (
        {"dataset__labels": ["a\tb", "c"]}, "dataset.labels: should be names without control characters, is ['a\\tb',"
    ),
    "labels: [a]": ({"dataset__labels": ["a"]}, "dataset.labels: should have at least 2 items, not 1, is ['a']"),
    "labels: [0, a]": (
        {"dataset__labels": [0, "a"]},
        "dataset.labels: should be a valid string, is 0: put it in quotes",
    ),
    "labels: [a, a]": (
        {"dataset__labels": ["a", "a"]},
        "dataset.labels: should be names that all differ, none empty, none with spaces around it, is ['a', 'a']",
    ),
    "labels: two that differ in composition": (
        {"dataset__labels": ["caf\u00e9", "cafe\u0301"]}, "dataset.labels: should be names that all differ",
    ),
    "labels: ['', a]": ({"dataset__labels": ["", "a"]}, "dataset.labels: should be names that all differ, none empty"),
    "labels: [' b', a]": ({"dataset__labels": [" b", "a"]}, "dataset.labels: should be names that all differ"),
    "test_fraction: 0.9": (
        {"dataset__test_fraction": 0.9}, "dataset.test_fraction: should be less than or equal to 0.5, is 0.9"
    ),
    "hub_revision: main": (
        {"dataset__hub_revision": "main"},
        "dataset.hub_revision: should be a commit hash (40 lower-case hexadecimal digits), is 'main'",
    ),
    "weights_sha256: 123": (
        {"model__weights_sha256": "123"},
        "model.weights_sha256: should be a sha256 (64 lower-case hexadecimal digits), is '123'",
    ),
    "package: a name alone": (
        {"model__package": "some-weights"},
        "model.package: should be a package and its version, as name==version, is 'some-weights'",
    ),
    "package: with an option": (
        {"model__package": "some-weights==1.0 --pre"},
        "model.package: should be a package and its version, as name==version, is 'some-weights==1.0 --pre'",
    ),
    "labels: a surrogate": (
        {"dataset__labels": ["\ud800", "a"]}, "dataset.labels: should be names without surrogates"
    ),
    "batch_size: 2**31": ({"train__batch_size": 2**31}, "train.batch_size: should be less than 2147483648"),
    "max_grad_norm: 0": ({"train__max_grad_norm": 0}, "train.max_grad_norm: should be greater than 0, is 0"),
    "label_smoothing: -0.1": (
        {"train__label_smoothing": -0.1}, "train.label_smoothing: should be greater than or equal to 0, is -0.1"
    ),
    "early_stopping_patience: 0": (
        {"train__early_stopping_patience": 0},
        "train.early_stopping_patience: should be greater than or equal to 1, is 0",
    ),
    "dataset.seed: -1": ({"dataset__seed": -1}, "dataset.seed: should be greater than or equal to 0, is -1"),
    "test_fraction: 0": ({"dataset__test_fraction": 0}, "dataset.test_fraction: should be greater than 0, is 0"),
    "delimiter: nothing": (
        {"dataset__delimiter": ""},
        "dataset.delimiter: should be one character, neither a double quote nor a line end, is ''",
    ),
    "max_leaked_rows: -1": (
        {"audit__max_leaked_rows": -1}, "audit.max_leaked_rows: should be greater than or equal to 0, is -1"
    ),
    "max_conflicting_rows: -1": (
        {"audit__max_conflicting_rows": -1}, "audit.max_conflicting_rows: should be greater than or equal to 0, is -1"
    ),
}  # fmt: skip
MAINS = {
    "dataset": download.main,
    "model": download.main,
    "audit": audit.main,
    "tokenize": tokenize.main,
    "train": train.main,
}


@pytest.mark.parametrize(("changes", "message"), VALUES.values(), ids=VALUES)
def test_a_bad_value_is_named_with_its_line_and_key(
    workspace: Workspace, fail: Fail, changes: dict[str, Any], message: str
) -> None:
    workspace(**changes)
    key = message.split(":", maxsplit=1)[0]
    error = fail(MAINS[key.split(".")[0]])
    assert error.splitlines()[0].startswith(f"params.yaml, line {line_of(key)}: {message}")


def test_every_bad_value_of_a_section_is_named(workspace: Workspace, fail: Fail) -> None:
    workspace(train__epochs=0, train__best_metric="F1")
    assert [line.split(": ")[1] for line in fail(train.main).splitlines()] == ["train.epochs", "train.best_metric"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  learning_rate:", "  lr: 1\n  learning_rate:", "train.lr: unknown key, one of epochs, batch_size, lea"),
        ("  epochs: 5", "  epochs: 5\n  7: 5", "train.7: unknown key, one of epochs, batch_size, lea"),
        ("train:\n", "trian: {}\ntrain:\n", "trian: unknown section, did you mean train?"),
        ("  epochs: 5\n", "", "train.epochs: missing: passes over the train split"),
        ("train:\n", "{{x}}: 1\ntrain:\n", "invalid YAML: found unhashable key"),
    ],
    ids=["key of another name", "integer key", "misspelt section", "missing key", "template"],
)
def test_the_keys_are_those_that_are_known(workspace: Workspace, fail: Fail, old: str, new: str, message: str) -> None:
    substitute(workspace(train__epochs=5) / "params.yaml", old, new)
    assert message in fail(train.main)


def test_an_unknown_key_is_named_with_its_line(workspace: Workspace, fail: Fail) -> None:
    substitute(workspace(train__epochs=5) / "params.yaml", "  epochs: 5", "  epoch: 5")
    place = f"params.yaml, line {line_of('train.epoch')}: train.epoch: unknown key, did you mean train.epochs?"
    assert place in fail(train.main).replace("\n       ", "\n").splitlines()


@pytest.mark.parametrize("main", [download.main, tokenize.main, train.main], ids=["download", "tokenize", "train"])
def test_an_unknown_section_stops_every_stage_with_params(
    workspace: Workspace, fail: Fail, main: Callable[[], None]
) -> None:
    folder = workspace()
    with (folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("evaluate:\n  batch_size: 1\n")
    said = fail(main)
    assert "evaluate: unknown section, one of dataset, model, audit, tokenize, train is expected (Params of" in said
    assert "which dvc.yaml lists as `params: - own.yaml: [key]`" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"# nothing\n", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"- train\n", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"1: 2\n", "params.yaml: a mapping of sections is expected (dataset, model, audit, tokenize, train)"),
        (b"train: a: b\n", "params.yaml, line 1: invalid YAML: mapping values are not allowed here"),
        (
            b"train:\n\tepochs: 1\n",
            "params.yaml, line 2: invalid YAML: found character '\\t' that cannot start any token",
        ),
        (b"train:\n  seed: 2024-99-99\n", "params.yaml: invalid YAML: ValueError: month must be in 1..12"),
        (b"train:\n  seed: !!python/name:os.system\n", "params.yaml, line 2: invalid YAML: could not determine"),
        (b'train:\n  seed: "\0"\n', "params.yaml: invalid YAML: ReaderError: unacceptable character #x0000"),
        (b"train:\n  seed: \xe9\n", "params.yaml: byte 15 is not UTF-8: save the file as UTF-8"),
        (b"train:\n", "params.yaml: section train is missing, or has no keys"),
        (b"train: [1]\n", "params.yaml: section train is missing, or has no keys"),
        (b"model: {}\n", "params.yaml: section train is missing, or has no keys"),
    ],
)
def test_an_invalid_params_file_is_named(workspace: Workspace, fail: Fail, content: bytes, message: str) -> None:
    (workspace() / "params.yaml").write_bytes(content)
    error = fail(train.main)
    assert error.startswith(message)
    assert "\n" not in error


def test_a_missing_params_file_is_named(workspace: Workspace, fail: Fail) -> None:
    (workspace() / "params.yaml").unlink()
    assert fail() == "params.yaml does not exist: run `git checkout params.yaml`, at the top of the clone"


def test_params_with_a_byte_order_mark_and_crlf_are_read(workspace: Workspace) -> None:
    file = workspace(train__epochs=5) / "params.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load("train", train.TrainParams).epochs == 5


def test_keys_that_are_merged_from_elsewhere_are_read(workspace: Workspace) -> None:
    file = workspace() / "params.yaml"
    text = file.read_text(encoding="utf-8").replace("train:\n", "train:\n  <<: {epochs: 5, seed: 7}\n")
    file.write_text(re.sub("  seed: 42\n", "", text), encoding="utf-8")
    assert load("train", train.TrainParams).seed == 7


@pytest.mark.parametrize("value", ["2e-5", "3e-05", "0.1", ".5"])
def test_numbers_that_yaml_takes_for_strings_are_read(workspace: Workspace, value: str) -> None:
    workspace(train__learning_rate=yaml.safe_load(value))
    assert load("train", train.TrainParams).learning_rate == float(value)


@pytest.mark.parametrize(("line", "name"), [("  epochs: 5\n", "train.epochs"), ("train: {}\n", "train")])
def test_a_key_that_is_set_twice_is_named_with_both_lines(
    workspace: Workspace, fail: Fail, line: str, name: str
) -> None:
    file = workspace(train__epochs=5) / "params.yaml"
    text = file.read_text(encoding="utf-8") + line
    file.write_text(text, encoding="utf-8")
    first = line_of(name) if "." in name else text.splitlines().index("train:") + 1
    assert fail(train.main) == (
        f"params.yaml, line {len(text.splitlines())}: invalid YAML: {name.partition('.')[2] or name} already set on "
        f"line {first}: remove one"
    )


def test_a_key_that_is_missing_has_the_line_of_its_section(workspace: Workspace, fail: Fail) -> None:
    file = workspace(train__epochs=5) / "params.yaml"
    substitute(file, "  epochs: 5\n", "")
    line = file.read_text(encoding="utf-8").splitlines().index("train:") + 1
    assert fail(train.main).startswith(f"params.yaml, line {line}: train.epochs: missing: ")


def test_a_word_is_not_to_be_taken_out_of_quotes(workspace: Workspace, fail: Fail) -> None:
    workspace(train__epochs="many")
    assert fail(train.main).endswith("train.epochs: should be a valid integer, is 'many'")


def test_a_value_that_is_empty_is_not_to_be_put_in_quotes(workspace: Workspace, fail: Fail) -> None:
    workspace(dataset__path=None)
    assert fail().endswith("dataset.path: should be a valid string, is null")

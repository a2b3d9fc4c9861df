"""params.yaml means to a stage what it means to DVC."""

import math
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.utils.serialize import parse_yaml
from hypothesis import example, given
from hypothesis import strategies as st
from yaml import YAMLError

from stages import yaml12
from stages.errors import InputError
from stages.yaml12 import read

NUMBERS = st.one_of(
    st.from_regex(r"[-+]?[0-9]{0,3}\.?[0-9]{0,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True).filter(
        lambda text: text != "-"
    ),
    st.from_regex(r"[-+]?[0-9][0-9_]{0,3}\.?[0-9_]{0,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"[-+]?0[box][0-9a-fA-F][0-9a-fA-F_]{0,3}", fullmatch=True),
)
WORDS = (
    "no yes on off y n true True TRUE false False FALSE null Null NULL ~",
    ".inf -.inf +.Inf .INF .nan .NaN .NAN",
    "1:30 '1e-4' 010 3e-05 2e-5 -.5e2 .5e+2 ._5 0o17 0x1F -0b11 +1_000",
)


@given(NUMBERS)
@example("1e-4")
def test_a_number_is_what_dvc_takes_it_for(text: str) -> None:
    taken_alike(text)


@pytest.mark.parametrize("texts", WORDS)
def test_a_scalar_is_what_dvc_takes_it_for(texts: str) -> None:
    for text in texts.split():
        taken_alike(text)


def taken_alike(text: str) -> None:
    ours = yaml12.parse(f"key: {text}\n")["key"]
    dvcs = parse_yaml(f"key: {text}\n", "params.yaml")["key"]
    assert type(ours) is type(dvcs), text
    assert ours == dvcs or (math.isnan(ours) and math.isnan(dvcs))


def test_what_is_not_yaml_is_not_yaml_to_dvc_either() -> None:
    with pytest.raises(YAMLError, match="line 1"):
        yaml12.parse("key: [")
    with pytest.raises(DvcException):
        parse_yaml("key: [", "params.yaml")


@pytest.mark.parametrize("text", ["key: 1\nkey: 2\n", "{key: 1, key: 2}", "stage:\n  - md5: 1\n    md5: 2\n"])
def test_a_key_that_is_set_twice_is_refused_as_by_dvc(text: str) -> None:
    with pytest.raises(YAMLError, match=r"already set on line \d: remove one"):
        yaml12.parse(text)
    with pytest.raises(DvcException):
        parse_yaml(text, "params.yaml")


MERGED = "a: &a {x: 1}\nouter: {inner: &b {<<: *a, x: 2}}\nc: {<<: *b}\n"


@pytest.mark.parametrize("text", ["1: a\n'1': b\n", MERGED])
def test_keys_that_only_look_alike_are_not_refused(text: str) -> None:
    assert yaml12.parse(text) == parse_yaml(text, "params.yaml")


def test_of_mappings_that_are_merged_the_same_one_counts_as_in_dvc() -> None:
    text = "a: &a {seed: 1}\nb: &b {seed: 2, epochs: 3}\nc: {<<: [*a, *b]}\n"
    assert yaml12.parse(text) == parse_yaml(text, "params.yaml")


def test_a_directive_by_which_dvc_would_read_other_numbers_is_refused(tmp_path: Path) -> None:
    text = "# mine\n%YAML 1.1\n---\nseed: 010\n"
    assert parse_yaml(text, "params.yaml") == {"seed": 8}
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    said = "by a %YAML directive DVC may read other values than the stages: remove it"
    with pytest.raises(InputError, match=rf"params\.yaml, line 2: invalid YAML: {said}$"):
        read(path)
    with pytest.raises(YAMLError, match=said):  # as of another revision
        yaml12.parse(text)


def test_a_merge_conflict_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> other\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"params\.yaml, line 2: a merge conflict: resolve it, or take one side by "):
        read(path)


def test_a_file_that_is_gone_is_to_be_taken_from_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^dvc\.yaml does not exist: run `git checkout dvc\.yaml`, at the top"):
        read(Path("dvc.yaml"))


def test_marks_of_a_conflict_within_a_line_are_a_value(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: see <<<<<<< HEAD\n", encoding="utf-8")
    assert read(path) == {"a": "see <<<<<<< HEAD"}

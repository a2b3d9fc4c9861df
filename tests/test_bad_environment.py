"""Where a stage stands in the wrong place or lacks something, a line says what and what to do."""

import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from edits import cut, instead, link_to_nowhere
from own_data import Fail, Workspace, own_dataset

from stages import audit, baselines, checkpoints, download, errors, evaluate, requirements, tokenize, train

MEND = "delete it and run `dvc checkout` or `dvc repro`"
DAMAGE = rf": damaged \([^\n]+\): {MEND}"
GONE = " does not exist: run `dvc pull`, or `dvc repro`, which makes it first"
NO_MODEL = r": does not load for sequence classification \([^\n]+`dvc checkout`"


def emptied(path: Path) -> None:
    path.write_bytes(b"")


DAMAGED: dict[str, tuple[Callable[[], None], str, Callable[[Path], Any], str]] = {
    # the stage, what it is to read, the damage, and what is said of it
    "raw table cut short": (tokenize.main, "data/raw/train.parquet", cut, DAMAGE),
    "raw table empty": (audit.main, "data/raw/test.parquet", emptied, DAMAGE),
    "raw table gone": (baselines.main, "data/raw/train.parquet", Path.unlink, GONE),
    "tokenized table cut short": (baselines.main, "data/tokenized/train.parquet", cut, DAMAGE),
    "tokenized table gone": (train.main, "data/tokenized/validation.parquet", Path.unlink, GONE),
    "tokenizer gone": (tokenize.main, "models/pretrained/tokenizer", shutil.rmtree, GONE),
    "tokenizer without its vocabulary": (
        baselines.main, "models/pretrained/tokenizer", lambda path: emptied(path / "tokenizer.json"), DAMAGE
    ),
    "tokenizer emptied, to be saved with the model": (
        train.main, "models/pretrained/tokenizer", lambda path: emptied(path / "tokenizer.json"), DAMAGE
    ),
    "pretrained model gone": (train.main, "models/pretrained/model", shutil.rmtree, GONE),
    "pretrained weights cut short": (
        train.main, "models/pretrained/model", lambda path: cut(path / "model.safetensors"), NO_MODEL
    ),
    "classifier gone": (evaluate.main, "models/classifier", shutil.rmtree, GONE),
    "classifier's weights cut short": (
        evaluate.main, "models/classifier", lambda path: cut(path / "model.safetensors"), DAMAGE
    ),
    "classifier's weights gone": (
        evaluate.main, "models/classifier", lambda path: (path / "model.safetensors").unlink(), DAMAGE
    ),
    "classifier's config emptied": (
        evaluate.main, "models/classifier", lambda path: emptied(path / "config.json"), DAMAGE
    ),
    "findings gone": (evaluate.main, "data/audit/findings.csv", Path.unlink, GONE),
    "findings emptied": (evaluate.main, "data/audit/findings.csv", emptied, DAMAGE),
    "findings of other columns": (
        evaluate.main, "data/audit/findings.csv", lambda path: path.write_text("a,b\n1,2\n"), DAMAGE
    ),
    "findings that are a picture": (
        evaluate.main, "data/audit/findings.csv", lambda path: path.write_bytes(b"\x89PNG\0\xff" * 99), DAMAGE
    ),
}  # fmt: skip


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("case", DAMAGED)
def test_a_stage_says_what_of_its_inputs_is_gone_or_damaged(
    copy: Path, fail: Fail, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    main, name, damage, message = DAMAGED[case]
    monkeypatch.chdir(copy)
    damage(copy / name)
    error = fail(main)
    assert re.fullmatch(re.escape(name) + message, error), error


ENVIRONMENTS: dict[str, tuple[dict[str, str | None], str]] = {
    "checkpoints in a file": ({"RETUNE_CHECKPOINTS": "file"}, "{0}/file: File exists: "),
    "checkpoints below a file": ({"RETUNE_CHECKPOINTS": "file/below"}, "{0}/file/below: Not a directory: "),
    "checkpoints below no folder at all": ({"RETUNE_CHECKPOINTS": "/dev/null/a"}, "/dev/null/a: Not a directory: "),
    "checkpoints where nobody may write": ({"RETUNE_CHECKPOINTS": "/sys"}, "/sys/"),
    "checkpoints under a name too long": ({"RETUNE_CHECKPOINTS": "n" * 300}, "{0}/nnnn"),
    "a cache folder that is a file": (
        {"RETUNE_CHECKPOINTS": None, "XDG_CACHE_HOME": "file"}, "{0}/file/retune/checkpoints: Not a directory: "
    ),
    "a home that is no folder": (
        {"RETUNE_CHECKPOINTS": None, "XDG_CACHE_HOME": None, "HOME": "/dev/null"},
        "/dev/null/.cache/retune/checkpoints: Not a directory: ",
    ),
    "the same, a cache folder without a name": (
        {"RETUNE_CHECKPOINTS": None, "XDG_CACHE_HOME": "", "HOME": "/dev/null"},
        "/dev/null/.cache/retune/checkpoints: Not a directory: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("variables", "message"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_an_unusable_folder_for_checkpoints_is_named(
    workspace: Workspace, fail: Fail, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str | None], message: str
) -> None:
    folder = own_dataset(workspace, {})
    (folder / "file").touch()
    download.main()
    tokenize.main()
    for name, value in variables.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    error = fail(train.main)
    assert error.startswith(message.format(folder))
    assert error.endswith(": make room or check its permissions, or set RETUNE_CHECKPOINTS to another folder")


def test_an_interval_of_checkpoints_that_is_no_number_is_named(
    workspace: Workspace, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_dataset(workspace, {})
    download.main()
    tokenize.main()
    for seconds in ("5m", "nan", "-1"):
        monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", seconds)
        assert fail(train.main) == f"RETUNE_CHECKPOINT_SECONDS: {seconds} is not a number of seconds: set another"


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")  # what pathlib says of a user without an entry


@pytest.mark.parametrize("named", [True, False])
def test_a_home_is_needed_only_where_no_place_for_checkpoints_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, named: bool
) -> None:
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(tmp_path) if named else "")
    refused = pytest.raises(errors.InputError, match=r"home directory\.: set RETUNE_CHECKPOINTS")
    with nullcontext() if named else refused, checkpoints.locked_folder("0" * 32) as folder:
        assert folder.parent == tmp_path


PINS = {
    "another version": ("numpy==1.0.0\n", "requirements.txt: numpy==1.0.0 is pinned but "),
    "not installed": ("no-such-library==1\n", "requirements.txt: no-such-library==1 is not installed: run `make"),
    "another local label": ("torch==2.13.0+none\n", "requirements.txt: torch==2.13.0+none is pinned but 2.13.0"),
    "no version": ("numpy\n", "requirements.txt: numpy: not pinned to one version: write it as name==version"),
    "a range": ("numpy>=2\n", "requirements.txt: numpy>=2: not pinned to one version"),
    "any patch": ("numpy==2.*\n", "requirements.txt: numpy==2.*: not pinned to one version"),
    "a sign in it": ("numpy==2#3\n", "requirements.txt: numpy==2#3: not a requirement ("),
    "no requirement": ("numpy=2\n", "requirements.txt: numpy=2: not a requirement ("),
}


@pytest.mark.parametrize(("content", "message"), PINS.values(), ids=PINS)
def test_libraries_other_than_the_pinned_ones_are_refused(
    workspace: Workspace, fail: Fail, content: str, message: str
) -> None:
    (workspace() / "requirements.txt").write_text(content, encoding="utf-8")
    assert fail().startswith(message)


def test_blank_lines_and_notes_are_no_requirements(workspace: Workspace) -> None:
    (workspace() / "requirements.txt").write_text("# a note\n\n  # another\nnumpy==2  # a third\n", encoding="utf-8")
    assert [str(pin) for pin in requirements.pins()] == ["numpy==2"]


def test_requirements_that_are_not_utf_8_are_named(workspace: Workspace, fail: Fail) -> None:
    (workspace() / "requirements.txt").write_bytes(b"numpy==2\n# caf\xe9\n")
    assert fail() == "requirements.txt: byte 14 is not UTF-8: undo its last edit"


@pytest.mark.parametrize(
    "line", [f"torch=={metadata.version('torch')}", "torch==2.13.0", 'no-such-library==1; sys_platform == "none"']
)
def test_the_installed_version_and_what_no_one_installs_here_may_be_pinned(workspace: Workspace, line: str) -> None:
    (workspace() / "requirements.txt").write_text(f"{line}\n", encoding="utf-8")
    requirements.check_installed()


PLACES: dict[str, tuple[Callable[[], None], Callable[[Path], Any], str]] = {
    "no requirements.txt": (
        download.main, lambda folder: (folder / "requirements.txt").unlink(), "requirements.txt: No such file or"
    ),
    "no dvc.yaml": (train.main, lambda folder: (folder / "dvc.yaml").unlink(), "dvc.yaml does not exist: "),
    "no params.yaml": (train.main, lambda folder: (folder / "params.yaml").unlink(), "params.yaml does not exist: "),
    "params.yaml is a folder": (
        train.main, lambda folder: instead(folder / "params.yaml", Path.mkdir), "params.yaml: Is a directory: "
    ),
    "data is a file": (
        download.main, lambda folder: instead(folder / "data", Path.touch), "data/raw: Not a directory: "
    ),
    "models is a link to nowhere": (
        download.main, lambda folder: instead(folder / "models", link_to_nowhere), "models: File exists: "
    ),
}  # fmt: skip


@pytest.mark.parametrize(("main", "change", "message"), PLACES.values(), ids=PLACES)
def test_a_place_where_no_stage_can_run_is_named(
    workspace: Workspace, fail: Fail, main: Callable[[], None], change: Callable[[Path], Any], message: str
) -> None:
    folder = own_dataset(workspace, {})
    download.main()
    tokenize.main()
    change(folder)
    assert fail(main).startswith(message)


PATHS = ("own\0", "n" * 300, "own/" * 2000, "/dev/null", "own\nown", "\ud800")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["dataset__path", "model__path"])
def test_an_impossible_path_is_named(workspace: Workspace, fail: Fail, key: str, path: str) -> None:
    own_dataset(workspace, {}, **{key: path})
    said = repr(str(Path(path)))[1:-1]  # in characters that a terminal only shows
    assert fail().startswith((f"params.yaml: {key.replace('__', '.')}: {said} ", f"{said}: "))

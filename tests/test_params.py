"""tools.params explains every key, and says what is wrong with params.yaml before a stage runs."""

import shutil
from pathlib import Path

import pytest
from clones import change_params, keep_data_in_dvc
from conftest import Call
from dvc.utils.serialize import dump_yaml, modify_yaml
from edits import substitute
from own_data import Workspace

from stages.errors import InputError
from tools import params
from tools.params import check


def test_data_that_is_not_there_is_named_with_what_brings_it(workspace: Workspace) -> None:
    workspace(dataset__path="own")
    with pytest.raises(InputError, match=r"dataset\.path: own does not exist: put it there, or set the path"):
        check()
    Path("own.dvc").touch()  # as `dvc add` makes it
    with pytest.raises(InputError, match=r"dataset\.path: own does not exist: run `dvc pull`"):
        check()
    check(present=False)


def test_the_keys_are_explained_before_the_data_is_there(workspace: Workspace, call: Call) -> None:
    code, out, err = call(params.main, workspace(dataset__path="data/own"))
    assert code == 1
    assert "train.epochs" in out
    assert err.startswith("error: params.yaml: dataset.path: data/own does not exist: ")


def test_keys_that_are_wrong_are_named_without_an_explanation_of_the_others(workspace: Workspace, call: Call) -> None:
    code, out, err = call(params.main, workspace(train__epochs=0, tokenize__max_length="long"))
    assert (code, out) == (1, "")
    for key in ("tokenize.max_length", "train.epochs"):
        assert f": {key}: should be " in err


@pytest.mark.parametrize("path", ["data", ".", "data/raw/train.parquet", "models/pretrained", "models/classifier/own"])
def test_data_where_a_stage_writes_are_an_error(workspace: Workspace, path: str) -> None:
    (workspace(dataset__path=path) / path).mkdir(parents=True, exist_ok=True)
    for present in (True, False):
        with pytest.raises(
            InputError, match=rf"dataset\.path: {path} overlaps .*, which a stage writes: put your files"
        ):
            check(present=present)


def test_data_where_a_stage_writes_are_an_error_by_an_absolute_path_too(workspace: Workspace, tmp_path: Path) -> None:
    (workspace(dataset__path=str(tmp_path / "data/raw")) / "data/raw").mkdir(parents=True)
    with pytest.raises(InputError, match=r"dataset\.path: .*/data/raw overlaps data/raw/train\.parquet, which a stage"):
        check()


@pytest.mark.parametrize("there", [True, False])
def test_a_checkpoint_where_a_stage_writes_or_nothing_lies_is_an_error(workspace: Workspace, *, there: bool) -> None:
    path = "models/classifier" if there else "models/own"
    (workspace(dataset__path="own", model__path=path) / "own").mkdir()
    (Path(path) if there else Path("models")).mkdir(parents=True)
    said = "overlaps models/classifier, which a stage writes" if there else "does not exist: put it there"
    with pytest.raises(InputError, match=rf"^params\.yaml: model\.path: {path} {said}"):
        check()


def test_data_that_another_stage_writes_are_accepted(workspace: Workspace) -> None:
    folder = workspace(dataset__path="data/own")
    (folder / "data/own").mkdir(parents=True)
    prepare = "stages:\n  prepare:\n    cmd: echo\n    outs:\n      - data/own\n"
    substitute(folder / "dvc.yaml", "stages:\n", prepare)
    check()


def test_data_that_stages_of_ones_own_have_yet_to_make_may_be_missing(inside: Path) -> None:
    prepare = {"wdir": "prepare", "cmd": "echo", "outs": ["rows"]}
    each = {"foreach": ["train", "test"], "do": {"cmd": "echo", "outs": ["data/made/${item}.csv"]}}
    (inside / "prepare").mkdir()
    dump_yaml(inside / "prepare/dvc.yaml", {"stages": {"other": {"cmd": "echo", "outs": ["others"]}}})
    with modify_yaml("dvc.yaml") as definition:
        definition["stages"] |= {"prepare": prepare, "make": each}
    for path in ("prepare/rows", "prepare/others", "data/made"):
        change_params(inside, dataset__path=path)
        check()
    change_params(inside, dataset__path="prepare/nothing")
    with pytest.raises(InputError, match=r"dataset\.path: prepare/nothing does not exist: put it there"):
        check()


@pytest.mark.parametrize("content", ["stages:\n", "", "- a\n", "plots: []\n"])
def test_a_pipeline_without_stages_is_told(workspace: Workspace, content: str) -> None:
    (workspace() / "dvc.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"^dvc\.yaml: it has no stages: undo its last edit$"):
        check()


def test_the_problems_of_every_section_are_named_each_once(workspace: Workspace) -> None:
    folder = workspace(train__epochs=0, tokenize__max_length=3)
    with (folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("evaluate: {}\n")
    with pytest.raises(InputError) as error:
        check(present=False)
    assert [problem.split(": ")[1] for problem in error.value.problems] == [
        "evaluate",
        "tokenize.max_length",
        "train.epochs",
    ]


def test_data_that_dvc_keeps_are_to_be_pulled_however_the_path_ends(workspace: Workspace) -> None:
    (workspace(dataset__path="own/") / "own.dvc").touch()
    with pytest.raises(InputError, match=r"dataset\.path: own/ does not exist: run `dvc pull`$"):
        check()


def test_data_within_a_folder_that_dvc_keeps_are_to_be_pulled(workspace: Workspace) -> None:
    (workspace(dataset__path="own/fraud/all.jsonl") / "own.dvc").touch()
    with pytest.raises(InputError, match=r"dataset\.path: own/fraud/all\.jsonl does not exist: run `dvc pull`$"):
        check()


def test_data_that_dvc_keeps_are_none_that_a_stage_has_yet_to_make(inside: Path) -> None:
    keep_data_in_dvc(inside)
    shutil.rmtree("data/kept")
    with pytest.raises(InputError, match=r"dataset\.path: data/kept does not exist: run `dvc pull`$"):
        check()


@pytest.mark.parametrize("width", ["60", "200"])
def test_values_are_shown_whole_and_as_they_are(
    workspace: Workspace, call: Call, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    labels, digest = ["[b]", ":joy:", "\u00e9"], "0123456789abcdef" * 4
    _, out, _ = call(params.main, workspace(dataset__labels=labels, model__weights_sha256=digest))
    assert f'model.weights_sha256: "{digest}"\n' in out
    assert 'dataset.labels: ["[b]", ":joy:", "\u00e9"]\n' in out

"""What a stage reads, imports and writes is what dvc.yaml lists for it: anything else is an error."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from clones import TREE, run, stages_run
from conftest import Verify
from dvc.utils.serialize import modify_yaml
from edits import substitute
from own_data import Fail, Workspace

from stages import download, dvcfile, paths, provenance
from stages.errors import InputError

AsStage = Callable[..., None]
Failing = Callable[[str], str]


@pytest.fixture
def as_stage(monkeypatch: pytest.MonkeyPatch) -> AsStage:
    """Have this process take itself for that of a stage, with a definition of its own or the one in dvc.yaml."""

    def take(stage: str, **definition: list[str]) -> None:
        monkeypatch.setattr(dvcfile, "_own", lambda: (stage, definition or dvcfile.read(stage)))

    return take


@pytest.fixture
def failing(entered: Path, fail: Fail, as_stage: AsStage, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """What a stage says that fails in the copy, run in this process."""

    def said(stage: str) -> str:
        monkeypatch.chdir(entered)  # `fail` has gone to its own folder
        as_stage(stage)
        return fail(import_module(f"stages.{stage}").main)

    return said


@pytest.mark.parametrize("loaded", ["at once", "at the end"])
def test_each_module_that_a_stage_imports_and_dvc_yaml_does_not_list_is_an_error(copy: Path, loaded: str) -> None:
    for name in ("extra", "more"):
        (copy / f"stages/{name}.py").write_text("FACTOR = 0.5\n", encoding="utf-8")
    place = "import json\n" if loaded == "at once" else "        check_limits(params, found)\n"
    indent = " " * (len(place) - len(place.lstrip()))
    substitute(copy / "stages/audit.py", place, f"{place}{indent}from stages import more, extra\n")
    done = run("dvc", "repro", "audit", cwd=copy, check=False)
    assert done.returncode
    said = (
        "error: dvc.yaml: audit: deps: stages/extra.py: this stage imports it: list it there\n"
        "       dvc.yaml: audit: deps: stages/more.py: this stage imports it: list it there\n"
    )
    assert said in done.stdout + done.stderr
    assert not list(copy.rglob(".*.partial"))


@pytest.mark.parametrize("prefix", ["prefix", "base_prefix"])
def test_the_modules_of_an_environment_or_a_python_in_the_clone_are_no_deps(
    workspace: Workspace, as_stage: AsStage, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    environment = workspace() / ".venv"
    as_stage("audit")
    monkeypatch.setattr(sys, prefix, str(environment))
    monkeypatch.setitem(sys.modules, "library", SimpleNamespace(__file__=str(environment / "lib/library.py")))
    dvcfile.check_imports()


@pytest.mark.parametrize(
    ("stage", "read"), [("audit", "data/raw/train.parquet"), ("train", "models/pretrained/tokenizer")]
)
def test_a_result_that_a_stage_reads_and_dvc_yaml_does_not_list_is_an_error(
    entered: Path, failing: Failing, monkeypatch: pytest.MonkeyPatch, stage: str, read: str
) -> None:
    monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("it is said before any training"))
    with modify_yaml(entered / "dvc.yaml") as definition:
        definition["stages"][stage]["deps"].remove(read)
    assert failing(stage) == f"dvc.yaml: {stage}: deps: {read}: this stage reads it: list it there"


@pytest.mark.parametrize("dep", ["${dataset.path}", "${model.path}"])
@pytest.mark.parametrize("left", [[], ["config.json"]], ids=["nothing", "a file"])
def test_data_or_a_checkpoint_that_dvc_yaml_does_not_list_whole_is_an_error(
    workspace: Workspace, as_stage: AsStage, dep: str, left: list[str]
) -> None:
    folder = workspace(dataset__path=str(TREE / "data/sample"))
    with modify_yaml(folder / "dvc.yaml") as definition:
        deps = definition["stages"]["download"]["deps"]
        deps.remove(dep)
        deps += [f"{dep}/{name}" for name in left]
    as_stage("download")
    read = re.escape(dvcfile.resolved(dep, yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))))
    with pytest.raises(InputError, match=f"^dvc.yaml: download: deps: {read}: this stage reads it: list it there$"):
        download.main()


def test_a_param_that_a_stage_reads_and_dvc_yaml_does_not_list_any_more_is_an_error(
    entered: Path, failing: Failing
) -> None:
    with modify_yaml(entered / "dvc.yaml") as definition:
        definition["stages"]["audit"]["params"].remove("audit.max_leaked_rows")
    assert failing("audit") == "dvc.yaml: audit: params: audit.max_leaked_rows: this stage reads it: list it there"


def test_a_new_param_that_dvc_yaml_does_not_list_is_an_error(copy: Path) -> None:
    substitute(copy / "stages/audit.py", "    max_leaked_rows:", "    most: int\n    max_leaked_rows:")
    substitute(copy / "params.yaml", "audit:\n", "audit:\n  most: 1\n")
    done = run("dvc", "repro", "--force", "--single-item", "audit", cwd=copy, check=False)
    said = "error: dvc.yaml: audit: params: audit.most: this stage reads it: list it there\n"
    assert said in done.stdout + done.stderr


def test_a_stage_may_list_its_params_by_their_section(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["audit"]["params"] = ["audit"]
    run("dvc", "repro", "audit", cwd=copy)
    assert verify(copy) == ""


@pytest.mark.parametrize(
    ("change", "path", "what"),
    [
        (list.append, "data/more.csv", "the stage does not write it: remove it there"),
        (list.remove, paths.FINDINGS, "the stage writes it: list it there"),
    ],
    ids=["listed and not written", "written and not listed"],
)
def test_the_outs_that_dvc_yaml_lists_are_those_that_the_stage_writes(
    entered: Path, failing: Failing, change: Callable[[list[str], str], None], path: str, what: str
) -> None:
    with modify_yaml(entered / "dvc.yaml") as definition:
        change(definition["stages"]["audit"]["outs"], path)
    assert failing("audit") == f"dvc.yaml: audit: outs: {path}: {what}"


def test_a_stage_of_ones_own_may_list_its_modules_by_their_folder_to_which_no_process_adds(copy: Path) -> None:
    mine = "from stages import entry, provenance\nfrom stages.outputs import staged\n\n\ndef main() -> None:\n"
    mine += '    with staged(provenance.inputs("mine"), "data/mine.txt") as (file,):\n        file.touch()\n\n\n'
    (copy / "stages/mine.py").write_text(f"{mine}entry.run(main)\n", encoding="utf-8")
    outs = ["data/mine.txt", "data/provenance/mine.json"]
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["mine"] = {"cmd": "python -m stages.mine", "deps": ["stages"], "outs": outs}
    run("dvc", "repro", "mine", cwd=copy)
    assert (copy / "data/mine.txt").exists()
    run("python", "-m", "stages.train", "--help", cwd=copy, env={"PYTHONDONTWRITEBYTECODE": ""})
    assert stages_run(copy, "mine") == []


def test_a_module_that_is_hidden_in_a_folder_that_dvc_yaml_lists_is_an_error(
    workspace: Workspace, as_stage: AsStage
) -> None:
    folder = workspace()
    (folder / "own").mkdir()
    (folder / "own/mine.py").touch()
    as_stage("mine", deps=["own"])
    dvcfile.check_deps([Path("own/mine.py")], "imports")
    (folder / ".dvcignore").write_text("mine.py\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^own/mine\.py: hidden from DVC, by a pattern in \.dvcignore"):
        dvcfile.check_deps([Path("own/mine.py")], "imports")


def test_data_behind_a_link_in_a_folder_that_dvc_yaml_lists_are_an_error(
    workspace: Workspace, as_stage: AsStage
) -> None:
    folder = workspace()
    for name in ("all", "elsewhere"):
        (folder / name).mkdir()
    (folder / "elsewhere/train.csv").touch()
    (folder / "all/link").symlink_to("../elsewhere")
    as_stage("mine", deps=["all"])
    with pytest.raises(InputError, match=r"^all/link/train\.csv: hidden from DVC, .* or a link in its path, "):
        dvcfile.check_deps([Path("all/link")], "reads")


OTHERS = ["${more}", "${more.file}", "data/${more.file.name}", "${dataset}", "${dataset[path]}", "${dataset.labels[0]}"]


@pytest.mark.parametrize("dep", OTHERS)
def test_a_dep_that_is_not_of_a_section_and_key_of_params_yaml_is_an_error(workspace: Workspace, dep: str) -> None:
    with modify_yaml(workspace() / "dvc.yaml") as definition:
        definition["stages"]["evaluate"]["deps"].append(dep)
    place = re.escape(dep[dep.index("$") :])
    said = (
        rf"^dvc\.yaml: evaluate: deps: {place} is not a section\.key of params\.yaml: write it so, write the path out, "
        r"or put that section into params\.yaml$"
    )
    with pytest.raises(InputError, match=said):
        provenance.inputs("evaluate")


@pytest.mark.parametrize(
    "definition",
    [None, {"stages": None}, {"stages": {"test": {}}}, {"stages": {"evaluate": {"foreach": ["test"], "do": {}}}}],
    ids=["empty", "without stages", "renamed", "foreach"],
)
def test_a_stage_that_dvc_yaml_does_not_have_is_an_error(workspace: Workspace, definition: Any) -> None:
    (workspace() / "dvc.yaml").write_text(yaml.safe_dump(definition), encoding="utf-8")
    said = r"^dvc\.yaml: it has no stage evaluate with a list of deps: undo its last edit$"
    with pytest.raises(InputError, match=said):
        provenance.inputs("evaluate")


@pytest.mark.parametrize("values", [None, [], {"tokenize": 5}])
def test_what_is_no_mapping_lacks_a_param(values: Any) -> None:
    with pytest.raises(KeyError):
        dvcfile.value_of(values, "tokenize.max_length")

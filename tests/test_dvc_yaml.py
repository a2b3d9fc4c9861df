"""dvc.yaml names every input of a stage, and nothing else: held against the code by reading it, and by running it."""

import ast
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from clones import STAGES as SHIPPED
from clones import TREE
from digests import digests
from dvc.utils.serialize import modify_yaml

from tools.params import CLASSES

DEFINED: dict[str, dict[str, Any]] = yaml.safe_load((TREE / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = {name: DEFINED[name] for name in SHIPPED}  # a clone may have more of its own
SECTIONS = {"download": ("dataset", "model"), "audit": ("audit",), "tokenize": ("tokenize",), "train": ("train",)}
RECIPES = [*sorted((TREE / "recipes").glob("*.yaml")), TREE / "params.yaml"]


def imported_modules(module: Path) -> set[Path]:
    """The project modules that a module imports, within functions too, but not those for type checking only."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    files = {TREE / (name.replace(".", "/") + ".py") for name in names if name.startswith(("stages", "tools"))}
    return {file for file in files if file.is_file()}


def closure(module: Path) -> set[str]:
    """A module and all project modules behind it, as paths in the tree."""
    found, waiting = set(), {module}
    while waiting:
        found.add(one := waiting.pop())
        waiting |= imported_modules(one) - found
    return {file.relative_to(TREE).as_posix() for file in found}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_modules_it_imports_and_no_others(stage: str) -> None:
    listed = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert listed == closure(TREE / f"stages/{stage}.py") | {"stages/__init__.py"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_pinned_libraries(stage: str) -> None:
    assert "requirements.txt" in STAGES[stage]["deps"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_tracks_the_keys_of_its_params_classes_and_no_others(stage: str) -> None:
    keys = [f"{section}.{key}" for section in SECTIONS.get(stage, ()) for key in CLASSES[section].model_fields]
    assert STAGES[stage].get("params", []) == keys


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_gives_the_same_bytes_where_it_finds_its_deps_alone(pipeline: Path, entered: Path, stage: str) -> None:
    lock = yaml.safe_load((entered / "dvc.lock").read_text(encoding="utf-8"))
    deps = [entered / dep["path"] for dep in lock["stages"][stage]["deps"]]
    for file in [file for folder in ("data", "models", "metrics") for file in (entered / folder).rglob("*")]:
        if file.is_file() and not any(file.is_relative_to(dep) for dep in deps):
            file.unlink()
    import_module(f"stages.{stage}").main()
    assert digests(entered, stage) == digests(pipeline, stage)


def test_an_edit_by_dvc_leaves_the_other_lines_as_they_are(tmp_path: Path) -> None:
    copied = tmp_path / "dvc.yaml"
    shutil.copy(TREE / "dvc.yaml", copied)
    with modify_yaml(copied):  # as `dvc stage add` and `dvc freeze` do
        pass
    assert copied.read_bytes() == (TREE / "dvc.yaml").read_bytes()


@pytest.mark.parametrize("stage", STAGES)
def test_no_command_says_anything_of_the_machine(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"exec python -m stages.{stage}"


@pytest.mark.parametrize("name", CLASSES)
def test_every_param_is_described_and_none_has_a_default_in_code(name: str) -> None:
    for key, field in CLASSES[name].model_fields.items():
        assert field.description, key
        assert field.is_required(), key


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_carries_every_key_and_is_read(recipe: Path) -> None:
    from stages.params import load

    document = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    assert {section: list(keys) for section, keys in document.items()} == {
        section: list(params.model_fields) for section, params in CLASSES.items()
    }
    for section, params in CLASSES.items():
        load(section, params, recipe)

"""A stage's definition in dvc.yaml: what it reads and writes; and whether that is what its process does."""

import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from stages import hashing, yaml12
from stages.errors import InputError, listed

WRITTEN = ("outs", "metrics", "plots")


def read(stage: str) -> dict[str, Any]:
    """The definition of a stage.

    Raises:
        InputError: dvc.yaml cannot be read, or has no such stage with deps.
    """
    definition = yaml12.read(Path("dvc.yaml"))
    for key in ("stages", stage):
        definition = definition.get(key) if isinstance(definition, dict) else None
    if not isinstance(definition, dict) or not isinstance(definition.get("deps"), list):
        raise InputError(f"dvc.yaml: it has no stage {stage} with a list of deps: undo its last edit")
    return definition


def declared(definition: dict[str, Any], *kinds: str) -> list[str]:
    """The paths that a definition lists under ``kinds``, such as `WRITTEN`."""
    entries = [entry for kind in kinds for entry in definition.get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def param_keys(stage: str, definition: dict[str, Any]) -> list[str]:
    """The keys of params.yaml that a stage reads, by its definition in dvc.yaml.

    Raises:
        InputError: it reads params of another file, which nothing here would look at, or params.yaml as a whole.
    """
    files = [entry if isinstance(entry, dict) else {"params.yaml": [entry]} for entry in definition.get("params", [])]
    if others := [name for file in files for name in file if name != "params.yaml"]:
        raise InputError(f"dvc.yaml: {stage}: params of {listed(others)}: list such a file under deps")
    if not all(keys for file in files for keys in file.values()):
        raise InputError(f"dvc.yaml: {stage}: params: params.yaml as a whole: list the keys that the stage reads")
    return [key for file in files for keys in file.values() for key in keys]


def resolved(path: str, values: Any) -> str:
    """A path of dvc.yaml, its params filled in, in the spelling of dvc.lock."""

    def value(key: re.Match[str]) -> str:
        with suppress(KeyError):
            return str(value_of(values, key[1]))
        return key[0]

    return spelled(re.sub(r"\$\{(\w+\.\w+)\}", value, path))


def spelled(path: str | Path) -> str:
    """A path in the spelling of dvc.lock: relative to the clone, if it is in it."""
    path = Path(path)
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix()


def value_of(values: Any, key: str) -> Any:
    """The value of section.key, or of a whole section, in params.yaml.

    Raises:
        KeyError: it is missing.
    """
    for name in key.split("."):
        if not isinstance(values, dict):
            raise KeyError(key)
        values = values[name]
    return values


def check_deps(paths: Iterable[Path], how: str) -> None:
    """Check that dvc.yaml lists ``paths`` among the deps of this process's stage, which "reads" or "imports" them.

    Raises:
        InputError: one is not listed, or is hidden from DVC in a folder that is, so that a change of it would rerun
            nothing.
    """
    stage, definition = _own()
    if not stage:
        return
    values = yaml12.read(Path("params.yaml"))
    deps = {Path(resolved(dep, values)) for dep in definition["deps"]}
    unlisted = []
    for path in sorted({Path(spelled(path)) for path in paths}):
        if deps.isdisjoint((path, *path.parents)):
            unlisted.append(path)
        elif path not in deps and path.exists():
            files = hashing.files_in(path) if path.is_dir() else [path]
            hashing.check_not_hidden(next(folder for folder in path.parents if folder in deps), files)
    if unlisted:
        raise InputError(*[f"dvc.yaml: {stage}: deps: {path}: this stage {how} it: list it there" for path in unlisted])


def check_imports() -> None:
    """Check that dvc.yaml lists the clone's modules that this process has imported among the deps of its stage.

    Raises:
        InputError: as `check_deps`.
    """
    here = Path.cwd()
    python = [prefix for prefix in (sys.prefix, sys.base_prefix) if Path(prefix).is_relative_to(here)]
    files = [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    own = [file for file in files if file.is_relative_to(here) and not any(map(file.is_relative_to, python))]
    check_deps(own, "imports")


def check_params(section: str, names: Iterable[str]) -> None:
    """Check that dvc.yaml lists each of ``names``, or their whole section, among the params of this process's stage.

    Raises:
        InputError: one is not listed, so that another value would rerun nothing.
    """
    stage, definition = _own()
    keys = param_keys(stage, definition)
    unlisted = [key for name in names if (key := f"{section}.{name}") not in keys]
    if stage and unlisted and section not in keys:
        raise InputError(*[f"dvc.yaml: {stage}: params: {key}: this stage reads it: list it there" for key in unlisted])


def check_outs(outs: Iterable[str]) -> None:
    """Check that what this process is about to write is what dvc.yaml lists as its stage's outs.

    Raises:
        InputError: they differ.
    """
    stage, definition = _own()
    written, known = set(outs), set(declared(definition, *WRITTEN))
    problems = [f"{out}: the stage writes it: list it there" for out in sorted(written - known)]
    problems += [f"{out}: the stage does not write it: remove it there" for out in sorted(known - written)]
    if stage and problems:
        raise InputError(*[f"dvc.yaml: {stage}: outs: {problem}" for problem in problems])


@cache
def _own() -> tuple[str, dict[str, Any]]:
    """The stage that this process is, as ``python -m stages.STAGE``, and its definition; in any other, both empty."""
    main = sys.modules["__main__"].__spec__
    package, _, stage = (main.name if main else "").partition(".")
    if package == "stages":
        with suppress(InputError):  # a script of the user's own that is no stage
            return stage, read(stage)
    return "", {}

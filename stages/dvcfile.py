"""A stage's definition in dvc.yaml: what it reads and writes; and whether that is what its process does."""

import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages import documents
from stages.errors import READ, InputError, listed

WRITTEN = ("outs", "metrics", "plots")
PARAMS_READ: set[str] = set()  # the keys of params.yaml that this process has read


def read(stage: str) -> dict[str, Any]:
    """The definition of a stage.

    Raises:
        InputError: dvc.yaml cannot be read, or has no such stage with deps.
    """
    definition = documents.read(Path("dvc.yaml"))
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
        InputError: it reads params of another file, which nothing here would look at.
    """
    entries = definition.get("params", [])
    if others := [name for entry in entries if isinstance(entry, dict) for name in entry]:
        raise InputError(f"dvc.yaml: {stage}: params of {listed(others)}: list such a file under deps")
    return list(entries)


def resolved(path: str, values: Any) -> str:
    """A path of dvc.yaml, its params filled in, in the spelling of dvc.lock."""

    def value(key: re.Match[str]) -> str:
        with suppress(KeyError):
            return str(value_of(values, key[1]))
        return key[0]

    filled = Path(re.sub(r"\$\{(\w+\.\w+)\}", value, path))
    return (filled.relative_to(Path.cwd()) if filled.is_relative_to(Path.cwd()) else filled).as_posix()


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


def check_deps(stage: str, deps: Iterable[str]) -> None:
    """Compare a stage's deps with what this process, if it is the stage's own, has read and imported of the clone.

    Raises:
        InputError: a result of another stage or a module is not among the deps, so that a change would rerun nothing.
    """
    if not _runs(stage):
        return
    listed_there, here = {Path(dep) for dep in deps}, Path.cwd()
    python = [prefix for prefix in (sys.prefix, sys.base_prefix) if Path(prefix).is_relative_to(here)]
    files = [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    modules = [
        file.relative_to(here)
        for file in files
        if file.is_relative_to(here) and not any(map(file.is_relative_to, python))
    ]
    for path, how in [(Path(path), "reads") for path in sorted(READ)] + [(path, "imports") for path in modules]:
        if listed_there.isdisjoint((path, *path.parents)):
            raise InputError(f"dvc.yaml: {stage}: deps: {path}: this stage {how} it: list it there")


def check_params(stage: str, keys: Iterable[str]) -> None:
    """Compare the keys of a stage's params, or sections, with those that this process, if it is its own, has read.

    Raises:
        InputError: a key is not among them, so that another value would rerun nothing.
    """
    if not _runs(stage):
        return
    listed_there = set(keys)
    for key in sorted(PARAMS_READ):
        if listed_there.isdisjoint((key, key.partition(".")[0])):
            raise InputError(f"dvc.yaml: {stage}: params: {key}: this stage reads it: list it there")


def check_outs(stage: str, outs: Iterable[str]) -> None:
    """Compare a stage's outs with what this process is about to write, if it is the stage's own.

    Raises:
        InputError: they differ.
    """
    if _runs(stage) and (others := set(outs).symmetric_difference(declared(read(stage), *WRITTEN))):
        raise InputError(
            f"dvc.yaml: {stage}: outs: {listed(sorted(others))}: the stage must write it and dvc.yaml list it, or "
            "neither"
        )


def _runs(stage: str) -> bool:
    """Whether this process is ``python -m stages.STAGE``: a test or a tool has loaded other modules, too."""
    main = sys.modules["__main__"].__spec__
    return main is not None and main.name == f"stages.{stage}"

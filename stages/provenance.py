"""What a result was made from: its stage's params, and the hashes of inputs and outputs, in the terms of dvc.lock."""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages import documents
from stages.errors import InputError, listed

Stamp = dict[str, Any]


def inputs(stage: str) -> Stamp:
    """The stage, the MD5 of each file or folder among its deps in dvc.yaml, and the values of its params.

    What does not exist is left out: whoever reads it says so.

    Raises:
        InputError: dvc.yaml or params.yaml cannot be read, or a dep is spelled by something else than params.yaml.
    """
    definition = documents.read(Path("dvc.yaml"))["stages"][stage]
    values = documents.read(Path("params.yaml"))
    deps = [resolved(dep, values) for dep in definition["deps"]]
    known = values if isinstance(values, dict) else {}
    for place in (place for dep in deps for place in re.findall(r"\$\{(\w*)", dep)):
        if place not in known:  # one of `vars`, whose values this does not know
            raise InputError(f"dvc.yaml: {stage}: deps: ${{{place}...}} is not of params.yaml: write the path out")
    params = {}
    for key in param_keys(stage, definition):
        with suppress(KeyError):
            params[key] = value_of(values, key)
    return {"stage": stage, "deps": {dep: md5(Path(dep)) for dep in deps if Path(dep).exists()}, "params": params}


def param_keys(stage: str, definition: dict[str, Any]) -> list[str]:
    """The keys of params.yaml that a stage reads, by its definition in dvc.yaml.

    Raises:
        InputError: it reads params of another file, which nothing here would look at.
    """
    entries = definition.get("params", [])
    if others := [name for entry in entries if isinstance(entry, dict) for name in entry]:
        raise InputError(f"dvc.yaml: {stage}: params of {listed(others)}: list such a file under deps")
    return list(entries)


def check_unchanged(stamp: Stamp) -> None:
    """Compare a stage's inputs with what they were when it began.

    Raises:
        InputError: one was edited in the meantime. DVC hashes them when a stage ends, and would record the edit as
            what was run.
    """
    now = inputs(stamp["stage"])
    changed = [
        name
        for kind in ("deps", "params")
        for name in sorted(stamp[kind].keys() | now[kind].keys())
        if stamp[kind].get(name) != now[kind].get(name)
    ]
    if changed:
        raise InputError(f"{listed(changed)}: edited while {stamp['stage']} ran, nothing is written: run again")


def check_definition(stamp: Stamp, outs: Iterable[str]) -> None:
    """Compare a stage in dvc.yaml with the modules of the clone that its process has loaded, and with what it writes.

    Raises:
        InputError: a module is not among its deps, so that edits of it would rerun nothing, or its outs are others.
    """
    stage, main = stamp["stage"], sys.modules["__main__"].__spec__
    if main is None or main.name != f"stages.{stage}":  # a test or a tool has loaded other modules, too
        return
    deps, here = {Path(dep) for dep in stamp["deps"]}, Path.cwd()
    python = [prefix for prefix in (sys.prefix, sys.base_prefix) if Path(prefix).is_relative_to(here)]
    for file in [getattr(module, "__file__", None) for module in list(sys.modules.values())]:
        if file and Path(file).is_relative_to(here) and not any(map(Path(file).is_relative_to, python)):
            path = Path(file).relative_to(here)
            if deps.isdisjoint((path, *path.parents)):
                raise InputError(f"dvc.yaml: {stage}: deps: {path}: this stage imports it: list it there")
    definition = documents.read(Path("dvc.yaml"))["stages"][stage]
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in definition.get(kind, [])]
    declared = {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}
    if others := declared.symmetric_difference(outs):
        raise InputError(f"dvc.yaml: {stage}: outs: {listed(sorted(others))}: has to be written and listed, or neither")


def text(stamp: Stamp) -> str:
    """A stamp as it is written: the same bytes from the same inputs."""
    return json.dumps(stamp, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def fingerprint(stamp: Stamp) -> str:
    """The MD5 of a stamp as it is written, in hexadecimal: that of data/provenance/STAGE.json."""
    return md5_of(text(stamp).encode())


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


def md5(path: Path) -> str:
    """The MD5 of a file, in hexadecimal, or what DVC makes of a folder's files: that of their list, and ``.dir``."""
    if path.is_dir():
        return md5_of_folder({file.relative_to(path).as_posix(): md5(file) for file in files_in(path)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_folder(files: dict[str, str]) -> str:
    """The MD5 of a folder as in dvc.lock, from the MD5 of each of its files by its path in the folder."""
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return f"{md5_of(json.dumps(listing, sort_keys=True).encode())}.dir"


def files_in(folder: Path) -> Iterator[Path]:
    """The files whose hashes make up a folder's in dvc.lock: all but those that are hidden from DVC."""
    from dvc.fs import localfs  # a fifth of a second
    from dvc.ignore import DvcIgnoreFilter

    return map(Path, DvcIgnoreFilter(localfs, str(Path.cwd())).find(localfs, str(folder)))


def check_hashed(folder: Path, files: Iterable[Path]) -> None:
    """Compare what a stage reads of a folder with what DVC hashes of it.

    Raises:
        InputError: a file is hidden from DVC, which would miss its edits.
    """
    if hidden := set(files).difference(files_in(folder)):
        raise InputError(
            f"{min(hidden)}: hidden from DVC, by a pattern in .dvcignore or a .dvc folder beside it, so that no edit "
            "would rerun anything: remove what hides it"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(content: bytes) -> str:
    """The MD5 of bytes, in hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

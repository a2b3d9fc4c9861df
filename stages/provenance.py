"""What a result was made from: the hash of every input of its stage, and its params, in the terms of dvc.lock."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from stages import documents
from stages.errors import InputError, listed

NOT_DVC_S = {".git", ".hg", ".dvc"}  # what DVC leaves out of a folder, besides what .dvcignore names

Stamp = dict[str, Any]


def inputs(stage: str) -> Stamp:
    """The stage, the MD5 of each file or folder among its deps in dvc.yaml, and the values of its params.

    What does not exist is left out: whoever reads it says so.
    """
    definition = documents.parse(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    values = documents.parse(Path("params.yaml").read_text(encoding="utf-8"))
    deps = [resolved(dep, values) for dep in definition["deps"]]
    keys = definition.get("params", [])
    return {
        "stage": stage,
        "deps": {dep: md5(Path(dep)) for dep in deps if Path(dep).exists()},
        "params": {key: value_of(values, key) for key in keys},
    }


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


def text(stamp: Stamp) -> str:
    """A stamp as it is written: the same bytes from the same inputs."""
    return json.dumps(stamp, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def fingerprint(stamp: Stamp) -> str:
    """One hash of a stamp, in hexadecimal."""
    return hashlib.sha256(text(stamp).encode()).hexdigest()[:32]


def resolved(path: str, values: dict[str, Any]) -> str:
    """A path of dvc.yaml or dvc.lock, its params filled in and one spelling for all that lead to the same place."""
    filled = Path(re.sub(r"\$\{(\w+\.\w+)\}", lambda key: str(value_of(values, key[1])), path))
    return (filled.relative_to(Path.cwd()) if filled.is_relative_to(Path.cwd()) else filled).as_posix()


def value_of(values: dict[str, Any], key: str) -> Any:
    """The value of section.key in params.yaml.

    Raises:
        InputError: it is missing.
    """
    section, name = key.split(".")
    try:
        return values[section][name]
    except (KeyError, TypeError):
        raise InputError(f"params.yaml: {key} is missing: undo its last edit") from None


def md5(path: Path) -> str:
    """The MD5 of a file, in hexadecimal, or what DVC makes of a folder's files: that of their list, and ``.dir``."""
    if path.is_dir():
        files = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
        return md5_of_files({name.as_posix(): md5(files[name]) for name in files if _is_dvc_s(name)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _is_dvc_s(name: Path) -> bool:
    return NOT_DVC_S.isdisjoint(name.parts) and not any(re.fullmatch(r"\..*\.partial", part) for part in name.parts)


def md5_of_files(files: dict[str, str]) -> str:
    """The hash of a folder whose files have these names and MD5s."""
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files, key=lambda name: name.split("/"))]
    return f"{md5_of(json.dumps(listing, sort_keys=True).encode())}.dir"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(content: bytes) -> str:
    """The MD5 of bytes, in hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

"""What a result was made from: the hash of every file among a stage's inputs, and its params."""

import hashlib
import json
from pathlib import Path
from typing import Any

from stages import documents, errors


def inputs(stage: str) -> dict[str, Any]:
    """The MD5 (what dvc.lock holds) of every file among the stage's deps in dvc.yaml, and the values of its params."""
    definition = documents.parse(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    values = documents.parse(Path("params.yaml").read_text(encoding="utf-8"))
    files = [file for dep in definition["deps"] for file in _files(Path(dep))]
    keys = [key.split(".") for key in definition.get("params", [])]
    return {
        "deps": {file.as_posix(): md5(file) for file in files},
        "params": {".".join(key): values[key[0]][key[1]] for key in keys},
    }


def fingerprint(given: dict[str, Any]) -> str:
    """One hash of what ``inputs`` gives, in hexadecimal."""
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:32]


def md5(path: Path) -> str:
    """The MD5 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(content: bytes) -> str:
    """The MD5 of bytes, in hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _files(path: Path) -> list[Path]:
    errors.require(path.as_posix())
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]

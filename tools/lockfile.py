"""dvc.lock by itself, without any data and without the libraries that compute: is it whole, does it fit together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from stages import paths, provenance

PATH = Path("dvc.lock")
Stages = dict[str, Any]  # of dvc.lock, by name


def whole(lock: object) -> bool:
    """Whether this is what DVC writes into dvc.lock: cut short, that may be YAML still."""
    try:
        stages = COMPILED_LOCKFILE_SCHEMA(lock).get("stages", {})
    except Invalid:
        return False
    files = [file for stage in stages.values() for kind in ("deps", "outs") for file in stage.get(kind, [])]
    return all(file.keys() & {"md5", "checksum", "etag", "hash", "files"} for file in files)


def files(locked: dict[str, Any], kind: str) -> dict[str, str]:
    """The MD5 of each file and folder among a stage's ``deps`` or ``outs``, those aside that a remote hashes."""
    return {provenance.resolved(file["path"], {}): file["md5"] for file in locked.get(kind, []) if "md5" in file}


def params(locked: dict[str, Any]) -> dict[str, Any]:
    """The params of params.yaml that a stage ran with."""
    return dict(locked.get("params", {}).get("params.yaml", {}))


def mixed(stages: Stages) -> list[str]:
    """The stages whose inputs and outputs are not of one run, as a merge of two dvc.lock may leave them.

    A stage's inputs are among its outputs, in a file that has the hash in dvc.lock only if it says what dvc.lock says.
    """
    found = []
    for stage, locked in stages.items():
        stamp = {"stage": stage, "deps": files(locked, "deps"), "params": params(locked)}
        expected = provenance.md5_of(provenance.text(stamp).encode())
        if files(locked, "outs").get(paths.provenance(stage), expected) != expected:
            found.append(stage)
    return found


def against_itself(stages: Stages) -> Iterator[str]:
    """A line for each stage whose outputs were made from other inputs, or that read another file than was made."""
    for stage in mixed(stages):
        yield f"dvc.lock: {stage}: its outputs were made from other inputs, as after a merge: run `make repro`"
    made = {path: (stage, digest) for stage, locked in stages.items() for path, digest in files(locked, "outs").items()}
    for stage, locked in stages.items():
        for path, digest in files(locked, "deps").items():
            maker, written = made.get(path, (None, digest))
            if written != digest:
                yield f"dvc.lock: {stage} did not read the {path} that {maker} wrote: run `dvc repro`"

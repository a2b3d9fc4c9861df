"""dvc.lock, parsed by DVC's schema; and whether it agrees with itself."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from stages import hashing, paths, provenance, yaml12
from stages.errors import InputError, reason
from tools.pipeline import STAGES, Stages

PATH = Path("dvc.lock")


def parse(content: bytes) -> Stages:
    """The stages in the content of dvc.lock, except those of which `tools.repair` has left only the command.

    Raises:
        InputError: a merge left conflicts in it, or DVC cannot have written it. (A truncated one may be valid YAML.)
    """
    check_merged(PATH, content)
    try:
        stages = dict(COMPILED_LOCKFILE_SCHEMA(yaml12.parse(content)).get("stages", {}))
    except (yaml.YAMLError, Invalid) as error:
        raise _unreadable(reason(error)) from None
    files = [file for stage in stages.values() for kind in ("deps", "outs") for file in stage.get(kind, [])]
    if not all(file.keys() & {"md5", "checksum", "etag", "files", "dataset"} for file in files):
        raise _unreadable("a file has no hash")
    return {stage: locked for stage, locked in stages.items() if locked.keys() != {"cmd"}}


def check_merged(file: Path, content: bytes) -> None:
    """Look for the conflicts of a merge in dvc.lock or a .dvc file.

    Raises:
        InputError: there are some.
    """
    if re.search(b"^<<<<<<< ", content, re.MULTILINE):
        take = f"{PATH} {paths.METRICS}" if file == PATH else shlex.quote(str(file))  # these two conflict together
        raise InputError(
            f"{file} has merge conflicts: take one side (`git checkout --ours {take}`, or, where they are committed, "
            f"`git checkout COMMIT {take}`, with one from before) and run again"
        )


def _unreadable(why: str) -> InputError:
    return InputError(f"{PATH}: cannot be read ({why}): undo its last edit, or run `make repro`")


def files(locked: dict[str, Any], kind: str) -> dict[str, str]:
    """The MD5 of each file and folder among a stage's ``deps`` or ``outs``, except those with a remote's own hash."""
    found = {Path(file["path"]).as_posix(): _md5(file) for file in locked.get(kind, [])}
    return {path: md5 for path, md5 in found.items() if md5}


def makers(stages: Stages) -> dict[str, tuple[str, str]]:
    """The stage that wrote each file and folder, and its MD5."""
    return {path: (stage, md5) for stage, locked in stages.items() for path, md5 in files(locked, "outs").items()}


def _md5(file: dict[str, Any]) -> str | None:
    listed = file.get("files", [])  # one by one, as `dvc push` leaves a folder for a remote with version_aware
    if listed and all("md5" in entry for entry in listed):
        return hashing.md5_of_folder({entry["relpath"]: entry["md5"] for entry in listed})
    return file.get("md5")


def params(locked: dict[str, Any]) -> dict[str, Any]:
    """The params of params.yaml that a stage ran with."""
    return dict(locked.get("params", {}).get("params.yaml", {}))


def mixed(stages: Stages) -> list[str]:
    """The stages whose inputs and outputs are not of one run, as a merge of two dvc.lock may leave them.

    Each stage writes the hashes of its inputs and outputs to data/provenance/STAGE.json, so that those in dvc.lock
    determine the hash that dvc.lock must have for that file.
    """
    found = []
    for stage, locked in stages.items():
        recorded, wanted = files(locked, "outs").get(paths.provenance(stage)), stamp(stage, locked)
        if (recorded or stage in STAGES) and recorded != provenance.fingerprint(wanted):
            found.append(stage)
    return found


def stamp(stage: str, locked: dict[str, Any]) -> provenance.Stamp:
    """What a stage wrote to data/provenance/STAGE.json, by its entry in dvc.lock."""
    outs = {path: md5 for path, md5 in files(locked, "outs").items() if path != paths.provenance(stage)}
    return {"stage": stage, "deps": files(locked, "deps"), "params": params(locked), "outs": outs}


def against_itself(stages: Stages) -> Iterator[str]:
    """A line for each stage whose inputs and outputs are not of one run, or that read another file than was made."""
    for stage in mixed(stages):
        yield f"dvc.lock: {stage}: its inputs and outputs are not of one run, as after a merge: run `make repro`"
    made = makers(stages)
    for stage, locked in stages.items():
        for path, digest in files(locked, "deps").items():
            maker, written = made.get(path, (None, digest))
            if written != digest:
                yield f"dvc.lock: {stage} did not read the {path} that {maker} wrote: run `dvc repro`"

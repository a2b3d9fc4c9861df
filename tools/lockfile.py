"""dvc.lock and dvc.yaml, parsed by DVC's schemas; and whether dvc.lock agrees with itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA, COMPILED_MULTI_STAGE_SCHEMA
from voluptuous import Invalid

from stages import documents, dvcfile, hashing, paths, provenance
from stages.errors import InputError, reason

PATH = Path("dvc.lock")
BEHIND_PREDICTIONS = ("download", "audit", "tokenize", "train", "evaluate")
STAGES = (*BEHIND_PREDICTIONS, "baselines")
Stages = dict[str, Any]  # of dvc.lock or dvc.yaml, by name


def parse(content: bytes) -> Stages:
    """The stages in the content of dvc.lock, but those of which `tools.repair` has left the command only.

    Raises:
        InputError: a merge left conflicts in it, or DVC cannot have written it. (A truncated one may be valid YAML.)
    """
    check_merged(content)
    try:
        stages = dict(COMPILED_LOCKFILE_SCHEMA(documents.parse(content)).get("stages", {}))
    except (yaml.YAMLError, Invalid) as error:
        raise _unreadable(reason(error)) from None
    files = [file for stage in stages.values() for kind in ("deps", "outs") for file in stage.get(kind, [])]
    if not all(file.keys() & {"md5", "checksum", "etag", "files", "dataset"} for file in files):
        raise _unreadable("a file has no hash")
    return {stage: locked for stage, locked in stages.items() if locked.keys() != {"cmd"}}


def check_merged(content: bytes) -> None:
    """Look for the conflicts of a merge.

    Raises:
        InputError: there are some.
    """
    if re.search(b"^<<<<<<< ", content, re.MULTILINE):
        raise InputError(f"{PATH} has merge conflicts: take one side (`git checkout --ours {PATH}`) and run again")


def _unreadable(why: str) -> InputError:
    return InputError(f"{PATH}: cannot be read ({why}): undo its last edit, or run `make repro`")


def pipeline() -> Stages:
    """The stages in dvc.yaml.

    Raises:
        InputError: it cannot be read, has none, or DVC would not take it.
    """
    return defined(documents.read(Path("dvc.yaml")))


def defined(definition: Any) -> Stages:
    """The stages in the content of dvc.yaml.

    Raises:
        InputError: it has none, or DVC would not take it.
    """
    if not isinstance(definition, dict) or not isinstance(definition.get("stages"), dict):
        raise InputError("dvc.yaml: it has no stages: undo its last edit")
    try:
        COMPILED_MULTI_STAGE_SCHEMA(definition)
    except Invalid as error:
        raise InputError(f"dvc.yaml: DVC does not take it ({reason(error)}): undo its last edit") from None
    for stage in STAGES:
        if {"foreach", "matrix"} & definition["stages"].get(stage, {}).keys():
            raise InputError(f"dvc.yaml: {stage}: foreach and matrix are for stages of your own: undo its last edit")
    return dict(definition["stages"])


def made_by_others(path: str) -> bool:
    """Whether a stage of dvc.yaml that is not the pipeline's own makes a file or folder, or what is in it."""
    return any(overlap(path, out) for out in outputs(own=False))


def outputs(*, own: bool) -> list[Path]:
    """What the pipeline's own stages of dvc.yaml write, or all others."""
    stages = [(stage.get("wdir", "."), stage) for name, stage in pipeline().items() if (name in STAGES) == own]
    return [Path(folder, out) for folder, stage in stages for out in dvcfile.declared(stage, *dvcfile.WRITTEN)]


def overlap(one: str | Path, other: str | Path) -> bool:
    """Whether one of two paths is the other, or lies in it."""
    here, there = Path(one).absolute(), Path(other).absolute()
    return here.is_relative_to(there) or there.is_relative_to(here)


def files(locked: dict[str, Any], kind: str) -> dict[str, str]:
    """The MD5 of each file and folder among a stage's ``deps`` or ``outs``, except those with a remote's own hash."""
    found = {Path(file["path"]).as_posix(): _md5(file) for file in locked.get(kind, [])}
    return {path: md5 for path, md5 in found.items() if md5}


def frozen(stage: str) -> str:
    """What a stage being frozen means, and what to do."""
    return f"{stage} is frozen, so that DVC never runs it: run `dvc unfreeze {stage}`"


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
        if recorded and recorded != provenance.fingerprint(wanted):
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

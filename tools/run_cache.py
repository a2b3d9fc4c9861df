"""DVC's cache: whether it can be written, and the runs in its run cache whose outputs are not of their inputs."""

import os
from pathlib import Path

import yaml
from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
from voluptuous import Invalid

from stages import paths, yaml12
from stages.errors import InputError
from stages.outputs import remove
from tools import changes, lockfile
from tools.pipeline import Stages


def check_writable() -> None:
    """Make sure that DVC can store what the stages make: after hours of training would be late.

    Raises:
        InputError: a folder of its cache cannot be written, and there is something to run.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        objects, runs = Path(repo.cache.local.path), Path(repo.stage_cache.cache_dir)
    for folder in (objects, *objects.glob("*/"), runs, *runs.glob("*/")):
        there = next(part for part in (folder, *folder.parents) if part.exists())
        if not os.access(there, os.W_OK | os.X_OK) and changes.changes():
            raise InputError(
                f"{there}: no permission to write to it, so that DVC could not store what is to run: change that, or "
                "take a cache of your own (`dvc cache dir --local .dvc/cache`)"
            )


def mixed() -> list[Path]:
    """The runs in the run cache with outputs that no run on their inputs made, as by `dvc commit` after an edit.

    Where all runs on the same inputs are such, their folder is given: DVC cannot read an empty one.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        runs = Path(repo.stage_cache.cache_dir)
    found = []
    for folder in sorted(runs.glob("*/*/")):
        entries = sorted(folder.iterdir())
        wrong = [run for run in entries if lockfile.mixed(stages_of(run.read_bytes()))]
        found += [folder] if wrong and wrong == entries else wrong
    return found


def forget_mixed() -> None:
    """Remove them, since DVC would take the same outputs from there."""
    for run in mixed():
        remove(run)


def stages_of(content: bytes) -> Stages:
    """An entry of DVC's run cache as one of dvc.lock; empty where it is not whole or has no provenance."""
    try:
        locked = COMPILED_LOCK_FILE_STAGE_SCHEMA(yaml12.parse(content))
    except (yaml.YAMLError, Invalid):
        return {}  # DVC passes over it, too
    stages = [(Path(path).stem, path) for path in lockfile.files(locked, "outs")]
    return {stage: locked for stage, path in stages if path == paths.provenance(stage)}

"""Read the pipeline's results at a revision through DVC, from its cache or remote: nothing is checked out."""

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from dvc.exceptions import DvcException

from stages import errors, hashing, paths, tables, yaml12
from tools import lockfile, outdated, pipeline, trees
from tools.trees import WORKSPACE

TEST_FILE = paths.raw("test")
TRAINING_SEED = "train.seed"
PREDICTIONS = paths.predictions("test")
RESULTS = f"{lockfile.PATH} and {paths.METRICS}"  # what to commit of a run


@dataclass(frozen=True)
class Run:
    """The predictions of the test split at a revision, and what they were made from."""

    revision: str
    names: list[str]  # of the labels, in the order of their numbers
    labels: npt.NDArray[np.int64]  # [rows]
    predictions: npt.NDArray[np.int64]  # [rows]
    test_file: str | None  # the MD5 of the test split's texts and labels, None if the predictions do not say
    params: dict[str, Any]  # of the stages behind the predictions, by section.key
    inputs: dict[str, str]  # the MD5 of each file or folder that they read and that none of them makes


def read_side(side: str) -> list[Run]:
    """Read a revision, or several of one recipe, joined by commas.

    Raises:
        InputError: a name is empty or cannot be read, or the runs do not differ in their training seed alone.
    """
    names = side.split(",")
    if not all(names):
        raise errors.InputError(f"{side!r}: a revision's name is empty: separate revisions by single commas")
    runs = [read(name) for name in names]
    for one, two in combinations(runs, 2):
        made_from, other = one.params | one.inputs, two.params | two.inputs
        differ = {key for key in made_from.keys() | other.keys() if made_from.get(key) != other.get(key)}
        if differ != {TRAINING_SEED}:
            what = ", ".join(sorted(differ)) or "nothing"
            raise errors.InputError(
                f"{one.revision},{two.revision}: differ in {what}: join only runs of one recipe that differ in "
                f"{TRAINING_SEED} and in nothing else"
            )
    return runs


def read(revision: str) -> Run:
    """Read a revision, anything that git or DVC resolves, or the workspace.

    Raises:
        InputError: there is no such revision, it has no run of the pipeline, or an inconsistent one, or its predictions
            cannot be found.
    """
    with trees.files_at(revision) as files:
        try:
            lock = _lock(files, revision)
            table = _predictions(files, revision, lock)
        except errors.InputError as error:
            raise errors.InputError(f"{revision}: {error}") from None
    made = lockfile.makers(lock)
    deps = {path: digest for stage in lock.values() for path, digest in lockfile.files(stage, "deps").items()}
    return Run(
        revision=revision,
        names=tables.label_names(table.schema),
        labels=table["label"].to_numpy(),
        predictions=table["prediction"].to_numpy(),
        test_file=tables.metadata(table.schema)["deps"].get(TEST_FILE),
        params={key: value for stage in lock.values() for key, value in lockfile.params(stage).items()},
        inputs={path: digest for path, digest in deps.items() if path not in made},
    )


def _lock(files: Any, revision: str) -> dict[str, Any]:
    try:
        content = files.read_bytes(str(lockfile.PATH))
    except FileNotFoundError:
        raise errors.InputError(f"has no dvc.lock: run `dvc repro` there and commit {RESULTS}") from None
    try:
        return _checked(files, revision, content)
    except trees.ShallowError:
        raise
    except errors.InputError as error:
        there = " there (check it out, or `dvc exp apply` an experiment), and commit or save it anew"
        raise errors.InputError(f"{error}{there if revision != WORKSPACE else ''}") from None


def _checked(files: Any, revision: str, content: bytes) -> dict[str, Any]:
    """The stages in dvc.lock that are behind the predictions, if they are of the pipeline as it is at the revision."""
    lock = {stage: locked for stage, locked in lockfile.parse(content).items() if stage in pipeline.BEHIND_PREDICTIONS}
    try:
        definition, values = (yaml12.parse(files.read_bytes(name)) for name in ("dvc.yaml", "params.yaml"))
    except (FileNotFoundError, yaml.YAMLError, DvcException) as error:
        said = errors.reason(error)
        raise errors.InputError(f"dvc.yaml or params.yaml cannot be read ({said}): undo its last edit") from None
    stages = pipeline.defined(definition)
    changed = partial(trees.changed_here, files) if revision == WORKSPACE else trees.changed_in_git(files, lock)
    if problems := [*lockfile.against_itself(lock), *outdated.reasons(stages, values, lock, changed)]:
        raise errors.InputError(problems[0])
    return lock


def how_to_get(revision: str) -> str:
    """What to do where a revision's results cannot be read."""
    if revision == WORKSPACE:
        return "run `dvc pull` or `dvc repro`"
    return "run `dvc push` where it was made, or check it out (`dvc exp apply` an experiment) and run `dvc repro`"


def _predictions(files: Any, revision: str, lock: dict[str, Any]) -> pa.Table:
    digest = lockfile.files(lock["evaluate"], "outs").get(PREDICTIONS)
    if digest is None:
        raise errors.InputError(f"dvc.lock has no {PREDICTIONS}: run `dvc repro` there and commit {RESULTS}")
    advice = how_to_get(revision)
    try:
        content = files.read_bytes(PREDICTIONS)
    except FileNotFoundError:
        raise errors.InputError(f"{PREDICTIONS} is not in DVC's cache, and no remote gives it: {advice}") from None
    except Exception as error:  # noqa: BLE001  each kind of remote raises its library's own
        raise errors.InputError(f"{PREDICTIONS} cannot be fetched ({errors.reason(error)}): {advice}") from None
    if hashing.md5_of(content) != digest:
        advice = "run `python -m tools.verify --cache` to find out why"
        if revision != WORKSPACE:
            advice = f"check it out and {advice}"
        raise errors.InputError(f"{PREDICTIONS} is not what dvc.lock says: {advice}")
    return pq.read_table(pa.BufferReader(content), columns=["label", "prediction"])

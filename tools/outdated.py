"""Checks of dvc.lock against dvc.yaml and params.yaml: does anything have to run again?"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from stages import dvcfile
from tools import lockfile, pipeline
from tools.pipeline import Stages

Changed = Callable[[str, str], bool]  # of a path, and an MD5
RERUN = "run `dvc repro`"


def reasons(definition: Stages, values: Any, lock: Stages, changed: Changed) -> Iterator[str]:
    """A line for each reason why the predictions are not of the pipeline, the params and the files as they are.

    Args:
        definition: the stages of dvc.yaml.
        values: params.yaml.
        lock: the stages of dvc.lock that are behind the predictions.
        changed: says whether a file or folder that no stage makes is known to have another MD5 than the one given.
    """
    definition = {stage: definition[stage] for stage in pipeline.BEHIND_PREDICTIONS}
    yield from against_definition(definition, values, lock)
    yield from against_params(definition, values, lock)
    made = lockfile.makers(lock)
    read = {(path, md5): stage for stage in lock for path, md5 in lockfile.files(lock[stage], "deps").items()}
    for (path, md5), stage in read.items():
        if path not in made and changed(path, md5):
            yield f"{path} does not match dvc.lock ({stage}): {RERUN}"


def against_definition(definition: Stages, values: Any, lock: Stages) -> Iterator[str]:
    """A line for each stage whose command, files or param keys are not those that ran."""
    for stage, wanted in definition.items():
        if stage not in lock:
            yield f"dvc.lock: it has no run of {stage}: {RERUN}"
            continue
        if "${" in str(wanted["cmd"]):
            yield f"dvc.yaml: {stage}: cmd: it has ${{...}}, whose value is not known here: write the command out"
        elif lock[stage]["cmd"] != wanted["cmd"]:
            yield f"dvc.lock: {stage}: its command differs from dvc.yaml's: {RERUN}"
        for kind, expected, recorded in _listed(stage, wanted, values, lock[stage]):
            if kind != "params":
                for path in sorted(expected - recorded):
                    yield f"dvc.lock: {stage}: {path} is in dvc.yaml's {kind} only: {RERUN}"
    yield from dropped(definition, values, lock)


def dropped(definition: Stages, values: Any, lock: Stages) -> Iterator[str]:
    """A line for each dep, out or param that dvc.yaml lost without another in its place: DVC reruns no stage then."""
    for stage, wanted in definition.items():
        for kind, expected, recorded in _listed(stage, wanted, values, lock.get(stage, {})):
            for name in sorted(recorded - expected) if expected < recorded else ():
                yield (
                    f"dvc.lock: {stage}: {name} is not in dvc.yaml's {kind}: put it back there, or, if the stage can "
                    f"do without, run `dvc repro -f -s {stage}`"
                )


def _listed(stage: str, wanted: Any, values: Any, locked: Any) -> Iterator[tuple[str, set[str], set[str]]]:
    """The deps, outs and param keys of a stage by dvc.yaml, and those of dvc.lock."""
    for kind, keys in (("deps", ("deps",)), ("outs", dvcfile.WRITTEN)):
        expected = {dvcfile.resolved(path, values) for path in dvcfile.declared(wanted, *keys)}
        yield kind, expected, {dvcfile.spelled(item["path"]) for item in locked.get(kind, [])}
    yield "params", set(dvcfile.param_keys(stage, wanted)), set(lockfile.params(locked))


def against_params(definition: Stages, values: Any, lock: Stages) -> Iterator[str]:
    """A line for each param whose value is not the one that a stage of dvc.lock ran with."""
    for stage, locked in lock.items():
        recorded = lockfile.params(locked)
        for key in dvcfile.param_keys(stage, definition.get(stage, {})):
            try:
                value = dvcfile.value_of(values, key)
            except KeyError:
                yield f"params.yaml: {key} is missing: undo its last edit"
                continue
            if key not in recorded:
                yield f"dvc.lock: {stage}: {key} is in dvc.yaml's params only: {RERUN}"
            elif recorded[key] != value:
                now, then = (json.dumps(given, ensure_ascii=False, default=str) for given in (value, recorded[key]))
                yield f"params.yaml: {key} is {now}, but {stage} ran with {then}: {RERUN}"

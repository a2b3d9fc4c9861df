"""Check by hashes that params, data, model, predictions and metrics come from one run.

Run: python -m tools.verify [--cache]

It compares dvc.lock with dvc.yaml, params.yaml and the files as they are; each stage's inputs and outputs with what the
stage itself said of them when it ran; its inputs with the outputs of the stages before it; and the metrics with the
predictions. Of stages that you have added, and of .dvc files, it looks at those that the pipeline depends on, as `dvc
status` does: no other DVC command may be running. `--cache` also rehashes all of these in DVC's cache. It prints a line
for each mismatch, and exits with 1 if there is any.
"""

import functools
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stages import entry, errors, evaluate, hashing, paths, tables, yaml12
from tools import lockfile, params, pipeline, run_cache, rwlock
from tools.changes import Change, changes
from tools.commands import committed
from tools.outdated import RERUN, against_definition, against_params
from tools.pipeline import Stages
from tools.results import METRICS_FROM_GIT
from tools.trees import workspace_digest

FEW = 4  # outputs that are named one by one, if they are not those of dvc.lock


def verify(*, cache: bool) -> list[str]:
    """A line for each mismatch.

    Raises:
        InputError: there is nothing to verify, params.yaml is wrong, a file of the pipeline cannot be read, or DVC is
            running stages here.
    """
    rwlock.check_idle()
    params.check(present=False)  # what DVC takes for equal need not be valid: true for 1
    definition, values, lock = _pipeline()
    problems = [*against_definition(definition, values, lock), *against_params(definition, values, lock)]
    problems += [*lockfile.against_itself(lock), *_lock_against_files(lock)]
    if not problems:
        others = [change for change in changes(*definition) if change.stage not in definition]
        problems += [f"{change}: {_advice(change)}" for change in others if change.what != "always changed"]
    if not problems:
        problems += _metrics_against_predictions()
    if cache:
        problems += _lock_against_cache(lock)
    if problems:
        problems += [
            f"dvc.yaml: {pipeline.frozen(stage)}" for stage, wanted in definition.items() if wanted.get("frozen")
        ]
    return problems


def _advice(change: Change) -> str:
    """What to do about what differs of a stage of one's own, or of data that DVC tracks, in NAME.dvc."""
    if change.stage.endswith(".dvc"):
        path = shlex.quote(change.path)
        return f"run `dvc checkout {path}`, or, if this is what you want, `dvc add {path}`"
    return RERUN


def _pipeline() -> tuple[Stages, Any, Stages]:
    """The pipeline's own stages in dvc.yaml, params.yaml, and those stages in dvc.lock."""
    stages, values = pipeline.stages(), yaml12.read(Path("params.yaml"))
    if not lockfile.PATH.exists():
        raise errors.InputError(f"{lockfile.PATH} does not exist: {RERUN}")
    lock = lockfile.parse(lockfile.PATH.read_bytes())
    own = {name: lock[name] for name in pipeline.STAGES if name in lock}
    return {name: stages[name] for name in pipeline.STAGES}, values, own


def check_classifier() -> None:
    """Check that the classifier at hand may label texts by params.yaml.

    Raises:
        InputError: they would be tokenized otherwise than its train rows, it is not what dvc.lock says, or a file of
            the pipeline cannot be read.
    """
    definition, values, lock = _pipeline()
    if missing := [f"dvc.lock: {stage} is missing: {RERUN}" for stage in ("tokenize", "train") if stage not in lock]:
        raise errors.InputError(missing[0])
    tokenized, made = ({stage: lock[stage]} for stage in ("tokenize", "train"))
    problems = [*against_params(definition, values, tokenized), *lockfile.against_itself(tokenized | made)]
    with paths.reading(paths.CLASSIFIER):
        digest = hashing.md5(Path(paths.CLASSIFIER))
    if digest != lockfile.files(lock["train"], "outs").get(paths.CLASSIFIER):
        problems.append(f"{paths.CLASSIFIER} does not match dvc.lock: delete it and run `dvc checkout`, or {RERUN}")
    if problems:
        raise errors.InputError(problems[0])


def _lock_against_files(lock: Stages) -> Iterator[str]:
    digest_of = functools.cache(workspace_digest)
    made = lockfile.makers(lock)
    reported: set[str] = set()  # once, although several stages may read a file
    others = []
    for stage, locked in lock.items():
        for path, recorded in [*lockfile.files(locked, "deps").items(), *lockfile.files(locked, "outs").items()]:
            digest = digest_of(path)
            if digest == recorded or path in reported:
                continue
            reported.add(path)
            if path == paths.METRICS:
                what = "is missing" if digest is None else f"does not match dvc.lock ({stage})"
                content = committed(Path(path))
                helps = content is not None and hashing.md5_of(content) == recorded
                yield f"{path} {what}: run {f'`{METRICS_FROM_GIT}` or ' if helps else ''}`dvc repro`"
            elif digest is None:
                yield f"{path} is missing: {_how_to_get(path, made=path in made)}"
            elif path in made:
                others.append(f"{path} does not match dvc.lock ({stage})")
            elif pipeline.in_dvc_add(path):
                yours = f"if the edit is yours, {RERUN} (first `touch` what you edited, if DVC sees no change)"
                restore = f"delete it and run `dvc checkout {shlex.quote(path)}`"
                yield f"{path} does not match dvc.lock ({stage}): {yours}; else {restore}"
            else:
                unseen = f"(`dvc repro -f {stage}` if that sees no change)"
                yield f"{path} does not match dvc.lock ({stage}): {RERUN} {unseen}"
    if len(others) > FEW:  # another branch's, no bad disk
        yield f"{others[0]}, nor do {len(others) - 1} more outputs: run `dvc checkout`, or {RERUN}"
    else:
        yield from (f"{other}: delete it and run `dvc checkout`, or {RERUN}" for other in others)


def _how_to_get(path: str, *, made: bool) -> str:
    """What to do about a missing file, ``made`` by the pipeline or not."""
    if made:
        return "run `dvc pull` or `dvc repro`"
    if pipeline.in_dvc_add(path):
        return "run `dvc pull`"
    if pipeline.made_by_others(path):
        return RERUN
    return "no stage makes it: put it back, by `git checkout` if git has it"


def _metrics_against_predictions() -> Iterator[str]:
    recorded = json.loads(Path(paths.METRICS).read_text(encoding="utf-8"))
    evaluated = {}
    for split in paths.EVALUATED:
        table = tables.read(paths.predictions(split))
        evaluated[split] = evaluate.Evaluated(
            table["label"].to_numpy(), np.stack(table["probabilities"].to_numpy()), table["leaked"].to_numpy()
        )
    computed = evaluate.summarize(evaluated)
    for name in sorted(recorded.keys() | computed.keys()):
        said, given = recorded.get(name), computed.get(name)
        if said != given:
            yield f"{paths.METRICS}: {name} is {said}, but the predictions give {given}: {RERUN}"


def _lock_against_cache(lock: Stages) -> Iterator[str]:
    from dvc.repo import Repo

    deps = {path for locked in lock.values() for path in lockfile.files(locked, "deps")}
    with Repo() as repo:
        cache, outs = repo.cache.local, [out for out in repo.index.outs if out.use_cache]
    for out in outs:
        hashed = out.hash_info and out.hash_info.name == "md5"  # DVC 2's differs
        # of data that a remote keeps by its own versions, the cache need not have all
        read = not out.files and any(pipeline.overlap(out.fs_path, dep) for dep in deps)
        if hashed and (read or out.stage.addressing in pipeline.STAGES):
            yield from _cached(cache, str(out), out.hash_info.value)
    for run in run_cache.mixed():
        yield (
            f"{run}: DVC's run cache has outputs that no run on these inputs made: delete this, and what is under its "
            "name on a remote"
        )


def _cached(cache: Any, name: str, digest: str) -> Iterator[str]:
    path = Path(cache.oid_to_path(digest))
    advice = f"delete {path} and run `dvc commit` if the file itself is right, otherwise `dvc pull` or `dvc repro -f`"
    if not path.exists():
        yield f"{name} is not in the cache: run `dvc pull`, or `dvc commit` if the file itself is right"
    elif hashing.md5(path) != digest.removesuffix(".dir"):
        yield f"{name} is damaged in the cache: {advice}"
    elif digest.endswith(".dir"):
        for file in json.loads(path.read_text(encoding="utf-8")):
            yield from _cached(cache, f"{name}/{file['relpath']}", file["md5"])


def main() -> None:
    """Print the mismatches, or that there are none."""
    parser = entry.parser("tools.verify", __doc__)
    parser.add_argument("--cache", action="store_true", help="also rehash outputs and data in DVC's cache")
    problems = verify(cache=parser.parse_args().cache)
    for problem in problems:
        print(f"error: {errors.printable(problem)}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print("verified: params, data, model, predictions and metrics belong together")


if __name__ == "__main__":
    entry.run(main)

"""Check that the metrics follow from the params and the data: every hash and every stamp along the way.

Run: python -m tools.verify [--cache]

It compares dvc.lock with dvc.yaml, params.yaml and the files as they are; each stage's inputs with the outputs of the
stages before it; what the classifier and the predictions say they were made from with dvc.lock; and the metrics with
the predictions. `--cache` also rehashes what dvc.lock names in DVC's cache. Stages that you have added are not looked
at. It prints a line for each mismatch, and exits with 1 if there is any.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stages import documents, entry, errors, evaluate, paths, provenance, tables
from tools import lockfile, repair
from tools.lockfile import Stages
from tools.outdated import RERUN, against_definition, against_params


def verify(*, cache: bool) -> list[str]:
    """A line for each mismatch.

    Raises:
        InputError: there is nothing to verify, or a file of the pipeline cannot be read.
    """
    definition, values, lock = _pipeline()
    problems = [*against_definition(definition, values, lock), *against_params(definition, values, lock)]
    problems += [*lockfile.against_itself(lock), *_lock_against_files(definition, lock)]
    if not problems:
        problems += [*_stamps_against_lock(lock), *_metrics_against_predictions()]
    if cache:
        problems += _lock_against_cache(lock)
    if problems:
        problems += [
            f"dvc.yaml: {stage} is frozen, so that DVC never runs it: run `dvc unfreeze {stage}`"
            for stage, wanted in definition.items()
            if wanted.get("frozen")
        ]
    return problems


def _pipeline() -> tuple[Stages, Any, Stages]:
    """The pipeline's own stages in dvc.yaml, params.yaml, and those stages in dvc.lock."""
    definition, values = (documents.read(Path(name)) for name in ("dvc.yaml", "params.yaml"))
    stages = lockfile.defined(definition)
    if not lockfile.PATH.exists():
        raise errors.InputError(f"{lockfile.PATH} does not exist: {RERUN}")
    lock = lockfile.parse(lockfile.PATH.read_bytes())
    defined, locked = ({name: found[name] for name in lockfile.ALL_STAGES if name in found} for found in (stages, lock))
    return defined, values, locked


def unfit_classifier() -> list[str]:
    """A line for each reason why the classifier at hand may not label texts by params.yaml.

    They would be tokenized otherwise than its train rows, or it is not what dvc.lock says.

    Raises:
        InputError: a file of the pipeline cannot be read.
    """
    definition, values, lock = _pipeline()
    missing = [f"dvc.lock: {stage} is missing: {RERUN}" for stage in ("tokenize", "train") if stage not in lock]
    if missing:
        return missing
    tokenized, made = ({stage: lock[stage]} for stage in ("tokenize", "train"))
    problems = [*against_params(definition, values, tokenized), *lockfile.against_itself(tokenized | made)]
    problems += _classifier_against_lock(made)
    recorded = lockfile.files(lock["train"], "outs").get(paths.CLASSIFIER)
    if not problems and provenance.md5(Path(paths.CLASSIFIER)) != recorded:
        problems.append(f"{paths.CLASSIFIER} does not match dvc.lock: delete it and run `dvc checkout`, or {RERUN}")
    return problems


def _lock_against_files(definition: Stages, lock: Stages) -> Iterator[str]:
    digests: dict[str, str | None] = {}  # None for what is missing or wrong, which is reported once
    made = {path for locked in lock.values() for path in lockfile.files(locked, "outs")}
    for stage, locked in ((stage, lock.get(stage, {})) for stage in definition):
        for path, digest in [*lockfile.files(locked, "deps").items(), *lockfile.files(locked, "outs").items()]:
            if path not in digests:
                digests[path] = provenance.md5(Path(path)) if Path(path).exists() else None
                if digests[path] is None:
                    advice = "no stage makes it: put it back, by `git checkout` if git has it"
                    if path in made or Path(f"{path}.dvc").exists():
                        advice = "run `dvc pull` or `dvc repro`"
                    yield f"{path} is missing: {advice}"
            if digests[path] not in {None, digest}:
                advice = f"delete it and run `dvc checkout`, or {RERUN}" if path in made else RERUN
                yield f"{path} does not match dvc.lock ({stage}): {advice}"
                digests[path] = None


def _stamps_against_lock(lock: Stages) -> Iterator[str]:
    yield from _classifier_against_lock(lock)
    for split in paths.EVALUATED:
        name = paths.predictions(split)
        yield from _stamp_against_lock(name, tables.metadata(tables.read(name).schema), "evaluate", lock)


def _classifier_against_lock(lock: Stages) -> Iterator[str]:
    name = paths.CLASSIFIER_PROVENANCE
    with errors.reading(name):
        stamp = json.loads(Path(name).read_text(encoding="utf-8"))
    yield from _stamp_against_lock(name, stamp, "train", lock)


def _stamp_against_lock(name: str, stamp: dict[str, Any], stage: str, lock: Stages) -> Iterator[str]:
    deps, recorded = lockfile.files(lock[stage], "deps"), lockfile.params(lock[stage])
    for path in sorted(dep for dep in stamp["deps"].keys() | deps.keys() if stamp["deps"].get(dep) != deps.get(dep)):
        yield f"{name} was not made from the {path} in dvc.lock: run `dvc repro -f -s {stage}`"
    for key in sorted(stamp["params"].keys() | recorded.keys()):
        made, said = stamp["params"].get(key), recorded.get(key)
        if made != said:
            yield f"{name} was made with {key} {made!r}, but dvc.lock says {said!r}: run `dvc repro -f -s {stage}`"


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

    with Repo() as repo:
        cache = Path(repo.cache.local.path)
    for locked in lock.values():
        for path, digest in lockfile.files(locked, "outs").items():
            if path != paths.METRICS:
                yield from _cached(cache, path, digest)
    for run in repair.mixed_runs():
        yield (
            f"{run}: DVC's run cache has outputs that were made from other inputs: delete this folder, and the one of "
            "its name on a remote"
        )


def _cached(cache: Path, name: str, digest: str) -> Iterator[str]:
    path = cache / digest[:2] / digest[2:]
    advice = f"delete {path} and run `dvc commit` if the file itself is right, otherwise `dvc pull` or `dvc repro -f`"
    if not path.exists():
        yield f"{name} is not in the cache: run `dvc pull`, or `dvc commit` if the file itself is right"
    elif provenance.md5(path) != digest.removesuffix(".dir"):
        yield f"{name} is damaged in the cache: {advice}"
    elif digest.endswith(".dir"):
        for file in json.loads(path.read_text(encoding="utf-8")):
            yield from _cached(cache, f"{name}/{file['relpath']}", file["md5"])


def main() -> None:
    """Print the mismatches, or that there are none."""
    parser = entry.parser("tools.verify", __doc__)
    parser.add_argument("--cache", action="store_true", help="also rehash what dvc.lock names in DVC's cache")
    problems = verify(cache=parser.parse_args().cache)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print("verified: params, data, model, predictions and metrics belong together")


if __name__ == "__main__":
    entry.run(main)

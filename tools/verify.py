"""Check that the metrics are what the params and the data lead to: every hash and stamp from one end to the other.

Run: python -m tools.verify [--cache]

Compared with each other: dvc.lock with dvc.yaml, params.yaml and the files as they are; each stage's inputs with the
outputs of the stages before it; what the classifier and the predictions say they were made from with dvc.lock; the
metrics with the predictions. `--cache` also rehashes what dvc.lock names in DVC's cache. Exits with 1 where anything
does not hold, a line for each.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stages import documents, entry, errors, evaluate, paths, provenance, tables

Document = dict[str, Any]
MEND = "run `dvc repro`"


def verify(*, cache: bool) -> list[str]:
    """Everything that does not hold, a line each.

    Raises:
        InputError: there is nothing to verify, or a file of the pipeline cannot be read.
    """
    definition, values, lock = _pipeline()
    problems = [*_lock_against_definition(definition, values, lock), *_params_against_lock(definition, values, lock)]
    problems += [*lock_against_itself(lock), *_lock_against_files(definition, lock)]
    if not problems:
        problems += [*_stamps_against_lock(lock), *_metrics_against_predictions()]
    if cache:
        problems += _lock_against_cache(lock)
    return problems


def directory_hash(folder: Path) -> str:
    """The hash that DVC gives a folder: the MD5 of the sorted list of its files' names and MD5s."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return _listing_hash({file.relative_to(folder).as_posix(): provenance.md5(file) for file in files})


def _listing_hash(files: dict[str, str]) -> str:
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files, key=lambda name: name.split("/"))]
    return f"{provenance.md5_of(json.dumps(listing, sort_keys=True).encode())}.dir"


def _pipeline() -> tuple[Document, Document, Document]:
    """The stages of dvc.yaml, params.yaml, and the stages of dvc.lock."""
    from tools.repair import whole

    definition, values, lock = (_document(Path(name)) for name in ("dvc.yaml", "params.yaml", "dvc.lock"))
    if not isinstance(definition.get("stages"), dict):
        raise errors.InputError("dvc.yaml: it has no stages: undo its last edit")
    if not whole(lock):
        raise errors.InputError("dvc.lock: cut short, or not as DVC writes it: undo its last edit, or run `make repro`")
    return definition["stages"], values, lock.get("stages", {})


def _document(path: Path) -> Document:
    try:
        return dict(documents.parse(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise errors.InputError(f"{path} does not exist: {MEND}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError) as error:
        reason = str(error).replace("\n", " ")
        raise errors.InputError(f"{path}: cannot be read ({reason}): undo its last edit") from None


def _resolved(path: str, values: Document) -> str:
    """A path of dvc.yaml as dvc.lock has it."""
    filled = Path(re.sub(r"\$\{(\w+\.\w+)\}", lambda key: str(_value(values, key[1])), path))
    return (filled.relative_to(Path.cwd()) if filled.is_relative_to(Path.cwd()) else filled).as_posix()


def _value(values: Document, key: str) -> Any:
    section, name = key.split(".")
    try:
        return values[section][name]
    except (KeyError, TypeError):
        raise errors.InputError(f"params.yaml: {key} is missing: undo its last edit") from None


def _paths(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def _lock_against_definition(definition: Document, values: Document, lock: Document) -> Iterator[str]:
    for stage, wanted in definition.items():
        if stage not in lock:
            yield f"dvc.lock: {stage} is missing: it never ran: {MEND}"
            continue
        locked = lock[stage]
        if locked["cmd"] != wanted["cmd"]:
            yield f"dvc.lock: {stage}: its command is not dvc.yaml's: {MEND}"
        for kind, entries in (("deps", wanted["deps"]), ("outs", wanted["outs"] + wanted.get("metrics", []))):
            expected = {_resolved(path, values) for path in _paths(entries)}
            for path in sorted(expected ^ {item["path"] for item in locked.get(kind, [])}):
                yield f"dvc.lock: {stage}: {path} stands on one side only of dvc.yaml's and dvc.lock's {kind}: {MEND}"


def not_run(*stages: str) -> list[str]:
    """A line for each param of ``stages``, or of all, that is not in params.yaml as it is in dvc.lock.

    Raises:
        InputError: a file of the pipeline cannot be read.
    """
    definition, values, lock = _pipeline()
    ran = {stage: locked for stage, locked in lock.items() if stage in (stages or lock)}
    return list(_params_against_lock(definition, values, ran))


def _params_against_lock(definition: Document, values: Document, lock: Document) -> Iterator[str]:
    for stage, locked in lock.items():
        recorded = locked.get("params", {}).get("params.yaml", {})
        for key in definition.get(stage, {}).get("params", []):
            value = _value(values, key)
            if key not in recorded or recorded[key] != value:
                yield f"params.yaml: {key} is {value!r}, {stage} ran with {recorded.get(key)!r}: {MEND}"


def lock_against_itself(lock: Document) -> Iterator[str]:
    """A line for each input that, by dvc.lock's stages, is not what the stage that makes it wrote."""
    made = {out["path"]: (stage, out["md5"]) for stage, locked in lock.items() for out in locked.get("outs", [])}
    for stage, locked in lock.items():
        for dep in locked.get("deps", []):
            maker, digest = made.get(dep["path"], (None, dep["md5"]))
            if digest != dep["md5"]:
                yield f"dvc.lock: {stage} read another {dep['path']} than {maker} wrote: {MEND}"


def _lock_against_files(definition: Document, lock: Document) -> Iterator[str]:
    digests: dict[str, str | None] = {}  # None for what is missing, which is said once
    made = {out["path"] for locked in lock.values() for out in locked.get("outs", [])}
    for stage in definition:
        for item in lock.get(stage, {}).get("deps", []) + lock.get(stage, {}).get("outs", []):
            path = Path(item["path"])
            if item["path"] not in digests:
                digests[item["path"]] = _digest(path)
                if digests[item["path"]] is None:
                    yield f"{path} is missing: run `dvc pull` or `dvc repro`"
            if digests[item["path"]] not in {None, item["md5"]}:
                mend = f"delete it and run `dvc checkout`, or {MEND}" if item["path"] in made else MEND
                yield f"{path} is not what {stage} had when it ran (dvc.lock): {mend}"


def _digest(path: Path) -> str | None:
    if not path.exists():
        return None
    return directory_hash(path) if path.is_dir() else provenance.md5(path)


def _stamps_against_lock(lock: Document) -> Iterator[str]:
    predictions = {paths.predictions(split): "evaluate" for split in paths.JUDGED}
    for name, stage in {"models/classifier/provenance.json": "train", **predictions}.items():
        if name.endswith(".json"):
            stamp = json.loads(Path(name).read_text(encoding="utf-8"))
        else:
            stamp = tables.metadata(tables.read(name).schema)
        for dep in lock[stage]["deps"]:
            files = {file: digest for file, digest in stamp["deps"].items() if file.startswith(f"{dep['path']}/")}
            below = {file.removeprefix(f"{dep['path']}/"): digest for file, digest in files.items()}
            if (stamp["deps"].get(dep["path"]) or _listing_hash(below)) != dep["md5"]:
                yield f"{name} was made from another {dep['path']} than dvc.lock says: run `dvc repro -f {stage}`"
        recorded = lock[stage].get("params", {}).get("params.yaml", {})
        for key in sorted(stamp["params"].keys() | recorded.keys()):
            made, said = stamp["params"].get(key), recorded.get(key)
            if made != said:
                yield f"{name} was made with {key} {made!r}, dvc.lock says {said!r}: run `dvc repro -f {stage}`"


def _metrics_against_predictions() -> Iterator[str]:
    recorded = json.loads(Path(paths.METRICS).read_text(encoding="utf-8"))
    judged = {}
    for split in paths.JUDGED:
        table = tables.read(paths.predictions(split))
        judged[split] = evaluate.Judged(
            table["label"].to_numpy(), np.stack(table["probabilities"].to_numpy()), table["leaked"].to_numpy()
        )
    computed = evaluate.summarize(judged)
    for name in sorted(recorded.keys() | computed.keys()):
        said, given = recorded.get(name), computed.get(name)
        if said != given:
            yield f"{paths.METRICS}: {name} is {said}, the predictions give {given}: {MEND}"


def _lock_against_cache(lock: Document) -> Iterator[str]:
    from dvc.repo import Repo

    with Repo() as repo:
        cache = Path(repo.cache.local.path)
    for locked in lock.values():
        for out in locked.get("outs", []):
            if out["path"] != paths.METRICS:
                yield from _cached(cache, out["path"], out["md5"])


def _cached(cache: Path, name: str, digest: str) -> Iterator[str]:
    path = cache / digest[:2] / digest[2:]
    mend = f"delete {path} and run `dvc commit` where the file itself is right, else `dvc pull` or `dvc repro -f`"
    if not path.exists():
        yield f"{name} is not in the cache: run `dvc pull`, or `dvc commit` where the file itself is right"
    elif provenance.md5(path) != digest.removesuffix(".dir"):
        yield f"{name} is damaged in the cache: {mend}"
    elif digest.endswith(".dir"):
        for file in json.loads(path.read_text(encoding="utf-8")):
            yield from _cached(cache, f"{name}/{file['relpath']}", file["md5"])


def main() -> None:
    """Say what does not hold, or that everything does."""
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", action="store_true", help="also rehash what dvc.lock names in DVC's cache")
    problems = verify(cache=parser.parse_args().cache)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print("verified: params, data, model, predictions and metrics belong together")


if __name__ == "__main__":
    entry.run(main)

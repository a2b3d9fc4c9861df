"""Damage is noticed by what the README's table says, and repaired by the commands it gives.

Every row does its damage to a copy of a run, asks each of those that might notice, and repairs it: then the files are
those of the run again, byte for byte, and the cache too.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from clones import TREE, run
from digests import OUTPUTS, digests
from dvc.repo import Repo
from edits import cached, cut, flip, in_cache

from stages import classifier, errors, evaluate, tables
from tools.verify import verify

METRICS_FROM_GIT = r"git checkout metrics/metrics\.json"  # as a pattern
TABLE = "data/tokenized/train.parquet"
MODEL = "models/pretrained/model"
WEIGHTS = f"{MODEL}/model.safetensors"
STATUS, VERIFY, CACHE, STAGE = (
    "`dvc status`",
    "`python -m tools.verify`",
    "`python -m tools.verify --cache`",
    "the stage that reads it",
)


def cached_weights(clone: Path) -> Path:
    """Where DVC's cache has the pretrained weights."""
    files = json.loads(in_cache(clone, MODEL).read_text(encoding="utf-8"))
    return cached(clone, next(file["md5"] for file in files if file["relpath"] == "model.safetensors"))


def checked_out_from_a_damaged_cache(clone: Path) -> None:
    flip(cached_weights(clone))
    shutil.rmtree(clone / MODEL)
    run("dvc", "checkout", cwd=clone)


def read_weights() -> None:
    classifier.load_pretrained(["a", "b"])


class Damage(NamedTuple):
    """What is done to a clone, who notices, and what repairs it: what is deleted, and what is run after that."""

    do: Callable[[Path], Any]
    noticed_by: tuple[str, ...]
    delete: tuple[Callable[[Path], Path], ...]
    repair: str
    read: Callable[[], Any] = lambda: tables.read(TABLE)  # what a stage reads of it


def output(name: str) -> Callable[[Path], Path]:
    return lambda clone: clone / name


DAMAGES = {
    "a file in `models/pretrained` changed": Damage(
        lambda clone: flip(clone / WEIGHTS), (STATUS, VERIFY), (), "`dvc repro`", read_weights
    ),
    "the same by a bad disk, the file's time unchanged": Damage(
        lambda clone: flip(clone / WEIGHTS, silently=True),
        (VERIFY,),
        (output(MODEL),),
        "delete the output, `dvc checkout`",
        read_weights,
    ),
    "a table between stages cut short": Damage(
        lambda clone: cut(clone / TABLE), (STATUS, VERIFY, STAGE), (output(TABLE),), "delete it, `dvc checkout`"
    ),
    "the classifier's weights cut short": Damage(
        lambda clone: cut(clone / "models/classifier/model.safetensors"),
        (STATUS, VERIFY, STAGE),
        (output("models/classifier"),),
        "delete the folder, `dvc checkout`",
        evaluate.main,
    ),
    "`metrics/metrics.json` cut short": Damage(
        lambda clone: cut(clone / "metrics/metrics.json"),
        (STATUS, VERIFY),
        (),
        "`git checkout metrics/metrics.json`",
    ),
    "`metrics/metrics.json` deleted": Damage(
        lambda clone: (clone / "metrics/metrics.json").unlink(),
        (STATUS, VERIFY),
        (),
        "`git checkout metrics/metrics.json`",
    ),
    "another output deleted": Damage(
        lambda clone: (clone / TABLE).unlink(), (STATUS, VERIFY, STAGE), (), "`dvc checkout`"
    ),
    "a file in `.dvc/cache` changed": Damage(
        lambda clone: flip(cached_weights(clone)),
        (CACHE,),
        (cached_weights,),
        "delete that file, not the one checked out, and `dvc commit`",
        read_weights,
    ),
    "the same, and checked out": Damage(
        checked_out_from_a_damaged_cache,
        (VERIFY,),
        (cached_weights, output(MODEL)),
        "delete both, `dvc pull`, or without a remote `dvc repro`",
        read_weights,
    ),
    "`.dvc/cache` emptied": Damage(
        lambda clone: shutil.rmtree(clone / ".dvc/cache"), (STATUS, CACHE), (), "`dvc commit`"
    ),
}


def as_markdown() -> str:
    rows = [f"| {name} | {', '.join(one.noticed_by)} | {one.repair} |" for name, one in DAMAGES.items()]
    return "\n".join(("| damage | who notices | what repairs it |", "|---|---|---|", *rows))


def test_the_readme_shows_the_table() -> None:
    assert as_markdown() in (TREE / "README.md").read_text(encoding="utf-8")


def noticing(clone: Path, read: Callable[[], Any]) -> set[str]:
    """Who of those of the table has something to say of a clone."""
    with Repo(str(clone)) as repo:
        found = {STATUS} if repo.status() else set()
    if problems := verify(cache=True):
        found.add(VERIFY if verify(cache=False) else CACHE)
        assert all(re.search(rf"run `(dvc|{METRICS_FROM_GIT}` or `dvc repro`)", problem) for problem in problems)
    try:
        read()
    except errors.InputError as error:
        found.add(STAGE)
        assert "run `dvc" in str(error)  # noqa: PT017 - where it raises at all
    return found


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_noticed_and_mended_as_the_table_says(pipeline: Path, inside: Path, name: str) -> None:
    damage = DAMAGES[name]
    with Repo(str(inside)) as repo:
        assert not repo.status()  # and so DVC has seen every file
    damage.do(inside)
    assert noticing(inside, damage.read) == set(damage.noticed_by)
    for path in damage.delete:
        shutil.rmtree(path(inside)) if path(inside).is_dir() else path(inside).unlink()
    command = re.findall(rf"`(dvc \w+|{METRICS_FROM_GIT})`", damage.repair)[-1]
    run(*command.split(), cwd=inside)
    assert {stage: digests(inside, stage) for stage in OUTPUTS} == {
        stage: digests(pipeline, stage) for stage in OUTPUTS
    }
    assert verify(cache=True) == []
    with Repo(str(inside)) as repo:
        assert not repo.status()

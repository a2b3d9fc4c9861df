"""Run the pipeline and summarize: the ladder of models, the metrics, what ran and what came from the cache.

Run: python -m tools.repro [--pull] [--record FILE] [RECIPE]

Given a recipe's name, it first copies recipes/NAME.yaml over params.yaml, unless that has edits of your own. `--pull`
fetches what the DVC remote has and runs only the rest. `--record` writes what ran and how long it took to a JSON file,
for tools.report.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Column, Table

from stages import entry, errors, paths, yaml12
from stages.params import PARAMS
from tools import changes, ladder, params, pipeline, repair, results, run_cache
from tools.commands import committed
from tools.formatting import console, number

RECIPES = Path("recipes")
RECORDED = "recorded anew"


class StageLog(logging.Handler):
    """Learns from DVC's own log what became of each stage, and which .dvc files it wrote anew."""

    PATTERNS = (
        (re.compile(r"'([^']+)' is frozen"), "frozen"),
        (re.compile(r"Pulling data for stage: '([^']+)'"), "pulled"),
        (re.compile(r"Running stage '([^']+)'"), "ran"),
        (re.compile(r"Stage '([^']+)' is cached"), "from cache"),
        (re.compile(r"Stage '([^']+)' didn't change"), "unchanged"),
        # of changed data, which DVC tracks, by `dvc add` or `dvc import-url`
        (re.compile(r"Verifying (?:data sources in|outputs in frozen) stage: '([^']+\.dvc)'"), RECORDED),
    )

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.stages: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Note what the record says of a stage."""
        message = record.getMessage()
        for pattern, outcome in self.PATTERNS:
            match = pattern.search(message)
            if match and (outcome == RECORDED or self.stages.get(match[1]) != "frozen"):  # frozen, it does not run
                self.stages[match[1]] = outcome


def use_recipe(name: str, *, present: bool) -> None:
    """Copy a recipe onto params.yaml, checked; its data and checkpoint may be missing unless ``present``.

    Raises:
        InputError: there is no such recipe, it is wrong, or params.yaml has edits that are neither in git nor in a
            recipe.
    """
    recipes = {path.stem: path.read_bytes() for path in sorted(RECIPES.glob("*.yaml"))}
    if name not in recipes:
        raise errors.InputError(f"RECIPE={name}: no such recipe: take one of {', '.join(recipes)}")
    if PARAMS.exists() and PARAMS.read_bytes() not in (committed(PARAMS), *recipes.values()):
        raise errors.InputError(
            f"{PARAMS} has edits that are neither committed nor a recipe's: commit them, or undo them with "
            f"`git checkout {PARAMS}`"
        )
    params.check(RECIPES / f"{name}.yaml", present=present)
    store_finished()  # with the params of before
    PARAMS.write_bytes(recipes[name])


def store_finished() -> None:
    """Have what had finished stored, and say so."""
    for line in repair.store_finished():
        print(line)


def reproduce(*options: str) -> tuple[int, dict[str, str]]:
    """Run `dvc repro` in this process; return its exit code and what became of each stage."""
    from dvc.cli import main as dvc

    log, logger, hints = StageLog(), logging.getLogger("dvc"), logging.getLogger("dvc.repo.scm_context")
    logger.addHandler(log)
    hints.addFilter(_is_to_be_followed)
    try:
        return dvc(["--wait-for-lock", "repro", *options]), log.stages  # else a lock may keep a stage from being stored
    finally:
        hints.removeFilter(_is_to_be_followed)
        logger.removeHandler(log)


def _is_to_be_followed(hint: logging.LogRecord) -> bool:
    """Whether README does not advise against what DVC recommends."""
    return "core.autostage" not in hint.getMessage()


def summary(stages: dict[str, str], seconds: float) -> Table:
    """A table of the metrics and of what became of each stage."""
    table = Table(Column(overflow="fold"), Column(overflow="fold"), box=None, pad_edge=False, show_header=False)
    for name, value in results.read(paths.METRICS).items():
        table.add_row(name, number(value))
    for outcome in dict.fromkeys(stages.values()):
        table.add_row(outcome, ", ".join(stage for stage, became in stages.items() if became == outcome))
    table.add_row("seconds", f"{seconds:.0f}")
    return table


def _recorded(stages: dict[str, str]) -> str:
    """A line for each .dvc file that DVC has written anew, since its data were edited."""
    files = [Path(file) for file, became in stages.items() if became == RECORDED]
    changed = [file for file in files if file.read_bytes() != committed(file)]  # else only DVC's cache lacked the data
    return "".join(f"{file} names the data as they are now: commit it\n" for file in changed)


def _not_pulled() -> Iterator[str]:
    """A line for the data and for the checkpoint if they are under `dvc add` and not here."""
    for section in ("dataset", "model"):
        path = yaml12.read(PARAMS)[section]["path"]
        if pipeline.in_dvc_add(path) and not Path(path).exists():
            yield f"{path} is not here, and no remote has this version of it: run `dvc push` where it was added\n"


def main() -> None:
    """Check the params, run, summarize."""
    parser = entry.parser("tools.repro", __doc__)
    parser.add_argument("recipe", nargs="?", help="the recipe to copy over params.yaml first")
    parser.add_argument("--pull", action="store_true", help="fetch what the DVC remote has")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write what ran to this JSON file")
    arguments = parser.parse_args()
    if arguments.record:
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
    for line in repair.repair():
        print(line)
    if arguments.recipe:
        use_recipe(arguments.recipe, present=not arguments.pull)
    else:
        params.check(present=not arguments.pull)
    changes.check_data()
    run_cache.check_writable()
    store_finished()
    start = time.monotonic()
    code, stages = reproduce(*(["--pull"] if arguments.pull else []))
    if not code and (again := repair.repair()):  # DVC's run cache or the remote had outputs of other inputs
        print(*again, sep="\n")
        code, more = reproduce()
        stages |= {stage: became for stage, became in more.items() if became != "unchanged"}
    if code:
        print(*_not_pulled(), _recorded(stages), sep="", end="", file=sys.stderr)
        for stage in repair.unstored():
            print(
                f"{stage} has finished, but DVC did not store it: fix what it reports above and, before you edit "
                "any of its inputs, run `make repro` again, which stores it",
                file=sys.stderr,
            )
        sys.exit(1)
    seconds = time.monotonic() - start
    if arguments.record:
        arguments.record.write_text(json.dumps({"seconds": round(seconds), "stages": stages}), encoding="utf-8")
    rungs = ladder.rungs()
    console().print(ladder.table(rungs), "", summary(stages, seconds), sep="\n")
    frozen = [pipeline.frozen(stage) for stage, became in stages.items() if became == "frozen"]
    for finding in (*ladder.findings(rungs), *frozen):
        print(f"warning: {finding}")
    print(_recorded(stages), end="")


if __name__ == "__main__":
    entry.run(main, offline=False)  # the stages that it starts inherit the environment, and download may need the hub

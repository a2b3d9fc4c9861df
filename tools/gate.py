"""Find out, without any data, whether a stage has to run, so that no GPU is rented needlessly.

Run: python -m tools.gate BASE >> "$GITHUB_OUTPUT"

Prints `run=true` if `dvc repro` would have something to do, `report=true` if there is something to report (a run, or a
dvc.lock that differs from the base's), and the commits to use: `head`, and `base`, where this branch left BASE. The
reasons go to standard error. In doubt both are true. What cannot run at all, such as a wrong param or a pipeline that
DVC cannot read, is an error here, on a cheap machine; so is an input or output that dvc.yaml has lost where nothing
else of its stage has changed, since DVC runs nothing for that.

`dvc repro --dry --allow-missing` cannot be relied on for this: it calls a stage unchanged if its source file is gone,
misses a dvc.lock whose stages do not fit together while the data is absent, and exits with 255 at the first stage to be
run whose data is missing.
"""

import sys
from typing import Any

from stages import entry, errors, yaml12
from stages.params import PARAMS
from tools import lockfile, outdated, params, pipeline
from tools.changes import changes
from tools.commands import commit, output


def commits(revision: str) -> tuple[str, str]:
    """The commit where this branch left ``revision``, and the one it is at."""
    advice = "name a commit that shares its history with HEAD, and fetch all of that history"
    left = output("git", "merge-base", revision, "HEAD", advice=advice).strip()
    return commit(left, "--short=12"), commit()  # the first is short, since people read it


def _at_the_top(definition: dict[str, Any] | None) -> bool:
    """Whether dvc.yaml has a stage (it may have been removed), and DVC runs it here, so that its paths begin here."""
    return definition is not None and "wdir" not in definition | definition.get("do", {})


def main() -> None:
    """Print the answers, and why."""
    parser = entry.parser("tools.gate", __doc__)
    parser.add_argument("base", help="the revision that the branch is to be merged into")
    base, head = commits(parser.parse_args().base)
    params.check(present=False)
    stages = pipeline.stages()
    lock = lockfile.parse(lockfile.PATH.read_bytes()) if lockfile.PATH.exists() else {}
    lock = {name: locked for name, locked in lock.items() if _at_the_top(stages.get(name.partition("@")[0]))}
    changed = changes()
    run = {change.stage for change in changed}
    left = {name: stages[name] for name in pipeline.STAGES if name not in run}
    if lost := list(outdated.dropped(left, yaml12.read(PARAMS), lock)):
        raise errors.InputError(*lost)
    why = [*lockfile.against_itself(lock), *map(str, changed)]
    if not lock:  # a line for each of their inputs says no more
        why = [f"{lockfile.PATH} has no stage: all have to run"]
    other = output("git", "diff", "--name-only", base, head, "--", "dvc.lock")
    answers = {"run": bool(why), "report": bool(why or other)}
    print("\n".join(f"{name}={str(answer).lower()}" for name, answer in answers.items()))
    print(f"base={base}\nhead={head}")
    shown = map(errors.printable, why or ["every stage's inputs match dvc.lock: nothing to run"])
    print("\n".join(shown), file=sys.stderr)


if __name__ == "__main__":
    entry.run(main, pinned=False)  # a machine that only has DVC will do

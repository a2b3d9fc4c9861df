"""Find out, without any data, whether a stage has to run, so that no GPU is rented needlessly.

Run: python -m tools.gate BASE >> "$GITHUB_OUTPUT"

Prints `run=true` if `dvc repro` would have something to do, `report=true` if there is something to report (a run, or a
dvc.lock that differs from the base's), and the commits to use: `head`, and `base`, where this branch left BASE. The
reasons go to standard error. In doubt both are true. What cannot run at all, such as a wrong param or a pipeline that
DVC cannot read, is an error here, on a cheap machine.

`dvc repro --dry --allow-missing` cannot be relied on for this: it calls a stage unchanged if its source file is gone,
misses a dvc.lock whose stages do not fit together while the data is absent, and exits with 255 at the first stage to be
run whose data is missing.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from stages.errors import InputError, reason
from tools import lockfile, params
from tools.commands import output


def reasons() -> list[str]:
    """Why stages have to run, a line each; empty if every stage's inputs match dvc.lock.

    Raises:
        InputError: DVC cannot read the pipeline, or dvc.lock cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

    lock = lockfile.parse(lockfile.PATH.read_bytes()) if lockfile.PATH.exists() else {}
    try:
        with Repo() as repo:
            stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]  # not what is imported
            status = repo.status([stage.addressing for stage in stages])
    except (DvcException, OSError, UnicodeError) as error:
        raise InputError(f"DVC cannot read the pipeline or its data ({reason(error)}): undo the last edit") from None
    made = {str(out) for stage in stages for out in stage.outs}
    return [*lockfile.against_itself(lock), *_changes(status, made)]


def _changes(status: dict[str, Any], made: set[str]) -> Iterator[str]:
    """What `dvc status` names, except outputs that are only absent, also where they are the inputs of a later stage."""
    for stage, changes in status.items():
        for change in changes:
            if isinstance(change, str):
                yield f"{stage}: {change}"
                continue
            for kind, paths in change.items():
                for path, what in paths.items():
                    absent = what == "not in cache" or (what == "deleted" and kind == "changed deps" and path in made)
                    if not absent:
                        yield f"{stage}: {kind}: {path}: {what if isinstance(what, str) else _keys(what)}"


def _keys(changed: dict[str, str]) -> str:
    return ", ".join(f"{key} {what}" for key, what in changed.items())


def commits(revision: str) -> tuple[str, str]:
    """The commit where this branch left ``revision``, and the one it is at."""
    advice = "name a commit that shares its history with HEAD, and fetch all of that history"
    left = output("git", "merge-base", revision, "HEAD", advice=advice).strip()
    base = output("git", "rev-parse", "--short=12", left)  # short, since people read it
    return base.strip(), output("git", "rev-parse", "HEAD").strip()


def main() -> None:
    """Print the answers, and why."""
    parser = argparse.ArgumentParser(prog="python -m tools.gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="the revision that the branch is to be merged into")
    base, head = commits(parser.parse_args().base)
    params.check(paths=False)
    why = reasons()
    other = subprocess.run(["git", "diff", "--quiet", base, head, "--", "dvc.lock"], check=False).returncode
    answers = {"run": bool(why), "report": bool(why or other)}
    print("\n".join(f"{name}={str(answer).lower()}" for name, answer in answers.items()))
    print(f"base={base}\nhead={head}")
    print("\n".join(why or ["every stage's inputs match dvc.lock: nothing to run"]), file=sys.stderr)


if __name__ == "__main__":
    try:  # not entry.run, which checks the versions of the libraries that compute: this machine has only DVC
        main()
    except InputError as error:
        sys.exit(f"error: {error}")

"""Seed variance: run the committed pipeline with several training seeds; print their mean and standard deviation.

Run: python -m tools.seeds N

Each seed K from 1 to N is a DVC experiment named COMMIT-seedK. All are queued first, so that later edits do not affect
them, except edits of data that git does not track, which are an error at the end. Each runs in a folder of its own, and
with them whatever else is in DVC's queue. Seeds that have run before are not run again. Ctrl-C leaves DVC's worker
running in the background (`dvc queue stop --kill` ends it).
`python -m tools.compare` takes the experiments, joined by commas, as one side.
"""

import os
import statistics
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

from dvc.repo import Repo
from rich.table import Table

from stages import entry, errors, paths, yaml12
from stages.params import PARAMS
from tools import changes, params, revisions, run_cache, rwlock
from tools.commands import check_committed, commit, output, shallow
from tools.formatting import console, number, text_table

DVC = ("dvc", "--wait-for-lock")
POLL = 60  # seconds
WORKER_SECONDS = 15  # after which a worker that has not answered is dead: one looks for questions every second or so
MAX_SEEDS = 1000
ACTIVE = ("Queued", "Running")


def run_experiments(seeds: int) -> list[str]:
    """Run the experiments of HEAD with seeds 1 to ``seeds`` that have not run yet; return the names of all.

    Raises:
        InputError: there are uncommitted changes, even of data that git does not have, the clone is shallow, DVC is
            running stages here, an experiment failed, or the experiments differ in more than their seed.
    """
    rwlock.check_idle()
    check_committed("the experiments are named by their commit")
    if shallow():
        raise errors.InputError("DVC brings no experiment back into a shallow clone: run `git fetch --unshallow`")
    sources = _sources()
    own = untracked(sources)
    if own or any(path.is_absolute() for path in sources):
        _check_unchanged(sources)
    head = commit("HEAD", "--short")
    copied = [word for path in own for word in ("--copy-paths", path)]
    names = [f"{head}-seed{seed}" for seed in range(1, seeds + 1)]
    _fail_dead()
    waiting, done = _waiting(), _known(head)  # in this order: what ends in between would else be in neither
    _check_readable([name for name in names if name in done])
    known = {*waiting, *done}
    for seed, name in enumerate(names, 1):
        if name not in known:
            _dvc("exp", "run", "--queue", "--name", name, "--set-param", f"train.seed={seed}", *copied)
    if set(names) - set(done):
        run_cache.forget_mixed()
        _run_queue()
        done = _known(head)
    if missing := [name for name in names if name not in done]:
        raise errors.InputError(
            f"{missing[0]} failed: see `dvc queue logs {missing[0]}`, or .dvc/tmp/exps/celery; `dvc queue remove "
            "--failed` takes all that failed out of DVC's lists"
        )
    try:
        revisions.read_side(",".join(names))
    except errors.InputError as error:
        raise errors.InputError(f"{error}; to run an experiment again, `dvc exp remove` it first") from None
    return names


def _check_readable(names: list[str]) -> None:
    """Make sure that the results of experiments that have run can be read, before others are run beside them.

    Raises:
        InputError: the results of some cannot be read.
    """
    lost: dict[str, errors.InputError] = {}
    for name in names:
        try:
            revisions.read(name)
        except errors.InputError as error:
            lost[name] = error
    if lost:
        first = next(iter(lost.values()))
        raise errors.InputError(f"{first}; or run it anew: `dvc exp remove {' '.join(lost)}`, and this again")


def _check_unchanged(sources: list[Path]) -> None:
    """Compare data that git does not track with dvc.lock.

    Raises:
        InputError: it has changed.
    """
    for change in changes.changes():
        if Path(change.path) in sources and change.what == "modified":
            raise errors.InputError(
                f"the data has changed since dvc.lock was written ({change}): run `dvc repro` and commit "
                f"{revisions.RESULTS}"
            )


def _run_queue() -> None:
    """Run DVC's queue; DVC would wait for ever for an experiment that fails before its first stage starts.

    Raises:
        InputError: DVC failed.
    """
    with subprocess.Popen([*DVC, "exp", "run", "--run-all", "--jobs", "1"]) as process:
        idle = 0
        try:
            while process.poll() is None and idle < 2:
                idle = 0 if _waiting() else idle + 1
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
        finally:
            process.terminate()
    if process.returncode > 0:
        raise errors.InputError("`dvc exp run --run-all` failed: see its output above")


def read_metrics(names: list[str]) -> dict[str, dict[str, float]]:
    """The metrics of each experiment."""
    with Repo() as repo:
        shown = repo.metrics.show(revs=names)
    return {name: shown[name]["data"][paths.METRICS]["data"] for name in names}


def table(metrics: dict[str, dict[str, float]]) -> Table:
    """The metrics of each experiment but those about leaked rows, and below them their mean and standard deviation."""
    rows = [{name: value for name, value in row.items() if "leaked" not in name} for row in metrics.values()]
    columns = list(zip(*(row.values() for row in rows), strict=True))
    lines = [(name, *map(number, row.values())) for name, row in zip(metrics, rows, strict=True)]
    lines.append(("mean", *(f"{statistics.mean(column):.4f}" for column in columns)))
    if len(rows) > 1:
        lines.append(("standard deviation", *(f"{statistics.stdev(column):.4f}" for column in columns)))
    return text_table(("", *(name.replace("validation", "val").replace("_", "\n") for name in rows[0])), lines)


def _sources() -> list[Path]:
    """The data and the checkpoint that params.yaml names.

    Raises:
        InputError: one is outside the clone, by a relative path, which leads elsewhere from another folder.
    """
    values = yaml12.read(PARAMS)
    found = [Path(values[name]["path"]) for name in ("dataset", "model")]
    for path in found:
        if path.parts[:1] == (os.pardir,):  # DVC's links lead elsewhere, too
            raise errors.InputError(f"{PARAMS}: {path} is outside the clone: make the path absolute")
    return found


def untracked(sources: list[Path]) -> list[str]:
    """What git does not track of ``sources``; a folder without any tracked file is named as a whole."""
    names = output("git", "ls-files", "-z", "--others", "--directory").split("\0")
    return [
        name
        for name in names
        if name and any(path.is_relative_to(name) or Path(name).is_relative_to(path) for path in sources)
    ]


def _dvc(*arguments: str) -> str:
    return output(*DVC, *arguments, advice="fix that, and run again")


def _known(commit: str) -> list[str]:
    """The names of the experiments that start from ``commit``."""
    return _dvc("exp", "list", "--name-only", "--rev", commit).split()


def _waiting() -> list[str | None]:
    """The names, as far as they have one, of the experiments that are queued or run."""
    with Repo() as repo:
        return [task["name"] for task in repo.experiments.celery_queue.status() if task["status"] in ACTIVE]


def _fail_dead() -> None:
    """Have DVC count as failed what it would wait for since its list has it running, where its worker was killed."""
    with Repo() as repo, redirect_stdout(sys.stderr):  # for what DVC says of each
        queue = repo.experiments.celery_queue

        def running() -> list[str]:
            return [task["rev"] for task in queue.status() if task["status"] == "Running"]

        if running() and not queue.celery.control.inspect(timeout=WORKER_SECONDS, limit=1).active():
            queue.kill(running())  # as the list is now: a worker may have ended what it did


def main() -> None:
    """Run, and print the table."""
    parser = entry.parser("tools.seeds", __doc__)
    parser.add_argument("seeds", type=int, metavar="N", help="train with the seeds 1 to N")
    seeds = parser.parse_args().seeds
    if not 1 <= seeds <= MAX_SEEDS:
        parser.error(f"N: from 1 to {MAX_SEEDS} seeds can be run")
    params.check()
    names = run_experiments(seeds)
    console().print(table(read_metrics(names)))
    print(f"as one side of a comparison: {','.join(names)}")


if __name__ == "__main__":
    entry.run(main, offline=False)  # the stages that it starts inherit the environment, and download may need the hub

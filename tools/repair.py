"""Repair what DVC leaves half-written when it is killed or the disk is full; `dvc repro` would stop there.

Run: python -m tools.repair    (`make repro` begins with it)

DVC writes dvc.lock and .dvc/tmp/rwlock, its list of the processes that use each file, in place: interrupted while it
does, it leaves a file that no later run can read. The list names processes by their ids, which after a restart belong
to other processes. Copies that were under way stay beside the outputs as temporary files. What a stage had finished,
and DVC had not stored, would be made again.
"""

import json
import re
from contextlib import suppress
from pathlib import Path

import psutil
from dvc.config import Config
from dvc.lock import LockError, make_lock
from dvc.utils.serialize import modify_yaml

from stages import documents, dvcfile, entry, hashing, paths, provenance
from stages.errors import InputError
from stages.outputs import remove
from tools import lockfile
from tools.commands import committed, output

LOCK, USERS, REPO_LOCK = lockfile.PATH, Path(".dvc/tmp/rwlock"), Path(".dvc/tmp/lock")
OUTPUTS = ("data", "models", "metrics")
COPY = re.compile(r"\.[\w-]{22}\.tmp")  # dvc_objects.fs.utils.tmp_fname


def repair() -> list[str]:
    """Repair what needs it, unless DVC runs stages here; give a line for each repair.

    Another DVC command is waited for, as `make repro` does anyway.

    Raises:
        InputError: a merge left conflicts in dvc.lock, or DVC's own lock is taken and may stay so: with DVC's
            core.hardlink_lock it outlives its process.
    """
    REPO_LOCK.parent.mkdir(parents=True, exist_ok=True)
    by_links = Config.from_cwd()["core"].get("hardlink_lock", False)
    name, folder = str(REPO_LOCK), str(REPO_LOCK.parent)
    try:
        with make_lock(name, folder, friendly=True, hardlink_lock=by_links, wait=not by_links):
            return _repair()
    except LockError:
        raise InputError(
            f"{REPO_LOCK} is taken: wait for other DVC commands here; if there are none, remove it"
        ) from None


def check_idle() -> None:
    """Look whether DVC is running stages here.

    Raises:
        InputError: it is.
    """
    if running():
        raise InputError("DVC is running stages here: wait until it has finished")


def running() -> bool:
    """Whether a DVC runs stages here; it releases its own lock meanwhile."""
    return USERS.exists() and any(map(_lives, _users() or ()))


def _repair() -> list[str]:
    said = []
    if running():
        return []
    if USERS.exists() and _users() != set():
        USERS.unlink()
        said.append(f"{USERS} was left behind when DVC was killed: removed")
    said += _repair_lock() if LOCK.exists() else []
    for path in (path for folder in OUTPUTS for path in Path(folder).rglob(".*.tmp")):
        if COPY.fullmatch(path.name):
            path.unlink()
            said.append(f"{path} was left behind by an interrupted DVC: removed")
    return said


def _repair_lock() -> list[str]:
    content = LOCK.read_bytes()
    lockfile.check_merged(content)
    try:
        mixed = lockfile.mixed(lockfile.parse(content))
    except InputError:
        whole = committed(LOCK)
        if whole is None:
            LOCK.unlink()
            what = "removed, since none is committed"
        else:
            LOCK.write_bytes(whole)
            what = "restored the committed one"
        return [f"{LOCK} was cut short when DVC was killed: {what}; later results come from the cache"]
    if mixed:
        with modify_yaml(LOCK) as lock:
            for stage in mixed:
                del lock["stages"][stage]
        forget_mixed_runs()
    return [
        f"{LOCK}: {stage}: its inputs and outputs are not of one run, as after a merge: this stage runs again"
        for stage in mixed
    ]


def mixed_runs() -> list[Path]:
    """The runs in the run cache with outputs that no run on their inputs gave, as by `dvc commit` after an edit.

    Of those with the same inputs it is their folder, where none is genuine: DVC cannot read an empty one.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        runs = Path(repo.stage_cache.cache_dir)
    found = []
    for folder in sorted(runs.glob("*/*/")):
        entries = sorted(folder.iterdir())
        mixed = [entry for entry in entries if lockfile.mixed(lockfile.of_run(entry.read_bytes()))]
        found += [folder] if mixed and mixed == entries else mixed
    return found


def forget_mixed_runs() -> None:
    """Remove them, since DVC would take the same outputs from there."""
    for run in mixed_runs():
        remove(run)


def unstored() -> list[str]:
    """The stages with complete, up-to-date outputs that dvc.lock does not have.

    DVC could not store them, as on a full disk. A rerun would begin by deleting them.
    """
    stages: lockfile.Stages = {}
    with suppress(InputError, FileNotFoundError):  # the full disk may have cut it short, too
        stages = lockfile.parse(LOCK.read_bytes())
    definition = lockfile.defined(documents.read(Path("dvc.yaml")))
    found = []
    for stage in lockfile.ALL_STAGES:
        outs = dvcfile.declared(definition.get(stage, {}), *dvcfile.WRITTEN)
        if not outs or not all(Path(out).exists() for out in outs):
            continue
        file = paths.provenance(stage)
        content = Path(file).read_bytes()
        stored = lockfile.files(stages.get(stage, {}), "outs").get(file) == hashing.md5_of(content)
        if not stored and content == stamp_text(stage, outs).encode():
            found.append(stage)
    return found


def stamp_text(stage: str, outs: list[str]) -> str:
    """What a stage would write of its inputs, and of these outputs, as they lie here."""
    made = {out: hashing.md5(Path(out)) for out in outs if out != paths.provenance(stage)}
    return provenance.text(provenance.inputs(stage) | {"outs": made})


def store_finished() -> list[str]:
    """Have DVC store what stages had finished when it was killed or the disk was full; give a line for each stage.

    Raises:
        InputError: DVC cannot.
    """
    stages = [] if running() else unstored()
    for stage in stages:
        output("dvc", "--wait-for-lock", "commit", "--force", stage, advice="fix that, and run again")
    return [f"{stage} had finished, and DVC had not stored it: stored now" for stage in stages]


def _users() -> set[int] | None:
    """The ids of the processes in DVC's list; None if it cannot be read."""
    try:
        users = json.loads(USERS.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if not isinstance(users, dict):
        return None
    readers = (user for several in users.get("read", {}).values() for user in several)
    return {user["pid"] for user in (*users.get("write", {}).values(), *readers)}


def _lives(pid: int) -> bool:
    """Whether that id still belongs to the process in DVC's list, one that started before the list was written."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= USERS.stat().st_mtime and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Repair, and print what was repaired."""
    parser = entry.parser("tools.repair", __doc__)
    parser.parse_args()
    check_idle()
    for line in [*repair(), *store_finished()] or ["nothing to repair"]:
        print(line)


if __name__ == "__main__":
    entry.run(main)

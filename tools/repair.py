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

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.lock import LockError, make_lock
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml

from stages import dvcfile, entry, hashing, paths, provenance
from stages.errors import InputError
from tools import lockfile, pipeline, run_cache, rwlock
from tools.commands import committed, output

LOCK, REPO_LOCK = lockfile.PATH, Path(".dvc/tmp/lock")
OUTPUTS = ("data", "models", "metrics")
COPY = re.compile(r"\.[\w-]{22}\.tmp")  # dvc_objects.fs.utils.tmp_fname


def repair() -> list[str]:
    """Repair what needs it; give a line for each repair.

    Another DVC command is waited for, as `make repro` does anyway.

    Raises:
        InputError: DVC runs stages here, a merge left conflicts in dvc.lock or a .dvc file, or DVC's own lock is taken
            and may stay so: with DVC's core.hardlink_lock it outlives its process.
    """
    REPO_LOCK.parent.mkdir(parents=True, exist_ok=True)
    by_links = Config.from_cwd()["core"].get("hardlink_lock", False)
    name, folder = str(REPO_LOCK), str(REPO_LOCK.parent)
    try:
        with make_lock(name, folder, friendly=True, hardlink_lock=by_links, wait=not by_links):
            rwlock.check_idle()  # only now: other commands are in its list, too, but hold the lock as long as they are
            return _repair()
    except LockError:
        raise InputError(
            f"{REPO_LOCK} is taken: wait for other DVC commands here; if there are none, remove it"
        ) from None


def _repair() -> list[str]:
    said = []
    if rwlock.PATH.exists() and rwlock.users() != set():
        rwlock.PATH.unlink()
        said.append(f"{rwlock.PATH} was left behind when DVC was killed: removed")
    names = ""
    with suppress(InputError):  # without git there is no merge
        names = output("git", "ls-files", "-z", "*.dvc")
    for file in map(Path, filter(None, names.split("\0"))):
        if file.is_file():
            lockfile.check_merged(file, file.read_bytes())
    said += _repair_lock() if LOCK.exists() else []
    for path in (path for folder in OUTPUTS for path in Path(folder).rglob(".*.tmp")):
        if COPY.fullmatch(path.name):
            path.unlink()
            said.append(f"{path} was left behind by an interrupted DVC: removed")
    return said


def _repair_lock() -> list[str]:
    content = LOCK.read_bytes()
    lockfile.check_merged(LOCK, content)  # before the except clause below, which would undo the merge
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
        said = f"{LOCK} was cut short when DVC was killed, or is damaged otherwise: {what}"
        return [f"{said}; later results come from the cache"]
    if mixed:
        with modify_yaml(LOCK) as lock:
            for stage in mixed:  # that DVC has it run again; the stage keeps its place, for the diff's sake
                lock["stages"][stage] = {"cmd": lock["stages"][stage]["cmd"]}
        run_cache.forget_mixed()
    return [
        f"{LOCK}: {stage}: its inputs and outputs are not of one run, as after a merge: that entry is removed"
        for stage in mixed
    ]


def unstored() -> list[str]:
    """The stages with complete, up-to-date outputs that dvc.lock or DVC's cache does not have.

    DVC could not store them, as on a full disk, or its cache was emptied. A rerun would begin by deleting them.
    """
    stages: pipeline.Stages = {}
    with suppress(InputError, FileNotFoundError):  # the full disk may have cut it short, too
        stages = lockfile.parse(LOCK.read_bytes())
    definition, made, lost = pipeline.stages(), lockfile.makers(stages), _lost()
    found: list[str] = []
    for stage in pipeline.STAGES:
        outs = dvcfile.declared(definition[stage], *dvcfile.WRITTEN)
        file = paths.provenance(stage)
        if file not in outs or not all(Path(out).exists() for out in outs):
            continue
        content = Path(file).read_bytes()
        locked = lockfile.files(stages.get(stage, {}), "outs").get(file) == hashing.md5_of(content)
        if (locked and stage not in lost) or content != _stamp_now(stage, outs):
            continue
        # after a checkout of another branch its inputs here may be others: that branch's dvc.lock has its results
        read = json.loads(content)["deps"]
        if all(made[path][1] == md5 or made[path][0] in found for path, md5 in read.items() if path in made):
            found.append(stage)
    return found


def _lost() -> set[str]:
    """The stages of whose outputs in dvc.lock the cache lacks a file, as DVC looks for them."""
    with suppress(DvcException), Repo() as repo:  # where DVC cannot read dvc.lock, it has none of them
        return {out.stage.addressing for out in repo.index.outs if out.use_cache and out.changed_cache()}
    return set()


def _stamp_now(stage: str, outs: list[str]) -> bytes | None:
    """What a stage would write of its inputs now; None where params.yaml cannot be read, which is told elsewhere."""
    with suppress(InputError):
        return stamp_text(stage, outs).encode()
    return None


def stamp_text(stage: str, outs: list[str]) -> str:
    """What a stage would write of its inputs, and of these outputs, as they lie here."""
    made = {out: hashing.md5(Path(out)) for out in outs if out != paths.provenance(stage)}
    return provenance.text(provenance.inputs(stage) | {"outs": made})


def store_finished() -> list[str]:
    """Have DVC store what stages had finished when it was killed or the disk was full; give a line for each stage.

    Raises:
        InputError: DVC cannot.
    """
    stages = [] if rwlock.running() else unstored()
    for stage in stages:
        output("dvc", "--wait-for-lock", "commit", "--force", stage, advice="fix that, and run again")
    return [f"{stage} had finished, and DVC did not have it: stored now" for stage in stages]


def main() -> None:
    """Repair, and print what was repaired."""
    entry.parser("tools.repair", __doc__).parse_args()
    for line in [*repair(), *store_finished()] or ["nothing to repair"]:
        print(line)


if __name__ == "__main__":
    entry.run(main)

"""What DVC leaves half-written when it is killed or the disk is full, put right: `dvc repro` itself would ask a person.

DVC writes dvc.lock and its list of who uses which file (.dvc/tmp/rwlock) in place. Ended in that moment, it leaves
a file that no later run can read. That list names processes by number, which after a restart are others. And copies
that it had begun lie under names of their own beside the outputs.
"""

import json
import re
import subprocess
from pathlib import Path

import psutil
import yaml
from dvc.lock import LockError, make_lock
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from stages import documents

LOCK, USERS, RUNNING = Path("dvc.lock"), Path(".dvc/tmp/rwlock"), Path(".dvc/tmp/lock")
OUTPUTS = ("data", "models", "metrics")
COPY = re.compile(r"\.[\w-]{22}\.tmp")  # dvc_objects.fs.utils.tmp_fname


def mend() -> list[str]:
    """Put right what needs it, unless a DVC is at work here; give a line on each thing that did."""
    RUNNING.parent.mkdir(parents=True, exist_ok=True)
    try:
        with make_lock(str(RUNNING), tmp_dir=str(RUNNING.parent)):
            return _mend()
    except LockError:
        return []


def _mend() -> list[str]:
    said = []
    if USERS.exists():
        users = _users()
        if users and any(map(_lives, users)):  # DVC lets go of its lock while a stage runs
            return []
        if users != set():
            USERS.unlink()
            said.append(f"{USERS} was left by a DVC that was killed: removed")
    text = LOCK.read_text(encoding="utf-8", errors="surrogateescape") if LOCK.exists() else ""
    if re.search("^<<<<<<< ", text, re.MULTILINE):
        said.append(f"{LOCK} has a merge's conflicts: take one side (`git checkout --ours {LOCK}`) and run again")
    elif LOCK.exists() and not _readable(text):
        committed = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
        if committed.returncode == 0:
            LOCK.write_bytes(committed.stdout)
        else:
            LOCK.unlink()
        what = "it is the committed one again" if committed.returncode == 0 else "removed, since none is committed"
        said.append(f"{LOCK} was cut short by a kill: {what}; the cache has the rest")
    for path in (path for folder in OUTPUTS for path in Path(folder).rglob(".*.tmp")):
        if COPY.fullmatch(path.name):
            path.unlink()
            said.append(f"{path} was left by a DVC that did not come to its end: removed")
    return said


def _readable(text: str) -> bool:
    try:
        return whole(documents.parse(text))
    except (yaml.YAMLError, ValueError):
        return False


def whole(lock: object) -> bool:
    """Whether this is what DVC writes into dvc.lock: cut short, that may be YAML still."""
    try:
        stages = COMPILED_LOCKFILE_SCHEMA(lock).get("stages", {})
    except Invalid:
        return False
    return all("md5" in file for stage in stages.values() for kind in ("deps", "outs") for file in stage.get(kind, []))


def _users() -> set[int] | None:
    """The numbers of the processes in DVC's list; None where it cannot be read."""
    try:
        users = json.loads(USERS.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if not isinstance(users, dict):
        return None
    readers = (user for several in users.get("read", {}).values() for user in several)
    return {user["pid"] for user in (*users.get("write", {}).values(), *readers)}


def _lives(pid: int) -> bool:
    """Whether the process of that number still is the one that is in DVC's list: it began before that was written."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= USERS.stat().st_mtime and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

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
    if LOCK.exists() and not _readable():
        committed = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
        if committed.returncode == 0:
            LOCK.write_bytes(committed.stdout)
        else:
            LOCK.unlink()
        said.append(f"{LOCK} was cut short by a kill: it is the committed one again, and the cache has the rest")
    for path in (path for folder in OUTPUTS for path in Path(folder).rglob(".*.tmp")):
        if COPY.fullmatch(path.name):
            path.unlink()
            said.append(f"{path} was left by a DVC that did not come to its end: removed")
    return said


def _readable() -> bool:
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(LOCK.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


def _users() -> set[int] | None:
    """The numbers of the processes in DVC's list; None where it cannot be read."""
    try:
        users = json.loads(USERS.read_text(encoding="utf-8"))
    except ValueError:
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

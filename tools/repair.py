"""Repair what DVC leaves half-written when it is killed or the disk is full; `dvc repro` would stop there.

DVC writes dvc.lock and .dvc/tmp/rwlock, its list of the processes that use each file, in place: interrupted while it
does, it leaves a file that no later run can read. The list names processes by their ids, which belong to others after
a restart. Copies that were under way stay beside the outputs as temporary files.
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


def repair() -> list[str]:
    """Repair what needs it, unless DVC is running here; give a line for each repair."""
    RUNNING.parent.mkdir(parents=True, exist_ok=True)
    try:
        with make_lock(str(RUNNING), tmp_dir=str(RUNNING.parent)):
            return _repair()
    except LockError:
        return []


def _repair() -> list[str]:
    said = []
    if USERS.exists():
        users = _users()
        if users and any(map(_lives, users)):  # DVC releases its lock while a stage runs
            return []
        if users != set():
            USERS.unlink()
            said.append(f"{USERS} was left behind when DVC was killed: removed")
    text = LOCK.read_text(encoding="utf-8", errors="surrogateescape") if LOCK.exists() else ""
    if re.search("^<<<<<<< ", text, re.MULTILINE):
        said.append(f"{LOCK} has merge conflicts: take one side (`git checkout --ours {LOCK}`) and run again")
    elif LOCK.exists() and not _readable(text):
        committed = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
        if committed.returncode == 0:
            LOCK.write_bytes(committed.stdout)
        else:
            LOCK.unlink()
        what = "restored the committed one" if committed.returncode == 0 else "removed, since none is committed"
        said.append(f"{LOCK} was cut short when DVC was killed: {what}; later results come from the cache")
    for path in (path for folder in OUTPUTS for path in Path(folder).rglob(".*.tmp")):
        if COPY.fullmatch(path.name):
            path.unlink()
            said.append(f"{path} was left behind by an interrupted DVC: removed")
    return said


def _readable(text: str) -> bool:
    try:
        return whole(documents.parse(text))
    except (yaml.YAMLError, ValueError):
        return False


def whole(lock: object) -> bool:
    """Whether this is a complete dvc.lock: one that was cut short may still be valid YAML."""
    try:
        stages = COMPILED_LOCKFILE_SCHEMA(lock).get("stages", {})
    except Invalid:
        return False
    return all("md5" in file for stage in stages.values() for kind in ("deps", "outs") for file in stage.get(kind, []))


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

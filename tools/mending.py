"""What DVC leaves half-written when it is killed, put right; `dvc repro` by itself would ask a person to.

DVC writes dvc.lock and its list of who uses which file (.dvc/tmp/rwlock) in place. Killed in that moment, it leaves
a file that no later run can read. And that list names processes by number, which after a restart are others.
"""

import json
import subprocess
from pathlib import Path

import psutil
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

LOCK, USERS = Path("dvc.lock"), Path(".dvc/tmp/rwlock")


def mend() -> list[str]:
    """Put dvc.lock and .dvc/tmp/rwlock right where they need it; give a line on each that did."""
    said = []
    if LOCK.exists() and not _readable():
        committed = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
        if committed.returncode == 0:
            LOCK.write_bytes(committed.stdout)
        else:
            LOCK.unlink()
        said.append(f"{LOCK} was cut short by a kill: it is the committed one again, and the cache has the rest")
    if USERS.exists() and not _in_use():
        USERS.unlink()
        said.append(f"{USERS} was left by a DVC that was killed: removed")
    return said


def _readable() -> bool:
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(LOCK.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


def _in_use() -> bool:
    """Whether a process that is named in the list still is the one that wrote it: it began before that."""
    try:
        users = json.loads(USERS.read_text(encoding="utf-8"))
        pids = {user["pid"] for user in users.get("write", {}).values()}
        pids |= {user["pid"] for readers in users.get("read", {}).values() for user in readers}
    except ValueError:
        return False
    written = USERS.stat().st_mtime
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.create_time() <= written and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            continue
    return not pids

"""Whether DVC runs stages here, by its list of the processes that use each file: .dvc/tmp/rwlock."""

import json
from pathlib import Path

import psutil
from dvc.rwlock import SCHEMA
from voluptuous import Invalid

from stages.errors import InputError

PATH = Path(".dvc/tmp/rwlock")


def check_idle() -> None:
    """Look whether DVC is running stages here.

    Raises:
        InputError: it is.
    """
    if running():
        raise InputError("DVC is running stages here: wait until it has finished")


def running() -> bool:
    """Whether a DVC runs stages here; it releases its own lock meanwhile."""
    return PATH.exists() and any(map(_lives, users() or ()))


def users() -> set[int] | None:
    """The ids of the processes in DVC's list; None if DVC cannot read it."""
    try:
        listed = SCHEMA(json.loads(PATH.read_text(encoding="utf-8")))
    except (ValueError, Invalid):
        return None
    readers = (user for several in listed["read"].values() for user in several)
    return {user["pid"] for user in (*listed["write"].values(), *readers)}


def _lives(pid: int) -> bool:
    """Whether that id still belongs to the process in DVC's list, one that started before the list was written."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= PATH.stat().st_mtime and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

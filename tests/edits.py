"""What tests do to a file: break it, add to it, put something else in its place."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clones import git

from stages import dvcfile, paths
from tools import lockfile, repair


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def substitute(path: Path, old: str, new: str) -> None:
    """Put a text in the place of another, which is there once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def cut(path: Path) -> None:
    """Leave out the file's end."""
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path, *, silently: bool = False) -> None:
    """Flip a bit in the middle of a file; silently, as a bad disk does, without a trace in its times."""
    before = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(before.st_mode)
    if silently:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def forget_run(clone: Path) -> None:
    """Commit the clone as one that has never run; dvc.lock stays in the workspace."""
    git("rm", "--quiet", "--cached", "dvc.lock", cwd=clone)
    git("commit", "--quiet", "--message", "no run yet", cwd=clone)


def in_cache(clone: Path, path: str) -> Path:
    """Where DVC's cache has an output of dvc.lock; of a folder, the list of its files."""
    _, digest = lockfile.makers(lockfile.parse((clone / "dvc.lock").read_bytes()))[path]
    return cached(clone, digest)


def cached(clone: Path, digest: str) -> Path:
    """Where DVC's cache has what has that MD5."""
    return clone / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


def restamp(stage: str) -> None:
    """Write what a stage says of its inputs and outputs anew, from what lies in this folder, as a run of it would."""
    file = Path(paths.provenance(stage))
    declared = dvcfile.declared(dvcfile.read(stage), *dvcfile.WRITTEN)
    text = repair.stamp_text(stage, declared)
    file.unlink()
    file.write_text(text, encoding="utf-8")


def edit_json(path: Path, **changes: Any) -> None:
    """Set keys of the object that a JSON file holds."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def instead(path: Path, make: Callable[[Path], object]) -> None:
    """Make something else in the place of a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def used_by(folder: Path, pid: int, *kinds: str) -> Path:
    """DVC's list of who uses which file, with a single process in it, which reads, writes or does both."""
    list_of_users = folder / ".dvc/tmp/rwlock"
    list_of_users.parent.mkdir(parents=True, exist_ok=True)
    user = {"pid": pid, "cmd": "dvc repro"}
    content = {"write": {str(folder / "models"): user}, "read": {str(folder / "data"): [user]}}
    kept = {kind: content[kind] for kind in kinds or content}
    list_of_users.write_text(json.dumps(kept), encoding="utf-8")
    return list_of_users

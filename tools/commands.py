"""What git and DVC answer on the command line; a command that fails is an error in one line."""

import os
import subprocess
import textwrap
from pathlib import Path

from stages.errors import InputError, listed

AT_THE_TOP = "run this at the top of a clone of the repository"


def changed(*more: str) -> list[str]:
    """The files that git tracks and that differ from HEAD's, and those of the stages and ``more`` that it does not."""
    status = ("git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=none")
    tracked = [entry[3:] for entry in output(*status).split("\0") if entry]
    others = output("git", "ls-files", "-z", "--others", "--exclude-standard", "--", "stages", *more)
    untracked = [name for name in others.split("\0") if name]
    flags = [entry.split(" ", 1) for entry in output("git", "ls-files", "-v", "-z").split("\0") if entry]
    hidden = [name for flag, name in flags if flag.islower() or (flag == "S" and Path(name).exists())]
    return tracked + untracked + [name for name in hidden if _differs(name)]


def _differs(name: str) -> bool:
    """Whether a file that git was told to take for unchanged differs from the index's."""
    if not Path(name).is_file() or Path(name).is_symlink():
        return not os.path.lexists(name)
    return output("git", "hash-object", "--", name) != output("git", "rev-parse", f":./{name}")


def check_committed(since: str, *more: str) -> None:
    """Make sure that HEAD has all files that git tracks, those of the stages, and ``more``, as they are.

    Raises:
        InputError: it has not; the message ends with ``since``.
    """
    if names := changed(*more):
        raise InputError(f"there are uncommitted changes ({listed(names)}): commit them, since {since}")


def committed(path: Path) -> bytes | None:
    """The content of a file in HEAD; None where HEAD has none.

    Raises:
        InputError: git does not trust the clone, so that nobody knows.
    """
    done = subprocess.run(("git", "show", f"HEAD:./{path}"), capture_output=True, check=False)
    _check_trusted(os.fsdecode(done.stderr))
    return None if done.returncode else done.stdout


def _check_trusted(said: str) -> None:
    if "safe.directory" in said:  # in git's own advice, in whatever language the rest is
        allow = said.splitlines()[-1].strip()  # the path quoted
        raise InputError(f"git does not read a clone that another user owns: run `{allow}`")


def commit(revision: str = "HEAD", *options: str, advice: str = AT_THE_TOP) -> str:
    """The hash of a revision's commit, shortened as `git rev-parse`'s options say.

    Raises:
        InputError: git has none of that name; the message ends with ``advice``.
    """
    return output("git", "rev-parse", *options, "--verify", f"{revision}^{{commit}}", advice=advice).strip()


def shallow() -> bool:
    """Whether the clone lacks a part of the history."""
    return output("git", "rev-parse", "--is-shallow-repository").strip() == "true"


def output(*command: str, advice: str = AT_THE_TOP) -> str:
    """What a command prints on standard output.

    Raises:
        InputError: it failed; the message has what it printed on standard error, then ``advice``.
    """
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False)
    if done.returncode:
        _check_trusted(done.stderr)
        said = textwrap.shorten(done.stderr, 300, placeholder=" ...") or f"exit code {done.returncode}"
        raise InputError(f"`{' '.join(command)}`: {said}: {advice}")
    return done.stdout

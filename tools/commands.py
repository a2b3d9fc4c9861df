"""What git and DVC answer on the command line; a command that fails is an error in one line."""

import subprocess
import textwrap
from pathlib import Path

from stages.errors import InputError


def changed() -> bool:
    """Whether a file that git tracks differs from HEAD's, or a file of the stages is not tracked."""
    tracked = output("git", "status", "--porcelain", "--untracked-files=no")
    return bool(tracked or output("git", "ls-files", "--others", "--exclude-standard", "--", "stages"))


def check_committed(since: str) -> None:
    """Make sure that HEAD has all files that git tracks, and those of the stages, as they are.

    Raises:
        InputError: it has not; the message ends with ``since``.
    """
    if changed():
        raise InputError(f"there are uncommitted changes: commit them, since {since}")


def committed(path: Path) -> bytes | None:
    """The content of a file in HEAD; None where HEAD has none."""
    done = subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, check=False)
    return None if done.returncode else done.stdout


def output(*command: str, advice: str = "run this at the top of a clone of the repository") -> str:
    """What a command prints on standard output.

    Raises:
        InputError: it failed; the message has what it printed on standard error, then ``advice``.
    """
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False)
    if done.returncode:
        said = textwrap.shorten(done.stderr, 300, placeholder=" ...") or f"exit code {done.returncode}"
        raise InputError(f"`{' '.join(command)}`: {said}: {advice}")
    return done.stdout

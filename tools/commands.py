"""What git and DVC answer on the command line; a command that fails is an error in one line."""

import subprocess
import textwrap

from stages.errors import InputError


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

"""How every stage and tool starts and ends: pinned versions only, errors in one line, exit code 1."""

import errno
import os
import sys
import textwrap
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version


class InputError(Exception):
    """Something the person at the keyboard can mend; its text says what is wrong, where, and what to do."""


def reason(error: Exception) -> str:
    """What a library says of an error, in one line."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")


def check_versions(requirements: Path = Path("requirements.txt")) -> None:
    """Compare the installed libraries with the pins, local labels (``+cpu``) aside.

    Raises:
        InputError: a library is missing or has another version, so that what it computes would enter the cache under
            the wrong name.
    """
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = Requirement(line)
        try:
            installed = Version(metadata.version(pin.name)).public
        except metadata.PackageNotFoundError:
            raise InputError(f"{requirements}: {pin} is not installed: run `make install`") from None
        if not pin.specifier.contains(installed, prereleases=True):
            raise InputError(f"{requirements}: {pin} is pinned but {installed} is installed: run `make install`")


def run(main: Callable[[], None], *, offline: bool = True) -> None:
    """Call ``main``; turn what a person can mend into one line on stderr and exit code 1.

    ``RETUNE_TRACEBACK=1`` shows the traceback as well. With ``offline`` no Hugging Face library reaches for the hub.
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    try:
        check_versions()
        main()
    except (InputError, OSError) as error:
        if os.environ.get("RETUNE_TRACEBACK"):
            raise
        if isinstance(error, InputError):
            message = str(error)
        elif error.errno == errno.ENOSPC:
            message = f"{error.filename or 'an output'}: no space left on the device: make room and run again"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            message = f"{error.filename}: {error.strerror}: check its permissions"
        else:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

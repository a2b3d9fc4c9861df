"""requirements.txt: the libraries that compute and draw, each with its version, and whether these are installed."""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from stages.errors import InputError, reason

REQUIREMENTS = Path("requirements.txt")


def pins() -> list[Requirement]:
    """The libraries and their versions, of this platform.

    Raises:
        InputError: a line is no requirement or does not pin one version, or the file is not UTF-8.
    """
    try:
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{REQUIREMENTS}: byte {error.start} is not UTF-8: undo its last edit") from None
    found = [_requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return [pin for pin in found if pin.marker is None or pin.marker.evaluate()]


def _requirement(line: str) -> Requirement:
    try:
        pin = Requirement(line)
    except InvalidRequirement as error:
        raise InputError(f"{REQUIREMENTS}: {line}: not a requirement ({reason(error)}): undo its last edit") from None
    if not re.fullmatch(r"==[^*]+", str(pin.specifier)):
        raise InputError(f"{REQUIREMENTS}: {line}: not pinned to one version: write it as name==version")
    return pin


def check_installed() -> None:
    """Compare the installed libraries with the pins; a local label (``+cpu``) counts where the pin has one.

    Raises:
        InputError: a library is missing or has another version, so that what it computes would enter the cache under
            the wrong name.
    """
    for pin in pins():
        try:
            installed = Version(metadata.version(pin.name))
        except metadata.PackageNotFoundError:
            raise InputError(f"{REQUIREMENTS}: {pin} is not installed: run `make install`") from None
        if not pin.specifier.contains(installed, prereleases=True):
            raise InputError(f"{REQUIREMENTS}: {pin} is pinned but {installed} is installed: run `make install`")

"""requirements.txt: the libraries that compute and draw, each with its version, and whether these are installed."""

import os
import re
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
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
    found = [_requirement(text) for line in lines if (text := re.sub(r"(^|\s)#.*", "", line).strip())]
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
        InputError: a library is missing, has another version, or is hidden by another on PYTHONPATH, so that what is
            computed would enter the cache under the wrong name.
    """
    if os.environ.get("PYTHONPATH"):
        _check_not_shadowed()
    for pin in pins():
        try:
            installed = Version(metadata.version(pin.name))
        except metadata.PackageNotFoundError:
            raise InputError(f"{REQUIREMENTS}: {pin} is not installed: run `make install`") from None
        if not pin.specifier.contains(installed, prereleases=True):
            raise InputError(f"{REQUIREMENTS}: {pin} is pinned but {installed} is installed: run `make install`")


def _check_not_shadowed() -> None:
    pinned = {canonicalize_name(pin.name) for pin in pins()}
    for module, libraries in metadata.packages_distributions().items():
        found = PathFinder.find_spec(module)
        for library in {name for name in libraries if canonicalize_name(name) in pinned}:
            place = str(metadata.distribution(library).locate_file(""))
            if found and found.origin and not Path(found.origin).is_relative_to(place):
                raise InputError(f"PYTHONPATH: {found.origin} hides the {library} of {place}: unset it")

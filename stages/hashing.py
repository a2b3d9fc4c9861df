"""Hashes of files and folders: the MD5 of dvc.lock, and SHA-256."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stages.errors import InputError


def files_in(folder: Path) -> Iterator[Path]:
    """The files whose hashes make up a folder's in dvc.lock: all but those that are hidden from DVC."""
    from dvc.fs import localfs  # importing it takes 0.2 s
    from dvc.ignore import DvcIgnoreFilter

    return map(Path, DvcIgnoreFilter(localfs, str(Path.cwd())).find(localfs, str(folder)))


def md5(path: Path, files: Callable[[Path], Iterable[Path]] = files_in) -> str:
    """The MD5 of a file, in hexadecimal, or what DVC makes of a folder: that of the list of its files, and ``.dir``."""
    if path.is_dir():
        return md5_of_folder({file.relative_to(path).as_posix(): md5(file) for file in files(path)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_folder(files: dict[str, str]) -> str:
    """The MD5 of a folder as in dvc.lock, from the MD5 of each of its files by its path in the folder."""
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return f"{md5_of(json.dumps(listing, sort_keys=True).encode())}.dir"


def check_not_hidden(folder: Path, files: Iterable[Path]) -> None:
    """Compare what a stage reads of a folder, or writes to it, with what DVC hashes of it.

    Raises:
        InputError: a file is hidden from DVC, which would miss its edits, or not store it.
    """
    if hidden := set(files).difference(files_in(folder)):
        raise InputError(
            f"{min(hidden)}: hidden from DVC, by a pattern in .dvcignore, a .dvc folder beside it or a link in its "
            "path, so that no edit would rerun anything, and no result be stored: remove what hides it"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(content: bytes) -> str:
    """The MD5 of bytes, in hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

"""The files of a revision, and whether they are those in its dvc.lock, through git and DVC: nothing is checked out.

Of an input of the workspace `changed_here` answers, of a commit what `changed_in_git` gives; what nobody can know is
not held against the input. In a commit the hash of the content comes first; where git has something else in its place
(a link, a submodule, an LFS pointer, a part of the folder), git's history decides.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from stages import errors, hashing
from stages.files import LFS
from tools import lockfile
from tools.commands import output, shallow
from tools.outdated import Changed
from tools.pipeline import Stages

WORKSPACE = "workspace"  # DVC's name for the files in the working tree
LOCK = str(lockfile.PATH)
SYMLINK, SUBMODULE = "120", "160"  # how the mode of one begins
MAX_LINKS = 40  # one after the other, as Linux has it
MAX_FILES = 1000  # of a folder, to be hashed one by one


class ShallowError(errors.InputError):
    """A shallow clone lacks the history that would tell."""


@contextmanager
def files_at(revision: str) -> Iterator[Any]:
    """The files of a revision, or of the workspace, as a file system: git's, and DVC's from its cache or remote.

    Raises:
        InputError: there is no such revision, or this clone lacks files of it.
    """
    from dvc.config import Config
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.repo.brancher import switch
    from dvc.scm import RevError, SCMError, resolve_rev

    output("git", "rev-parse", "--git-dir", advice="run this in a clone of the repository that git may read")
    config = dict(Config.from_cwd())  # the remote and the cache are this clone's, whatever the revision had
    with Repo(config=config) as here, ExitStack() as switched:
        try:
            if revision != WORKSPACE:
                _check_here(revision, here.scm.resolve_commit(resolve_rev(here.scm, revision)).hexsha)
            switched.enter_context(switch(here, revision))
        except NotDvcRepoError:
            raise errors.InputError(f"{revision}: has no pipeline here: name a later commit") from None
        except RevError as error:
            fetch = "`git fetch --unshallow`, `git fetch origin BRANCH`" if shallow() else "`git fetch`"
            raise errors.InputError(
                f"{revision}: {error}: name a branch, tag, commit or experiment (`git branch --all`, "
                f"`dvc exp list --all-commits`), after {fetch} or `dvc exp pull` if only the git remote has it"
            ) from None
        except (SCMError, AttributeError, UnicodeError):  # the last two for HEAD:README.md and the like, and odd bytes
            raise errors.InputError(
                f"{revision}: not a commit of a git repository: name one, in a clone of this repository"
            ) from None
        yield here.dvcfs


def _check_here(revision: str, commit: str) -> None:
    listed = output("git", "rev-list", "--objects", "--no-walk", "--missing=print", commit)
    if any(line.startswith("?") for line in listed.splitlines()):  # which DVC would wait for, for ever
        raise errors.InputError(f"{revision}: a partial clone lacks files of it: run `git fetch --refetch --no-filter`")


def workspace_digest(path: str) -> str | None:
    """The hash of a file or folder of the working tree, None where there is none."""
    return hashing.md5(Path(path)) if Path(path).exists() else None


def changed_here(files: Any, path: str, md5: str) -> bool:
    """Whether a file or folder of the working tree has another hash; of what is absent, by DVC, or if git has had it.

    DVC has no hash for a folder within the one that was given to `dvc add`.
    """
    known = workspace_digest(path)
    if known or not _is_within(path):
        return known not in {None, md5}
    if files.exists(path):
        return files.info(path).get("md5") not in {None, md5}
    return bool(output("git", "log", "-1", "--format=%H", "--", path))


def _is_within(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def changed_in_git(files: Any, lock: Stages) -> Changed:
    """A function that says whether a commit has a file or folder, or its .dvc file, with another hash than dvc.lock.

    Git may lack the files, or some of those that a folder has in dvc.lock, or have links or git LFS's pointers in their
    place, so that the hash is unknown: then, whether git changed them since dvc.lock got the hash, or has lost them.

    Raises:
        InputError: by that function, where only git's history would tell and a shallow clone lacks it.
    """
    commit = files.repo.get_rev()
    deps = [dep for stage in lock.values() for dep in stage.get("deps", [])]
    numbers = {Path(dep["path"]).as_posix(): dep.get("nfiles") or 0 for dep in deps}
    listed = [entry.split("\t", 1) for entry in output("git", "ls-tree", "-r", "-z", commit).split("\0") if entry]
    names = {Path(name) for _, name in listed}
    linked = {Path(name): kind for kind, name in listed if kind[:3] in {SYMLINK, SUBMODULE}}

    def changed(path: str, md5: str) -> bool:
        exists = not Path(path).is_absolute() and files.exists(path)
        if not exists and (not _is_within(path) or shallow()):  # git may have had it, for all one knows
            return False
        if exists and (known := _digest(files, path, at_least=numbers.get(path, 0), links=linked)):
            return known != md5
        return _changed_since_run(commit, behind(Path(path), names, linked), md5)

    return changed


def _digest(files: Any, path: str, *, at_least: int, links: Iterable[Path]) -> str | None:
    """The hash of a file or folder; None where git LFS has it, or a folder has links, too few files or too many."""
    if md5 := files.info(path).get("md5"):
        return str(md5)
    if any(link.is_relative_to(path) for link in links):
        return None
    if files.isfile(path):
        return _file_digest(files, path)
    found = files.fs.find(path, detail=True)
    if not at_least <= len(found) <= MAX_FILES:
        return None
    digests = {}
    for name, info in found.items():
        if (md5 := info.get("md5") or _file_digest(files, name)) is None:
            return None
        digests[Path(name).relative_to(path).as_posix()] = md5
    return hashing.md5_of_folder(digests)


def _file_digest(files: Any, name: str) -> str | None:
    content = files.read_bytes(name)
    return None if content.startswith(LFS) else hashing.md5_of(content)


def behind(path: Path, names: set[Path], linked: dict[Path, str]) -> list[str]:
    """A path of a commit; and links, what they lead to, submodules and .dvc files in it or on the way to it.

    Args:
        path: relative to the clone, as all others.
        names: the files of the commit.
        linked: what `git ls-tree` says of its links and submodules.
    """
    found, waiting = {path}, [(path, 0)]
    while waiting:
        place, followed = waiting.pop()
        found |= {file for part in (place, *place.parents) if (file := Path(f"{part}.dvc")) in names}
        for link, kind in linked.items():
            inside = place.is_relative_to(link)
            if not inside and not link.is_relative_to(place):
                continue
            found.add(link)
            if kind.startswith(SYMLINK) and followed < MAX_LINKS:
                target = os.path.normpath(link.parent / output("git", "cat-file", "blob", kind.split()[2]))
                led = Path(target, place.relative_to(link) if inside else "")
                if _is_within(str(led)) and led not in found:
                    found.add(led)
                    waiting.append((led, followed + 1))
    return [str(path), *sorted(map(str, found - {path}))]


def _changed_since_run(commit: str, paths: list[str], md5: str) -> bool:
    """Whether git has other ``paths`` in ``commit`` than where dvc.lock first got ``md5``, or was last committed."""
    if shallow():
        raise ShallowError(f"{paths[0]}: a shallow clone cannot tell if it changed: run `git fetch --unshallow`")
    log = ("git", "log", "--no-show-signature", "--format=%H", commit)
    # the oldest commit to bring the hash into dvc.lock, since a later one may be a revert; where none did, as when a
    # merge brought it, or dvc.lock spells it otherwise, the last to touch dvc.lock
    got = output(*log, f"-S{md5}", "--", LOCK).split()
    ran = got[-1] if got else output(*log, "-1", "--", LOCK).strip()
    return bool(output("git", "diff", "--ignore-submodules=none", "--name-only", ran, commit, "--", *paths))

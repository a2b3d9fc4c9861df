"""What differs from dvc.lock, by `dvc status`, where the data need not be at hand.

By itself, `dvc status` calls whatever is absent "deleted" or "not in cache". Here, what DVC can bring back is left out,
and what neither git nor DVC has is an error.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import InputError, reason
from tools import pipeline


class Change(NamedTuple):
    """What differs from dvc.lock, in the words of `dvc status`; kind and path are empty where it is the whole stage."""

    stage: str
    kind: str
    path: str
    what: str

    def __str__(self) -> str:
        """A line to print."""
        return ": ".join(filter(None, self))


def changes(*targets: str) -> list[Change]:
    """The inputs and outputs of the stages that differ from dvc.lock; not those merely absent here, if DVC stores them.

    Given ``targets``, names of stages, only those are looked at, and what they depend on. An absent folder that is no
    output as a whole, but whose files are, counts as deleted.

    Raises:
        InputError: DVC cannot read the pipeline, an input is nowhere, or a stage to be run is frozen.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    status: dict[str, Any] = {}
    try:
        with Repo() as repo, repo.lock:
            stages = _collected(repo, targets)
            frozen = [stage.addressing for stage in stages if stage.frozen]
            for stage in stages:
                stage.frozen = False  # else DVC would not look at its deps
                status |= stage.status()
            tracked = {out.fs_path: out for out in repo.index.outs if not pipeline.defines(out.stage)}
            # the status of the .dvc file's own stage would only say that the cache lacks them
            status |= {out.stage.addressing: [{"changed outs": what}] for out, what in _changed_data(repo, stages)}
            restorable = _restorable(stages, tracked)
            named = {str(out): out.stage.addressing for out in tracked.values()}
            lost = _nowhere(repo, stages)
    except LockError:
        raise InputError("another DVC command is running here: wait until it has finished") from None
    except (DvcException, OSError, UnicodeError) as error:
        raise InputError(
            f"DVC cannot read the pipeline or its data ({reason(error)}): undo the last edit, check the permissions, "
            "or, if DVC was killed, run `python -m tools.repair`"
        ) from None
    if lost:
        raise InputError(
            f"{lost[0]} is neither in git nor in DVC: commit it, or run `dvc add {shlex.quote(lost[0])}` and commit "
            "what that writes, or, if nothing needs it, take it out of dvc.yaml"
        )
    found = sorted(_changes(status, restorable, named))
    for change in found:
        if change.kind == "changed deps" and change.stage in frozen:
            raise InputError(f"dvc.yaml: {change}: {pipeline.frozen(change.stage)}")
    return found


def _collected(repo: Any, targets: tuple[str, ...]) -> list[Any]:
    """The stages that `dvc repro` would look at, each once."""
    found = (stage for target in targets or ("dvc.yaml",) for stage in repo.stage.collect(target, with_deps=True))
    return [stage for stage in dict.fromkeys(found) if pipeline.defines(stage)]


def check_data() -> None:
    """Look for data under `dvc add` that are another version than their .dvc file names, which DVC would write anew.

    They are where git alone has changed that file, by a checkout or a merge. Data that DVC's cache lacks are an edit;
    it has an edit, too, if an experiment took it along.

    Raises:
        InputError: there are some.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with suppress(DvcException, UnicodeError), Repo() as repo:  # what DVC cannot read, it will name
        for out, _ in _changed_data(repo, _collected(repo, ())):
            if out.is_in_repo and out.cache.exists(out.get_hash().value):
                file = shlex.quote(out.stage.addressing)
                raise InputError(
                    f"{out.stage.addressing} names another version of {out} than the one here: if this is right, as "
                    f"after an edit, run `dvc commit --force {file}`; to go to the other, as after a merge, `dvc "
                    f"checkout {file}` (`dvc pull {file}` if DVC's cache lacks it)"
                )


def _changed_data(repo: Any, stages: list[Any]) -> list[tuple[Any, dict[str, str]]]:
    """The data that a stage reads and that are not what their .dvc file says, and their status."""
    read = {dep.fs_path for stage in stages for dep in stage.deps}
    tracked = [out for out in repo.index.outs if not pipeline.defines(out.stage)]
    data = [out for out in tracked if any(pipeline.overlap(out.fs_path, dep) for dep in read)]
    return [(out, what) for out in data if "modified" in (what := out.workspace_status()).values()]


def _restorable(stages: list[Any], tracked: dict[str, Any]) -> set[tuple[str, str]]:
    """What DVC can bring back, of what each stage last read and wrote: a file that is new to it has no hash."""
    made = tracked | {out.fs_path: out for stage in stages for out in stage.outs}
    return {
        (stage.addressing, str(file))
        for stage in stages
        for file in (*stage.deps, *(out for out in stage.outs if out.use_cache))
        if file.hash_info and file.fs_path in made and made[file.fs_path].hash_info == file.hash_info
    }


def _nowhere(repo: Any, stages: list[Any]) -> list[str]:
    """The inputs within this repository that are not in this clone, and that DVC does not store either."""
    outs = [out.fs_path for out in repo.index.outs]
    deps = {str(dep): Path(dep.fs_path) for stage in stages for dep in stage.deps}
    return [
        name
        for name, path in sorted(deps.items())
        if path.is_relative_to(repo.root_dir)
        and not os.path.lexists(path)
        and not any(pipeline.overlap(path, out) for out in outs)
    ]


def _changes(status: dict[str, Any], restorable: set[tuple[str, str]], named: dict[str, str]) -> Iterator[Change]:
    """The changes in `dvc status`, leaving out files that are merely absent here, since DVC stores them.

    ``named`` has the .dvc file of what DVC tracks: of what is absent, it names another version than that of dvc.lock.
    """
    for stage, changes in status.items():
        for change in changes:
            if isinstance(change, str):
                yield Change(stage, "", "", change)
                continue
            for kind, paths in change.items():
                for path, what in paths.items():
                    absent = what == "not in cache" or (what == "deleted" and (stage, path) in restorable)
                    if what == "deleted" and path in named:
                        what = f"{named[path]} names another version"  # noqa: PLW2901
                    if not absent:
                        yield Change(stage, kind, path, what if isinstance(what, str) else _keys(what))


def _keys(changed: dict[str, str]) -> str:
    return ", ".join(f"{key} {what}" for key, what in changed.items())

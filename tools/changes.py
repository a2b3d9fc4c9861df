"""What differs from dvc.lock, by `dvc status`, where the data need not be at hand."""

import os
from collections.abc import Iterator
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
    from dvc.stage import PipelineStage

    status: dict[str, Any] = {}
    try:
        with Repo() as repo, repo.lock:
            # by default what `dvc repro` looks at
            run = [stage for target in targets or ["dvc.yaml"] for stage in repo.stage.collect(target, with_deps=True)]
            stages = [stage for stage in dict.fromkeys(run) if isinstance(stage, PipelineStage)]  # not imported
            frozen = [stage.addressing for stage in stages if stage.frozen]
            for stage in stages:
                stage.frozen = False  # else DVC would not look at its deps
                status |= stage.status()
            added = {out.fs_path: out for out in repo.index.outs if not isinstance(out.stage, PipelineStage)}
            read = {dep.fs_path for stage in stages for dep in stage.deps}
            for path in (path for path in added if any(pipeline.overlap(path, dep) for dep in read)):
                what = added[path].workspace_status()  # `status` would only say that the cache lacks it
                if "modified" in what.values():  # as after a pull without `dvc checkout`
                    status[added[path].stage.addressing] = [{"changed outs": what}]
            lost = _lost(repo, stages)
    except LockError:
        raise InputError("another DVC command is running here: wait until it has finished") from None
    except (DvcException, OSError, UnicodeError) as error:
        raise InputError(
            f"DVC cannot read the pipeline or its data ({reason(error)}): undo the last edit, or check the permissions"
        ) from None
    if lost:
        raise InputError(
            f"{lost[0]} is neither in git nor in DVC: commit it, or run `dvc add {lost[0]}` and commit what that writes"
        )
    made = added | {out.fs_path: out for stage in stages for out in stage.outs}
    stored = {
        str(dep)
        for stage in stages
        for dep in stage.deps
        if dep.fs_path in made and made[dep.fs_path].hash_info == dep.hash_info
    }
    # what DVC can bring back, of what a stage last read and wrote: a file that is new to it has no hash
    to_come = {
        (stage.addressing, str(dep)) for stage in stages for dep in stage.deps if dep.hash_info and str(dep) in stored
    }
    to_come |= {
        (stage.addressing, str(out)) for stage in stages for out in stage.outs if out.hash_info and out.use_cache
    }
    found = list(_changes(status, to_come))
    for change in found:
        if change.kind == "changed deps" and change.stage in frozen:
            raise InputError(f"dvc.yaml: {change}: {pipeline.frozen(change.stage)}")
    return found


def _lost(repo: Any, stages: list[Any]) -> list[str]:
    """The inputs within this repository that are not in this clone, and that DVC does not store either."""
    outs = [out.fs_path for out in repo.index.outs]
    deps = {str(dep): Path(dep.fs_path) for stage in stages for dep in stage.deps}
    return [
        name
        for name, path in deps.items()
        if path.is_relative_to(repo.root_dir)
        and not os.path.lexists(path)
        and not any(pipeline.overlap(path, out) for out in outs)
    ]


def _changes(status: dict[str, Any], to_come: set[tuple[str, str]]) -> Iterator[Change]:
    """The changes in `dvc status`, leaving out files that are merely absent here, since DVC stores them."""
    for stage, changes in status.items():
        for change in changes:
            if isinstance(change, str):
                yield Change(stage, "", "", change)
                continue
            for kind, paths in change.items():
                for path, what in paths.items():
                    absent = what == "not in cache" or (what == "deleted" and (stage, path) in to_come)
                    if not absent:
                        yield Change(stage, kind, path, what if isinstance(what, str) else _keys(what))


def _keys(changed: dict[str, str]) -> str:
    return ", ".join(f"{key} {what}" for key, what in changed.items())

"""The pipeline as dvc.yaml defines it, parsed by DVC's schema: which stages there are, and what they read and write."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
from voluptuous import Invalid

from stages import dvcfile, yaml12
from stages.errors import InputError, reason

BEHIND_PREDICTIONS = ("download", "audit", "tokenize", "train", "evaluate")
STAGES = (*BEHIND_PREDICTIONS, "baselines")
Stages = dict[str, Any]  # of dvc.yaml or dvc.lock, by name


def stages() -> Stages:
    """The stages in dvc.yaml.

    Raises:
        InputError: it cannot be read, DVC would not take it, or one of the pipeline's own is missing or split.
    """
    return defined(yaml12.read(Path("dvc.yaml")))


def defined(definition: Any) -> Stages:
    """The stages in the content of dvc.yaml.

    Raises:
        InputError: DVC would not take it, or one of the pipeline's own is missing or split into several.
    """
    if not isinstance(definition, dict) or not isinstance(definition.get("stages"), dict):
        raise InputError("dvc.yaml: it has no stages: undo its last edit")
    try:
        COMPILED_MULTI_STAGE_SCHEMA(definition)
    except Invalid as error:
        raise InputError(f"dvc.yaml: DVC does not take it ({reason(error)}): undo its last edit") from None
    for stage in STAGES:
        if stage not in definition["stages"]:
            raise InputError(f"dvc.yaml: {stage} is missing: undo its last edit")
        if {"foreach", "matrix"} & definition["stages"][stage].keys():
            raise InputError(f"dvc.yaml: {stage}: foreach and matrix are for stages of your own: undo its last edit")
    return dict(definition["stages"])


def defines(stage: Any) -> bool:
    """Whether one of DVC's stages is of a dvc.yaml, and not what `dvc add` or `dvc import` wrote."""
    from dvc.stage import PipelineStage

    return isinstance(stage, PipelineStage)


def made_by_others(path: str) -> bool:
    """Whether a stage that is not the pipeline's own makes a file or folder, or what is in it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with suppress(DvcException), Repo() as repo:  # where DVC cannot read the pipeline, it will say so
        outs = [out for out in repo.index.outs if defines(out.stage)]
        return any(overlap(path, out.fs_path) for out in outs if out.stage.addressing not in STAGES)
    return False


def in_dvc_add(path: str) -> bool:
    """Whether a path, or a folder that it is in, has a .dvc file beside it, as `dvc add` writes one."""
    return any(Path(f"{part}.dvc").is_file() for part in (Path(path), *Path(path).parents))


def outputs() -> list[str]:
    """What the pipeline's own stages write."""
    return _declared(*dvcfile.WRITTEN)


def inputs() -> list[str]:
    """What the pipeline's own stages read of this clone, less what params name."""
    deps = _declared("deps")
    return [dep for dep in deps if not Path(dep).is_absolute() and ".." not in Path(dep).parts and "${" not in dep]


def _declared(*kinds: str) -> list[str]:
    return [path for name, stage in stages().items() if name in STAGES for path in dvcfile.declared(stage, *kinds)]


def overlap(one: str | Path, other: str | Path) -> bool:
    """Whether one of two paths is the other, or lies in it."""
    here, there = Path(one).absolute(), Path(other).absolute()
    return here.is_relative_to(there) or there.is_relative_to(here)


def frozen(stage: str) -> str:
    """What a stage being frozen means, and what to do."""
    return f"{stage} is frozen, so that DVC never runs it: run `dvc unfreeze {stage}`"

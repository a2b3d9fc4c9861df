"""Of DVC's run cache, what no run on its inputs gave is told from what one did."""

import shutil
from pathlib import Path

import clones
import pytest
import yaml
from dvc.utils.serialize import modify_yaml

from tools import run_cache


@pytest.mark.parametrize("content", [b"", b"cmd: [", b"cmd: x\nouts: 3\n", b"\xff", b"schema: !!bool x"])
def test_an_entry_of_the_run_cache_that_is_not_whole_is_passed_over(content: bytes) -> None:
    assert run_cache.stages_of(content) == {}


def test_a_run_of_a_stage_of_ones_own_is_known_by_its_record() -> None:
    outs = [{"path": path, "md5": "0" * 32} for path in ("data/mine.txt", "data/provenance/mine.json")]
    assert run_cache.stages_of(yaml.safe_dump({"cmd": "x", "outs": outs}).encode()).keys() == {"mine"}


def test_of_the_runs_on_the_same_inputs_only_those_that_are_mixed_are_forgotten(inside: Path) -> None:
    cache = (inside / ".dvc/cache").rename(inside.parent / "cache")
    clones.run("dvc", "cache", "dir", "--local", str(cache), cwd=inside)  # as where several clones share one
    runs = (cache / "runs").glob("*/*/*")
    genuine = next(run for run in runs if run_cache.stages_of(run.read_bytes()).keys() == {"audit"})
    mixed = genuine.with_name("0" * 64)
    shutil.copy(genuine, mixed)
    with modify_yaml(mixed) as run:
        run["outs"][0]["md5"] = "0" * 32
    run_cache.forget_mixed()
    assert genuine.exists()
    assert not mixed.exists()

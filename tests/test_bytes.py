"""The same input gives the same bytes, whatever the folder, the time, the environment and the number of workers."""

import shutil
import sys
from pathlib import Path

import pytest
from clones import run
from digests import OUTPUTS, digests

ELSEWHERE = {
    "PYTHONHASHSEED": "7",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "LANG": "xx_YY.KOI8-R",
    "PYTHONUTF8": "0" if sys.prefix.isascii() else "1",  # without UTF-8, torch cannot be imported from such a path
    "TMPDIR": "/nowhere",
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "3",
    "ACCELERATE_USE_DEEPSPEED": "true",  # which alone shows: without that library nothing trains
    "LOCAL_RANK": "0",  # without torchrun
}
ONE_WORKER = ELSEWHERE | {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
TWO_WORKERS = ELSEWHERE | {"RAYON_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "true"}
ALONE = ("train", "evaluate")  # what they write hangs on the number of threads, which they record
STAGES = "import runpy, sys; [runpy.run_module(f'stages.{name}', run_name='__main__') for name in sys.argv[1:]]"


@pytest.mark.parametrize(
    "settings",
    [pytest.param(ONE_WORKER, id="one worker", marks=pytest.mark.long), pytest.param(TWO_WORKERS, id="two workers")],
)
def test_every_stage_writes_the_same_bytes_elsewhere_and_later(
    pipeline: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    copy = shutil.copytree(pipeline, tmp_path / "a folder with a space" / "copy", symlinks=True)
    for output in [output for outputs in OUTPUTS.values() for output in outputs]:
        shutil.rmtree(copy / output) if (copy / output).is_dir() else (copy / output).unlink()
    threads = {"OMP_NUM_THREADS": settings["RAYON_NUM_THREADS"], "HOME": "/dev/null"}
    for stages, more in (([stage for stage in OUTPUTS if stage not in ALONE], threads), (ALONE, {})):
        # a process for several: most of its time are imports
        run("python", "-c", STAGES, *stages, cwd=copy, env=settings | more)
        for stage in stages:
            assert digests(copy, stage) == digests(pipeline, stage)

"""The same input gives the same bytes, whatever the folder, the time, the locale and the number of workers."""

import shutil
from pathlib import Path

import pytest
from conftest import run
from digests import OUTPUTS, digests

ELSEWHERE = {"PYTHONHASHSEED": "7", "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}
ONE_WORKER = ELSEWHERE | {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
TWO_WORKERS = ELSEWHERE | {"RAYON_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "true"}


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
    for stage in OUTPUTS:
        # the number of threads is part of what train and evaluate record, and of what a model's bytes hang on
        threads = {} if stage in {"train", "evaluate"} else {"OMP_NUM_THREADS": settings["RAYON_NUM_THREADS"]}
        run("python", "-m", f"stages.{stage}", cwd=copy, env=settings | threads)
        assert digests(copy, stage) == digests(pipeline, stage)

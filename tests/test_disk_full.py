"""A disk that fills up ends a stage in one line and leaves nothing; with room again the bytes are those of any run.

Full is played by the limit that a process may have on the size of its files, which the pipeline's own sizes set; in
the long tests it is a small disk with so much room and no more, for DVC and all that it writes.
"""

import errno
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
import torture
from clones import run
from digests import OUTPUTS, digests

from stages import entry, paths, provenance
from stages.errors import InputError
from stages.outputs import staged

FULL = "File too large: make room, or raise the limit, and run again\n"
UNSAID = "No space left on device: make room, or raise the limit, and run again\n"  # torch.save does not say which
CLASSIFIER = "models/classifier/model.safetensors"
# what Python, from 3.13 on, says of a file that DVC leaves open and that takes no more
UNCLOSED = re.compile(
    r"Exception ignored in: <_io\.TextIOWrapper name='\S+/\.dvc/tmp/rwlock\.lock'.*\n"
    r"Traceback.*\n(?: .*\n)+OSError: .*\n"
)

# the first output that does not fit, by the file whose size is one byte too many, and the writer that meets it
CASES = {
    "download, a table (pyarrow)": ("data/raw/train.parquet", "data/raw/train.parquet", 1),
    "download, weights (shutil)": ("models/pretrained/model", "models/pretrained/model/model.safetensors", 1),
    "audit, figures (json)": ("metrics/data.json", "metrics/data.json", 1),
    "tokenize, a table (pyarrow)": ("data/tokenized/train.parquet", "data/tokenized/train.parquet", 1),
    "train, a checkpoint's weights (safetensors)": (entry.ELSEWHERE, CLASSIFIER, 1),
    "train, a checkpoint's optimizer (torch)": (entry.ELSEWHERE, CLASSIFIER, 1.5),
    "evaluate, a table (pyarrow)": ("data/predictions/validation.parquet", "data/predictions/validation.parquet", 1),
    "evaluate, the hardest rows (pandas)": ("data/predictions/hardest.csv", "data/predictions/hardest.csv", 1),
    "evaluate, a picture (matplotlib)": ("metrics/plots", "metrics/plots/calibration.png", 1),
    "baselines, figures (json)": ("metrics/baselines.json", "metrics/baselines.json", 1),
}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A limit on the size of the files that this process writes, which Python turns into an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def main_of(stage: str) -> Callable[[], None]:
    main: Callable[[], None] = import_module(f"stages.{stage}").main
    return main


@pytest.mark.parametrize("case", CASES)
def test_a_full_disk_is_named_and_with_room_again_the_bytes_are_the_same(
    pipeline: Path, entered: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = case.partition(",")[0]
    where, name, factor = CASES[case]
    limit = int((entered / name).stat().st_size * factor) - 1
    outputs = [entered / output for output in OUTPUTS[stage]]
    for output in outputs:  # as DVC does before it runs a stage
        shutil.rmtree(output) if output.is_dir() else output.unlink()

    with files_of_at_most(limit), pytest.raises(SystemExit) as end:
        entry.run(main_of(stage))
    assert end.value.code == 1
    assert capsys.readouterr().err == f"error: {where}: {UNSAID if 'torch' in case else FULL}"
    assert not [output for output in outputs if output.exists()]
    assert not [*entered.rglob("*.partial"), *entered.glob("checkpoints/*/*/seal.json")]  # no checkpoint looks whole

    for output in outputs:  # and besides, what a killed run leaves
        output.with_name(f".{output.name}.partial").write_bytes(b"half-written")
    main_of(stage)()
    assert digests(entered, stage) == digests(pipeline, stage)
    assert not list(entered.rglob("*.partial"))


def test_an_error_that_says_what_to_do_stays_as_it_is_whatever_led_to_it(workspace: Callable[..., Path]) -> None:
    workspace()

    def fails() -> None:
        with staged(provenance.inputs("audit"), paths.AUDIT) as (partial,):
            partial.touch()
            raise InputError("its own line") from OSError(os.strerror(errno.ENOSPC))

    with pytest.raises(InputError, match=r"^its own line$"):
        fails()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder)
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk needs root")
    yield folder
    subprocess.run(("umount", folder), check=True)


@pytest.mark.long
@pytest.mark.parametrize("kilobytes", [4, 8, 50, 200, 400, 700, 1000])
def test_wherever_a_run_stops_for_want_of_room_make_repro_goes_on_to_the_same_bytes(
    pipeline: Path, disk: Path, kilobytes: int
) -> None:
    clone, checkpoints = torture.unrun(pipeline, disk / "clone"), disk / "checkpoints"
    environment = {"RETUNE_CHECKPOINTS": str(checkpoints)}
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - kilobytes * 1024))

    full = run("dvc", "repro", cwd=clone, check=False, env=environment)
    assert full.returncode
    # the second is DVC's word where there is no room for the file by which it tries what links it can make
    assert re.search("No space left on device|No possible cache link types", full.stdout + full.stderr)
    assert "Traceback" not in UNCLOSED.sub("", full.stdout + full.stderr)

    filler.unlink()
    run(sys.executable, "-m", "tools.repro", cwd=clone, env=environment)
    assert torture.outputs(clone) == torture.outputs(pipeline)
    assert torture.leftovers(clone, checkpoints) == []

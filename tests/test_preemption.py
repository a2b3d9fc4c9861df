"""SIGTERM, SIGINT, SIGHUP, the loss of DVC, two runs at once: `dvc repro` afterwards ends as if nothing had been.

Of the pipeline, train is run, and evaluate left out, whose bytes are those of its inputs: test_bytes.py.
"""

import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from clones import PIPELINE_PARAMS, TREE, run, set_params, stages_run
from digests import digests
from repros import Repro, suspended
from runners import SHELL, read_workflow

TRAIN = ("dvc", "repro", "train")
EXPERIMENT = read_workflow(TREE / ".github/workflows/experiment.yml")
EPOCHS = 25  # enough for no signal to come too late
LONG = PIPELINE_PARAMS | {"train__epochs": EPOCHS}


@pytest.fixture(scope="module")
def second(pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CompletedProcess[str]]:
    """A clone in which a training of some seconds ran to its end, and what a run said that was started beside it."""
    clone = shutil.copytree(pipeline, tmp_path_factory.mktemp("undisturbed") / "clone", symlinks=True)
    set_params(clone, **LONG)
    first = Repro(clone, *TRAIN)
    assert first.wait_for("step 1 of ")
    with suspended(first.stage()):
        done = run(*TRAIN, cwd=clone, check=False)
    said = first.end()
    assert first.process.returncode == 0, said
    assert "resuming from" not in said
    return clone, done


@pytest.fixture(scope="module")
def undisturbed(second: tuple[Path, CompletedProcess[str]]) -> Path:
    """That clone, whose training nothing stopped."""
    return second[0]


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


@pytest.fixture
def disturbed(copy: Path, checkpoints: Path) -> Path:
    """A clone in which that training is to run."""
    assert not checkpoints.exists()
    set_params(copy, **LONG)
    return copy


def whole(folder: Path) -> list[str]:
    """The checkpoints with a seal."""
    return [path.parent.name for path in folder.glob("*/checkpoint-*/seal.json")]


def left_by(said: str, signal_name: str) -> Path:
    """Hold a stage to have said, in one line, that this signal stopped it, and give the checkpoint that it names."""
    (line,) = [line for line in said.splitlines() if line.startswith("stopped by ")]
    match = re.fullmatch(
        rf"stopped by {signal_name}: at step \d+ of \d+, checkpoint (\S+): `dvc repro` resumes from it", line
    )
    assert match
    assert "Traceback" not in said
    return Path(match[1])


def goes_on(clone: Path, undisturbed: Path, checkpoints: Path) -> None:
    """Hold a run of ``clone`` to go on from a checkpoint, and to end with the bytes of ``undisturbed``."""
    steps = {name.removeprefix("checkpoint-") for name in whole(checkpoints)}
    said = run(*TRAIN, cwd=clone).stdout
    resumed = re.search(r"^resuming from .*/checkpoint-(\d+)$", said, re.MULTILINE)
    assert resumed
    assert resumed[1] in steps
    assert digests(clone, "train") == digests(undisturbed, "train")
    assert (clone / "dvc.lock").read_bytes() == (undisturbed / "dvc.lock").read_bytes()
    assert not list(checkpoints.iterdir())


WAYS = [
    ("stage", signal.SIGTERM),
    ("stage", signal.SIGINT),
    ("group", signal.SIGINT),
    ("group", signal.SIGTERM),
    ("group", signal.SIGHUP),  # a terminal that was closed
    ("dvc", signal.SIGTERM),
    ("dvc", signal.SIGKILL),  # beside which another run is started, below
]


@pytest.mark.parametrize(
    ("whom", "number"),
    [pytest.param(*way, marks=[] if way == WAYS[0] else pytest.mark.long) for way in WAYS],
)
def test_a_stopped_training_leaves_a_checkpoint_and_no_process_and_is_gone_on_from(
    disturbed: Path, undisturbed: Path, checkpoints: Path, whom: str, number: signal.Signals
) -> None:
    repro = Repro(disturbed, *TRAIN)
    assert repro.wait_for("step 12 of ")
    with suspended(repro.stage()):  # so that training does not end before the signal comes, however fast it is
        repro.kill(whom, number)
    said = repro.end()
    assert repro.process.returncode
    checkpoint = left_by(said, number.name if number in {signal.SIGINT, signal.SIGHUP} else "SIGTERM")
    assert checkpoint.parents[1] == checkpoints
    assert (checkpoint / "seal.json").exists()
    if whom == "stage":
        assert f"exited with {128 + number}" in said
    assert not (disturbed / "models/classifier").exists()
    goes_on(disturbed, undisturbed, checkpoints)


def test_a_job_that_is_cancelled_leaves_a_checkpoint(
    disturbed: Path, undisturbed: Path, checkpoints: Path, tmp_path: Path
) -> None:
    (step,) = [step["run"] for step in EXPERIMENT["jobs"]["run"]["steps"] if step.get("id") == "run"]
    (tmp_path / "step.sh").write_text(step.replace(" --pull", ""), encoding="utf-8")  # there is no remote here
    job = Repro(disturbed, *SHELL, str(tmp_path / "step.sh"))
    assert job.wait_for("step 12 of ")
    with suspended(job.stage()):
        for number in (signal.SIGINT, signal.SIGTERM):  # to the step's first process alone, as GitHub's runner does
            job.process.send_signal(number)
    assert left_by(job.end(), "SIGINT").parents[1] == checkpoints
    assert job.process.returncode
    goes_on(disturbed, undisturbed, checkpoints)


@pytest.mark.long
def test_a_log_that_nobody_reads_any_more_keeps_no_checkpoint_from_being_written(
    disturbed: Path, undisturbed: Path, checkpoints: Path
) -> None:
    # Ctrl-C in `dvc repro | tee log` ends tee first
    repro = Repro(disturbed, "bash", "-c", "dvc repro train 2>&1 | (grep -m 1 --line-buffered 'step 12 of' >&2)")
    assert repro.wait_for("step 12 of ")
    repro.kill("group", signal.SIGINT)
    repro.end()
    assert whole(checkpoints)
    goes_on(disturbed, undisturbed, checkpoints)


@pytest.mark.long
def test_a_training_without_dvc_outlives_its_parent(disturbed: Path, undisturbed: Path) -> None:
    # nohup python -m stages.train & and a terminal that closes
    shell = Repro(disturbed, "sh", "-c", "python -m stages.train & echo started; wait")
    assert shell.wait_for("step 12 of ")
    shell.process.kill()
    shell.end()
    assert digests(disturbed, "train") == digests(undisturbed, "train")


def test_a_second_run_says_so_and_harms_nothing(second: tuple[Path, CompletedProcess[str]]) -> None:
    clone, done = second
    assert done.returncode
    assert "is busy, it is being blocked by" in done.stderr
    assert run("dvc", "status", "train", cwd=clone).stdout == "Data and pipelines are up to date.\n"


def run_beside_an_orphan(clone: Path, params: Mapping[str, object]) -> tuple[str, Path]:
    """Run while an orphan does: gives what the run says, and the checkpoint that the orphan leaves."""
    first = Repro(clone, *TRAIN)
    assert first.wait_for("step 1 of ")
    with suspended(first.stage()):
        first.kill("dvc", signal.SIGKILL)
        set_params(clone, **params)
        second = Repro(clone, *TRAIN)
        assert second.wait_for(r"another process \w+ .*: waiting for it to stop")
    said = second.end()
    assert second.process.returncode == 0, said
    return said, left_by(first.end(), "SIGTERM")


def test_a_run_beside_an_orphan_waits_for_it_to_stop_and_goes_on_from_there(
    disturbed: Path, undisturbed: Path, checkpoints: Path
) -> None:
    said, checkpoint = run_beside_an_orphan(disturbed, LONG)
    assert checkpoint.parents[1] == checkpoints
    assert f"resuming from {checkpoint}\n" in said
    assert digests(disturbed, "train") == digests(undisturbed, "train")
    assert (disturbed / "dvc.lock").read_bytes() == (undisturbed / "dvc.lock").read_bytes()
    assert not list(checkpoints.iterdir())


@pytest.mark.long
def test_a_run_with_other_params_beside_an_orphan_waits_for_it_to_stop_and_begins_anew(
    disturbed: Path, checkpoints: Path
) -> None:
    said, checkpoint = run_beside_an_orphan(disturbed, PIPELINE_PARAMS | {"train__seed": 5})
    assert checkpoint.parents[1] == checkpoints
    assert "resuming from" not in said
    assert stages_run(disturbed, "train") == []


@pytest.mark.long
def test_an_orphan_that_does_not_stop_is_named(disturbed: Path, undisturbed: Path, checkpoints: Path) -> None:
    first = Repro(disturbed, *TRAIN)
    assert first.wait_for("step 1 of ")
    with suspended(first.stage()):
        first.kill("dvc", signal.SIGKILL)
        second = run(*TRAIN, cwd=disturbed, check=False)
    first.end()
    assert second.returncode
    assert re.search(r"^error: another process .*: run again when it has ended$", second.stderr, re.MULTILINE)
    goes_on(disturbed, undisturbed, checkpoints)


@pytest.mark.long
def test_two_clones_with_one_cache_run_different_params_at_the_same_time(
    copy: Path, pipeline: Path, tmp_path: Path, undisturbed: Path, checkpoints: Path
) -> None:
    other = shutil.copytree(pipeline, tmp_path / "other", symlinks=True)
    shared = shutil.copytree(pipeline / ".dvc/cache", tmp_path / "cache")
    params = {copy: LONG, other: LONG | {"train__seed": 5}}
    runs: list[Repro] = []
    for clone, changes in params.items():
        run("dvc", "cache", "dir", "--local", str(shared), cwd=clone)
        shutil.rmtree(clone / ".dvc/cache", ignore_errors=True)
        set_params(clone, **changes)
        runs.append(Repro(clone))
    assert all(one.wait_for("step 1 of ") for one in runs)
    assert [one.end() and one.process.returncode for one in runs] == [0, 0]
    assert digests(copy, "train") == digests(undisturbed, "train")
    assert digests(other, "train") != digests(copy, "train")
    assert not list(checkpoints.iterdir())
    set_params(copy, **params[other])
    assert stages_run(copy) == []  # what the other clone ran comes from the cache that they share
    assert digests(copy, "evaluate") == digests(other, "evaluate")

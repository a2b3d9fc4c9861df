"""The fixtures that many tests share, one run of the pipeline among them, and how pytest runs them here."""

import atexit
import functools
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import hypothesis
import pytest
from clones import PIPELINE_PARAMS, RECIPES, SECRETS, TREE, git, make_clone, run, set_params
from stand_ins import make_tiny_random_checkpoint, write_small_dataset

EMOTION = TREE.parent / "shared" / "data" / "emotion"

SET_BY_RUN = (
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_PROGRESS_BARS",
    "HF_DATASETS_DISABLE_PROGRESS_BARS",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD",
)

# what a developer, CI, make or a git hook has set for work of theirs
OF_GIT = git("rev-parse", "--local-env-vars", cwd=TREE).split()
OF_TERMINAL = {"COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
OF_LAUNCHERS = {"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "OMP_THREAD_LIMIT"}
OF_OTHERS = {"MAKEFLAGS", "MAKELEVEL", "MPLBACKEND", "PYTHONWARNINGS", *OF_LAUNCHERS, *OF_TERMINAL, *OF_GIT}
OF_LIBRARIES = ("HF_", "HUGGING", "TRANSFORMERS_", "DVC_", "RETUNE_")
for name in [name for name in os.environ if name in OF_OTHERS or name.startswith(OF_LIBRARIES)]:
    del os.environ[name]

# of its own for each process, because two workers may train on the same inputs at the same time
OWN = tempfile.TemporaryDirectory(prefix="retune-tests-")
atexit.register(OWN.cleanup)
os.environ["RETUNE_CHECKPOINTS"] = f"{OWN.name}/checkpoints"
os.environ["DVC_SITE_CACHE_DIR"] = f"{OWN.name}/site"

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # the stand-ins for the hub and GitHub are there
# on a GPU equal bytes are not promised; test_cuda.py is for one
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("TEST_CUDA_DEVICES", "")

# of git and DVC, no words in another language, no signatures, and nothing that is set for all of a machine's clones
os.environ |= {"LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
GIT_CONFIG = {"commit.gpgsign": "false", "safe.directory": str(TREE)}
os.environ["GIT_CONFIG_COUNT"] = str(len(GIT_CONFIG))
for number, (name, value) in enumerate(GIT_CONFIG.items()):
    os.environ |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
os.environ["DVC_NO_ANALYTICS"] = "1"  # also where a test is outside of any clone
os.environ["DVC_GLOBAL_CONFIG_DIR"] = os.environ["DVC_SYSTEM_CONFIG_DIR"] = f"{OWN.name}/config"

signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background ignores it, for good

# two workers share the cores: a thread for each of them, and one that waits is not to keep a core busy
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.pop("GOMP_SPINCOUNT", None)  # which would come before it

LONGEST_FIRST = (
    "readme", "mutations", "ci", "preemption", "trees", "provenance", "compare", "branches", "hub", "cache", "verify",
    "revisions", "dvcfile", "verify_data", "bytes", "damage", "report", "resume", "bad_environment", "predict",
)  # fmt: skip

# the same examples in each run, however long one takes
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.load_profile("fixed")

Call = Callable[..., tuple[int, str, str]]  # the fixture `call`
Refused = Callable[..., str]  # the fixture `refused`
Verify = Callable[..., str]  # the fixture `verify`

needs_emotion = pytest.mark.skipif(not EMOTION.is_dir(), reason=f"{EMOTION} is absent")


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> None:
    """Leave out of later garbage collections what the libraries have made so far.

    Each training begins with a full one, which over some hundred thousand objects takes longer than many a step.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_random_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def old_names(tiny_random_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights under the names in the file of bert-base-uncased, of which Transformers renames some."""
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(tiny_random_checkpoint, tmp_path_factory.mktemp("checkpoint") / "old-names")
    tensors = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_random_checkpoint: Path) -> Callable[..., Path]:
    """A folder to run a stage's ``main`` in, in this process; called with the params that differ from the default's."""
    (tmp_path / "dvc.yaml").write_bytes((TREE / "dvc.yaml").read_bytes())
    (tmp_path / "requirements.txt").write_bytes((TREE / "requirements.txt").read_bytes())
    (tmp_path / "stages").symlink_to(TREE / "stages")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a few ms for each file of each stage and checkpoint

    def prepare(**changes: Any) -> Path:
        checkpoint = {
            "model__source": "path",
            "model__path": str(tiny_random_checkpoint),
            "model__weights_sha256": None,
        }
        set_params(tmp_path, **(checkpoint | changes))
        return tmp_path

    return prepare


@pytest.fixture
def emotion_files(workspace: Callable[..., Path]) -> Path:
    """The workspace with the dataset of the recipe emotion-files."""
    recipe = RECIPES["emotion-files"]["dataset"]
    return workspace(**{f"dataset__{key}": value for key, value in recipe.items()} | {"dataset__path": str(EMOTION)})


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back after the test what `entry.run` sets, where a test calls it in this process."""
    from transformers import logging

    for name in SET_BY_RUN:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PATH", os.environ["PATH"])  # which it puts the environment's programs before
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    logging.disable_progress_bar()


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    put_back: None,  # noqa: ARG001
) -> Call:
    """Call a tool's main in this process, in a folder: gives the exit code and what it prints on stdout and stderr."""
    from stages import entry

    def end_of(main: Callable[[], None], folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [main.__module__, *arguments])
        capsys.readouterr()
        code = 0
        try:
            entry.run(main)
        except SystemExit as end:
            code = int(str(end.code))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return end_of


@pytest.fixture
def refused(call: Call) -> Refused:
    """Call a tool's main in a folder to an error, which is one line, and give that without its prefix."""

    def line(main: Callable[[], None], folder: Path, *arguments: str) -> str:
        code, out, said = call(main, folder, *arguments)
        assert (code, out) == (1, "")
        assert said.startswith("error: ")
        assert said.endswith("\n")
        assert said.count("\n") == 1
        return said.removeprefix("error: ").removesuffix("\n")

    return line


@pytest.fixture
def refused_side(copy: Path, refused: Refused) -> Refused:
    """What `tools.compare`, in `copy`, says of a revision that it refuses."""
    from tools import compare

    return functools.partial(refused, compare.main, copy)


@pytest.fixture
def verify(call: Call) -> Verify:
    """Verify a folder in this process: gives what stands on stderr, nothing where all belongs together."""
    from tools import verify

    def answer(folder: Path, *options: str) -> str:
        code, out, said = call(verify.main, folder, *options)
        assert code == bool(said)
        assert out.startswith("verified: ") == (not said)
        return said

    return answer


@pytest.fixture
def fail(
    workspace: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    put_back: None,  # noqa: ARG001
) -> Callable[..., str]:
    """Run a stage that is to fail, hold what every failure has in common, and give its message."""
    from stages import download, entry

    workspace()

    def files() -> set[Path]:
        """What lies where stages write, in the folder of the moment: a test may have gone to another."""
        return {
            path for output in ("data", "models", "metrics") for path in Path(output).rglob("*") if not path.is_dir()
        }

    def ends(main: Callable[[], None] = download.main) -> str:
        before = files()
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            entry.run(main)
        error = capsys.readouterr().err
        assert end.value.code == 1
        assert error.startswith("error: ")
        assert "\nerror: " not in error
        assert "Traceback" not in error
        assert files() == before
        assert not list(Path().rglob(".*.partial"))
        return error.removeprefix("error: ").removesuffix("\n")

    return ends


@pytest.fixture
def prepared(
    workspace: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    put_back: None,  # noqa: ARG001
) -> Callable[..., Path]:
    """Run all that comes before train; called with the params that differ from `trainings.RECIPE`."""
    from trainings import RECIPE

    from stages import download, tokenize

    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")  # a checkpoint after each step
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_small_dataset(tmp_path / "small")

    def prepare(**changes: Any) -> Path:
        folder = workspace(dataset__path="small", **RECIPE | changes)
        download.main()
        tokenize.main()
        return folder

    return prepare


def run_pipeline(folder: Path, checkpoint: Path) -> None:
    """Run `dvc repro` in a new clone in ``folder``, and commit what it gives; what it printed lies beside the clone."""
    clone = make_clone(folder / "clone")
    write_small_dataset(clone / "data/small")
    shutil.copytree(checkpoint, clone / "models/tiny")
    set_params(clone, **PIPELINE_PARAMS)
    done = run("dvc", "repro", cwd=clone, env={"HOME": str(folder)} | SECRETS)
    (folder / "printed").write_text(done.stdout + done.stderr, encoding="utf-8")
    git("add", "--all", cwd=clone)
    git("commit", "--quiet", "--message", "run", cwd=clone)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, tiny_random_checkpoint: Path) -> Path:
    """A clone in which `dvc repro` has run once and its results are committed; tests that change it copy it first.

    The pipeline is the real one, on a slice of the starter corpus, with the tiny random checkpoint. Of two workers, one
    runs it and the other takes a copy: in one clone, DVC would wait for DVC.
    """
    folder = tmp_path_factory.mktemp("pipeline")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        run_pipeline(folder, tiny_random_checkpoint)
        return folder / "clone"
    ran = tmp_path_factory.getbasetemp().parent / "pipeline"  # which the workers have in common
    with filelock.FileLock(f"{ran}.lock"):
        if ran.exists():
            shutil.copytree(ran, folder, symlinks=True, dirs_exist_ok=True)
        else:
            run_pipeline(folder, tiny_random_checkpoint)
            shutil.copytree(folder, f"{ran}.partial", symlinks=True)
            Path(f"{ran}.partial").rename(ran)
    return folder / "clone"


@pytest.fixture
def copy(pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the pipeline's clone that a test may change, its cache and results along."""
    return shutil.copytree(pipeline, tmp_path / "copy", symlinks=True)


@pytest.fixture
def inside(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy, which the test stands in."""
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def entered(inside: Path, monkeypatch: pytest.MonkeyPatch, put_back: None) -> Path:  # noqa: ARG001
    """The copy, to run a stage's ``main`` in, in this process."""
    monkeypatch.setenv("RETUNE_CHECKPOINTS", str(inside / "checkpoints"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # as it is where a stage imports it
    return inside


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that of two workers none is left alone with one at the end."""
    order = {f"test_{name}.py": number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))

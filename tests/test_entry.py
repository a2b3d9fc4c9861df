"""What every stage and tool starts with: its environment, its command line, and errors in a line."""

import io
import os
import re
import shlex
import signal
import site
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import STAGES, TREE, run
from conftest import Call, Refused
from digests import OUTPUTS, digests
from own_data import Fail, Workspace, own_dataset

from stages import download, entry, errors, train
from stages.outputs import remove
from tools import compare

POORER = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}


def test_no_garbage_is_looked_for_among_all_that_the_libraries_have_made() -> None:
    done = run("python", "-c", "import gc, stages.fine_tuning; print(gc.get_stats()[2]['collections'])", cwd=TREE)
    assert done.stdout == "0\n"


@pytest.mark.parametrize(
    ("environment", "rounds"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
    ids=["by default", "named", "policy named"],
)
def test_a_thread_that_waits_soon_leaves_its_core_to_others_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], rounds: str
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    shown = environment | {"OMP_DISPLAY_ENV": "VERBOSE"}  # libgomp's own words, once PyTorch has loaded it
    code = "from stages import entry, train; entry.run(lambda: __import__('torch'))"
    said = run("python", "-c", code, cwd=TREE, env=shown).stderr
    assert f"GOMP_SPINCOUNT = '{rounds}'" in said


def test_an_error_reaches_a_poorer_locale(workspace: Workspace) -> None:
    folder = workspace(dataset__path="d\u00e9j\u00e0 vu")
    done = run("python", "-m", "stages.download", cwd=folder, check=False, env=POORER)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: dataset.path: d\\xe9j\\xe0 vu does not exist: ")


@pytest.mark.usefixtures("put_back")
def test_an_empty_address_of_the_hub_is_none(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace()
    monkeypatch.setenv("HF_ENDPOINT", "")
    entry.run(lambda: None)
    assert "HF_ENDPOINT" not in os.environ


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0"}, "WORLD_SIZE is set, as by torchrun or mpirun, but one process "),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_SIZE is set, as by torchrun or mpirun, but one process "),
        ({"PMI_SIZE": "2"}, "PMI_SIZE is set, as by torchrun or mpirun, but one process "),
        ({"MV2_COMM_WORLD_SIZE": "2"}, "MV2_COMM_WORLD_SIZE is set, as by torchrun or mpirun, but one process "),
        ({"OMP_THREAD_LIMIT": "1"}, "OMP_THREAD_LIMIT is set: PyTorch may compute wrong results: set OMP_NUM_THREADS "),
        ({"HF_ENDPOINT": "http://me:pass/word@hub"}, "HF_ENDPOINT: it is not an address: correct it, or unset it"),
        ({"https_proxy": "http://me:pass/word@proxy:1"}, "https_proxy: it is not an address: correct it, or unset it"),
        ({"HTTPS_PROXY": "me:pass/word@proxy:1"}, "HTTPS_PROXY: it is not an address: correct it, or unset it"),
        ({"ALL_PROXY": "http://me:pass#word@proxy:1"}, "ALL_PROXY: it is not an address: correct it, or unset it"),
        ({"HF_ENDPOINT": "hub.example"}, "HF_ENDPOINT: it does not begin with https:// or http://"),
        ({"HF_TOKEN": "hf_\N{LATIN SMALL LETTER E WITH ACUTE}"}, "HF_TOKEN: it has characters that no token has"),
    ],
)
def test_a_variable_that_no_stage_can_run_with_is_named(
    fail: Fail, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = fail(train.main)
    assert error.startswith(said)
    assert "pass" not in error


@pytest.mark.parametrize("name", ["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"])
def test_a_variable_that_the_hubs_library_cannot_be_imported_with_is_named(workspace: Workspace, name: str) -> None:
    done = run("python", "-m", "stages.train", cwd=workspace(), check=False, env={name: "long"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {name} is 'long': set it to a whole number")


def test_a_folder_that_dvc_cannot_store_files_in_is_named(
    workspace: Workspace, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace() / "with {braces}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert fail(train.main) == f"{folder}: DVC cannot store files in a folder with braces in its path: rename it"


def test_a_link_that_leads_nowhere_is_said_to_be_one(workspace: Workspace, refused: Refused) -> None:
    folder = workspace()
    (folder / "weights").symlink_to("elsewhere")
    said = "weights: No such file or directory: it is a link that leads nowhere: run `dvc checkout` if DVC made it"
    assert refused(lambda: Path("weights").chmod(0o600), folder) == said


def test_the_modules_of_another_folder_are_not_run(workspace: Workspace) -> None:
    environment = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(TREE)}
    done = run("python", "-m", "stages.train", cwd=workspace(), check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("error: PYTHONSAFEPATH is set, or -P given: ")


def test_docstrings_that_are_left_out_are_named_as_what_is_missing(workspace: Workspace) -> None:
    done = run("python", "-OO", "-m", "stages.train", cwd=workspace(), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: PYTHONOPTIMIZE is 2, or -OO given: Transformers reads docstrings")


def test_a_library_that_hides_a_pinned_one_is_named(workspace: Workspace, tmp_path: Path) -> None:
    module = tmp_path / "ftfy/__init__.py"
    module.parent.mkdir()
    module.touch()
    done = run("python", "-m", "stages.train", cwd=workspace(), check=False, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: PYTHONPATH: {module} hides the ftfy of ")


def test_a_stage_says_what_it_is_and_takes_no_other_argument(workspace: Workspace) -> None:
    folder = workspace()
    assert "\nOut: metrics/data.json" in run("python", "-m", "stages.audit", "--help", cwd=folder).stdout
    refused = run("python", "-m", "stages.audit", "--epochs", "3", cwd=folder, check=False)
    assert "unrecognized arguments: --epochs 3" in refused.stderr


def test_ctrl_c_ends_a_stage_with_the_code_of_a_signal(workspace: Workspace, call: Call) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    assert call(main, workspace()) == (130, "", "")


def test_ctrl_c_leaves_no_traceback(tmp_path: Path) -> None:
    code = "import tools; raise KeyboardInterrupt"
    done = run("python", "-c", code, cwd=tmp_path, check=False, env={"PYTHONPATH": str(TREE)})
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_a_tools_help_says_all_that_its_docstring_does(call: Call) -> None:
    code, said, _ = call(compare.main, TREE, "--help")
    assert code == 0
    assert str(compare.__doc__).strip() in said


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_run_by_its_path_says_how_to_run_it(stage: str) -> None:
    done = run(sys.executable, f"stages/{stage}.py", cwd=TREE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: run stages as modules, from the top of the clone: python -m stages.NAME\n"


@pytest.mark.parametrize("module", ["tools.verify", "tools.predict", "tools.gate", "stages.download", "stages.train"])
def test_outside_the_virtual_environment_it_is_said_what_to_do(module: str) -> None:
    done = run(sys.executable, "-S", "-m", module, cwd=TREE, check=False)  # without site-packages
    assert done.returncode == 1
    assert re.fullmatch(r"error: \w+ is not installed: run `make install`, then `source \S+activate`\n", done.stderr)


def test_a_module_of_the_project_that_is_missing_is_no_package_to_install(workspace: Workspace) -> None:
    said = run("python", "-c", "import stages.losess", cwd=workspace(), check=False).stderr
    assert said.endswith("ModuleNotFoundError: No module named 'stages.losess'\n")


def test_a_package_that_an_error_does_not_name_is_not_named_either(workspace: Workspace) -> None:
    code = "import stages; raise ModuleNotFoundError('too old')"
    said = run("python", "-c", code, cwd=workspace(), check=False).stderr
    assert said.endswith("ModuleNotFoundError: too old\n")


def test_a_virtual_environment_need_not_be_activated_for_its_tools(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin/python"
    code = "import shutil; from stages import entry; entry.run(lambda: print(shutil.which('python')), pinned=False)"
    packages = os.pathsep.join(site.getsitepackages())
    assert run(str(python), "-c", code, cwd=TREE, env={"PYTHONPATH": packages}).stdout == f"{python}\n"


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    "name",
    [
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
        "NVIDIA_TF32_OVERRIDE",
        "ONEDNN_DEFAULT_FPMATH_MODE",
        "DNNL_DEFAULT_FPMATH_MODE",
        "ONEDNN_MAX_CPU_ISA",
        "DNNL_MAX_CPU_ISA",
        "MKL_CBWR",
        "OMP_DYNAMIC",
        "OMP_MAX_ACTIVE_LEVELS",
        "MPLBACKEND",
    ],
)
def test_nothing_in_the_environment_changes_what_is_computed_or_draws_elsewhere(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    workspace()
    monkeypatch.setenv(name, "1")
    entry.run(lambda: None)
    assert name not in os.environ


def run_again(copy: Path, pipeline: Path, stage: str, redirected: str = "", **options: Any) -> None:
    """Run a stage whose outputs are gone, and see that they are back."""
    for output in OUTPUTS[stage]:
        remove(copy / output)
    command = ("bash", "-c", f"exec {shlex.quote(sys.executable)} -m stages.{stage} {redirected}")
    done = subprocess.run(command, cwd=copy, stderr=subprocess.PIPE, check=False, **options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert digests(copy, stage) == digests(pipeline, stage)


@pytest.mark.parametrize("closed", [">&-", "2>&-"], ids=["stdout", "stderr"])
def test_a_closed_stream_stops_no_stage(copy: Path, pipeline: Path, closed: str) -> None:
    run_again(copy, pipeline, "tokenize", closed)


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    """A pipe's end to write to, whose other end nobody has open."""
    other, end = os.pipe()
    os.close(other)
    yield end
    os.close(end)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_tool_ends_without_a_word_once_nobody_reads_what_it_says(
    pipeline: Path, broken_pipe: int, unbuffered: str
) -> None:
    command, env = (sys.executable, "-m", "tools.verify"), os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, cwd=pipeline, env=env, stdout=broken_pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("stage", ["audit", "tokenize"])
def test_a_log_that_nobody_reads_stops_no_stage(
    copy: Path, pipeline: Path, broken_pipe: int, stage: str, unbuffered: str
) -> None:
    run_again(copy, pipeline, stage, env=os.environ | {"PYTHONUNBUFFERED": unbuffered}, stdout=broken_pipe)


def test_a_log_that_has_no_room_stops_no_stage(copy: Path, pipeline: Path) -> None:
    run_again(copy, pipeline, "tokenize", "> /dev/full")


@pytest.mark.parametrize(
    ("closing", "said"),
    [
        ("<&-", "standard input is closed: name a file"),
        (">&-", "standard output is closed: redirect it to a file"),
    ],
)
def test_a_stream_that_is_needed_and_closed_is_named(pipeline: Path, closing: str, said: str) -> None:
    done = run("bash", "-c", f"exec python -m tools.predict {closing}", cwd=pipeline, check=False)
    assert (done.returncode, done.stderr) == (1, f"error: {said}\n")


def test_the_traceback_is_shown_when_asked_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(dataset__path="elsewhere")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("RETUNE_TRACEBACK", "1")
    with pytest.raises(errors.InputError, match="elsewhere does not exist"):
        entry.run(download.main)


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("offline", [True, False])
def test_the_hub_is_reached_for_only_where_that_is_allowed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *, offline: bool
) -> None:
    workspace()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    entry.run(lambda: None, offline=offline)
    assert os.environ["HF_HUB_OFFLINE"] == ("1" if offline else "0")


def test_a_token_with_a_line_end_after_it_is_a_token(put_back: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.chdir(TREE)
    monkeypatch.setenv("HF_TOKEN", "hf_token\n")
    entry.run(lambda: None)


def test_just_as_many_names_and_problems_as_are_shown_are_all() -> None:
    assert errors.listed(["a"] * 12) == ", ".join("a" * 12)
    assert errors.listed(["a"] * 13).endswith(", a and 1 more")
    assert str(errors.InputError(*["a"] * 8)) == "\n       ".join("a" * 8)


def test_of_many_problems_the_first_are_told_and_how_many_there_are_more() -> None:
    problems = [f"problem {number}" for number in range(10)]
    told = str(errors.InputError(*problems)).split("\n       ")
    assert told == [*problems[:8], "and 2 more"]


@pytest.mark.parametrize("said", ["No space left on device", "Disk quota exceeded", "File too large"])
def test_a_full_disk_is_heard_of_however_far_back_it_was_and_errors_in_a_circle_end(said: str) -> None:
    outer, middle, inner = ValueError("outer"), ValueError("middle"), OSError(said)
    outer.__context__, middle.__cause__, inner.__context__ = middle, inner, outer
    assert errors.chain(outer) == [outer, middle, inner]
    assert errors.no_room(outer) == said
    assert errors.no_room(ValueError("outer")) == ""


def test_a_process_whose_dvc_died_before_it_looked_ends() -> None:
    code = "import time; from stages import entry; entry.run(lambda: time.sleep(20), pinned=False)"
    environment = os.environ | {"DVC_STAGE": "train"}  # in another session than its parent, as one that init adopted
    done = subprocess.run([sys.executable, "-c", code], cwd=TREE, env=environment, start_new_session=True, check=False)
    assert done.returncode == -signal.SIGTERM


def test_a_label_is_printed_in_a_poorer_locale(workspace: Workspace) -> None:
    rows = "text,label\none,\u00e9\ntwo,b\n"
    folder = own_dataset(workspace, {f"{split}.csv": rows for split in ("train", "validation", "test")})
    download.main()
    assert "  \\xe9 " in run("python", "-m", "stages.audit", cwd=folder, env=POORER).stdout
    code = "from stages import entry; entry.run(lambda: print('caf\\xe9'), pinned=False)"
    assert run("python", "-c", code, cwd=TREE, env=POORER).stdout == "caf\\xe9\n"


def test_one_process_of_a_launcher_is_one_process(
    workspace: Workspace, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert call(lambda: None, workspace())[0] == 0


def test_what_a_stage_prints_is_buffered_as_python_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", line_buffering=True, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    entry._prepare_streams(is_stage=True)  # noqa: SLF001
    assert isinstance(sys.stdout, entry.Log)
    assert (sys.stdout.encoding, sys.stdout.errors) == ("ascii", "backslashreplace")
    assert (sys.stdout.line_buffering, sys.stdout.write_through) == (True, True)

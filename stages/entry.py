"""How every stage and tool starts and ends: pinned versions only, errors in one line, exit code 1."""

import argparse
import errno
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from stages import requirements
from stages.errors import MAKE_ROOM, InputError, Stopped, no_room, reason

GPU_ERRORS = ("OutOfMemoryError", "AcceleratorError")  # these and DvcException by name, since few import torch and DVC
ELSEWHERE = (
    "standard output, a temporary file, or a checkpoint under $RETUNE_CHECKPOINTS "
    "(by default ~/.cache/retune/checkpoints)"
)


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The command line of the module ``name``; its help is the module's docstring as it stands."""
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(f"python -m {name}", description=description, formatter_class=layout)


def run(main: Callable[[], None], *, offline: bool = True, computes: bool = True) -> None:
    """Call ``main``; turn what a person can fix into one line on stderr and exit code 1.

    ``RETUNE_TRACEBACK=1`` shows the traceback as well. With ``offline`` no Hugging Face library reaches for the hub.
    Without ``computes`` the libraries of requirements.txt need not be installed.
    """
    _prepare(offline=offline)
    stage = sys.modules["__main__"]
    name = getattr(stage.__spec__, "name", "")
    if name.startswith("stages."):  # tools have arguments of their own
        parser(name, stage.__doc__).parse_args()
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()
    try:
        _check_environment()
        if computes:
            requirements.check_installed()
        main()
        if sys.stdout is not None:
            sys.stdout.flush()  # while an error of it can still be told
    except Exception as error:
        message = _message(error)
        if isinstance(error, OSError) and error.filename is None and no_room(error):
            with suppress(OSError):  # at exit Python would flush again, and complain
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if message is None or os.environ.get("RETUNE_TRACEBACK"):
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)
    except Stopped as stop:
        with suppress(OSError):  # nobody may be left to read it
            print(stop, file=sys.stderr)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_without(parent: int) -> None:
    """Wait for DVC, which started this process, to be gone, and send SIGTERM: DVC forwards no signals."""
    while os.getppid() == parent and _in_this_session(parent):
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


def _in_this_session(parent: int) -> bool:
    """Whether ``parent`` is DVC, and not a process that adopted this one because DVC had already died."""
    with suppress(ProcessLookupError):
        return os.getsid(parent) == os.getsid(0)
    return False


def _check_environment() -> None:
    for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"):  # accelerate's
        if os.environ.get(name, "1") != "1":
            raise InputError(
                f"{name} is set, as torchrun or mpirun does: run this with python, as one process on one GPU"
            )
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):  # with a wrong value the library is not imported
        if not os.environ.get(name, "0").isdecimal():
            raise InputError(f"{name} is {os.environ[name]!r}: set it to a whole number of seconds, or unset it")
    endpoint = os.environ.get("HF_ENDPOINT", "https://")
    try:
        _ = urlsplit(endpoint).port
    except ValueError as error:
        raise InputError(f"HF_ENDPOINT: {error}: correct it, or unset it") from None
    if not endpoint.startswith(("https://", "http://")):
        raise InputError("HF_ENDPOINT: it does not begin with https:// or http://: correct it, or unset it")
    if not re.fullmatch("[!-~]*", os.environ.get("HF_TOKEN", "").strip()):
        raise InputError("HF_TOKEN: it holds characters that no token has: correct it, or unset it")


def _prepare(*, offline: bool) -> None:
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if sys.prefix != sys.base_prefix:  # DVC starts `python`, and has to find that of this virtual environment
        os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not os.environ.get("HF_ENDPOINT"):
        os.environ.pop("HF_ENDPOINT", None)  # set to nothing, the hub's library would take it for an address
    os.environ.pop("MPLBACKEND", None)  # figures are drawn to files
    os.environ.pop("LOCAL_RANK", None)  # without torchrun's other variables it would stop the Trainer
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]  # they would change what is computed, and are not in params.yaml
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # whatever a library asks of torch.load, nothing pickled is run
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    for name in (
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",  # which NVIDIA's images set: float32 would be TF32
        "NVIDIA_TF32_OVERRIDE",
        "ONEDNN_DEFAULT_FPMATH_MODE",
        "DNNL_DEFAULT_FPMATH_MODE",
    ):
        os.environ.pop(name, None)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # what it warns of is checked or meant
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    if offline or not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a label name is no reason to fail in a poorer locale


def _message(error: Exception) -> str | None:
    """What to tell the person, None where it is not theirs to fix."""
    if isinstance(error, InputError):
        return str(error)
    if said := no_room(error):
        return f"{getattr(error, 'filename', None) or ELSEWHERE}: {said}: {MAKE_ROOM}"
    if isinstance(error, OSError) and error.filename is not None:
        gone = error.errno == errno.ENOENT
        advice = "check its name, and run from the top of the clone" if gone else "check the path and its permissions"
        return f"{error.filename}: {error.strerror}: {advice}"
    if type(error).__name__ in GPU_ERRORS:
        return f"{reason(error)}: free the GPU, or compute on the CPU by setting CUDA_VISIBLE_DEVICES to nothing"
    if any(kind.__name__ == "DvcException" for kind in type(error).__mro__):
        return f"DVC cannot go on ({reason(error)}): undo the last edit, of .dvc/config perhaps"
    return None

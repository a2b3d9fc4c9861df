"""The environment variables that no stage or tool can run with, and those that are set or unset for all of them."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from stages.errors import InputError

REMOVED = (
    "MPLBACKEND",  # figures are drawn to files
    "LOCAL_RANK",  # without torchrun's other variables it would stop the Trainer
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",  # which NVIDIA's images set: float32 would be TF32
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "OMP_DYNAMIC",  # with fewer threads than it asked for, PyTorch computes wrong gradients in bfloat16
    "OMP_MAX_ACTIVE_LEVELS",
)


def check() -> None:
    """Look for what a person has to set otherwise.

    Raises:
        InputError: names the variable, and never a password or token in it.
    """
    _check_start()
    _check_hub()


def _check_start() -> None:
    """Look at how this process was started, and where."""
    for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"):  # accelerate's
        if os.environ.get(name, "1") != "1":
            raise InputError(
                f"{name} is set, as by torchrun or mpirun, but one process trains, on one GPU: run this with python, "
                "or, if that is what you do, unset it"
            )
    if "OMP_THREAD_LIMIT" in os.environ:  # not just removed, as OMP_DYNAMIC is: a person may want the limit
        raise InputError("OMP_THREAD_LIMIT is set: PyTorch may compute wrong results: set OMP_NUM_THREADS instead")
    if sys.flags.safe_path:
        raise InputError("PYTHONSAFEPATH is set, or -P given: another clone's modules could be run: unset it")
    if sys.flags.optimize > 1:
        raise InputError("PYTHONOPTIMIZE is 2, or -OO given: Transformers reads docstrings, which that drops: unset it")
    if {"{", "}"} & set(str(Path.cwd())):
        raise InputError(f"{Path.cwd()}: DVC cannot store files in a folder with braces in its path: rename it")


def _check_hub() -> None:
    """Look at what the hub's library is told: with a wrong timeout it is not even imported."""
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        if not os.environ.get(name, "0").isdecimal():
            raise InputError(f"{name} is {os.environ[name]!r}: set it to a whole number of seconds, or unset it")
    proxies = [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy"}]
    for name in ("HF_ENDPOINT", *proxies):
        _check_address(name)
    if not os.environ.get("HF_ENDPOINT", "https://").startswith(("https://", "http://")):
        raise InputError("HF_ENDPOINT: it does not begin with https:// or http://: correct it, or unset it")
    if not re.fullmatch("[!-~]*", os.environ.get("HF_TOKEN", "").strip()):
        raise InputError("HF_TOKEN: it has characters that no token has: copy it again, or unset it")


def _check_address(name: str) -> None:
    address = os.environ.get(name, "")
    try:
        _ = urlsplit(address if "://" in address else f"//{address}").port
    except ValueError:  # which quotes a part of the password
        raise InputError(f"{name}: it is not an address: correct it, or unset it") from None


def prepare(*, offline: bool) -> None:
    """Set what every stage and tool runs with.

    With ``offline`` no Hugging Face library reaches for the hub. Without it they draw progress bars, in a terminal.
    """
    if sys.prefix != sys.base_prefix:  # DVC starts `python`, and has to find that of this virtual environment
        os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    if not os.environ.get("HF_ENDPOINT"):
        os.environ.pop("HF_ENDPOINT", None)  # set to nothing, the hub's library would take it for an address
    for name in (*REMOVED, *(name for name in os.environ if name.startswith("ACCELERATE_"))):
        os.environ.pop(name, None)  # all that would change what is computed, and is not in params.yaml
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # whatever a library asks of torch.load, nothing pickled is run
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if "OMP_WAIT_POLICY" not in os.environ:  # rounds that libgomp's threads wait busily; its own 300,000 starve others
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # what it warns of is said by the stages, or meant
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if offline or not sys.stderr.isatty():
        os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

"""The machine a stage finds itself on: its device, what that can do, and the libraries at work."""

import platform
from importlib import metadata
from typing import Any

import torch

from stages import requirements


def device() -> torch.device:
    """The device to compute on: the accelerator that PyTorch finds (CUDA, MPS ...), else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def device_name() -> str:
    """The GPU's model, or the CPU's architecture and the widest instruction sets that PyTorch uses of it."""
    kind = device().type
    if kind == "cuda":
        return str(torch.cuda.get_device_name())
    if kind != "cpu":
        return str(kind)
    matrices = " AMX" if torch.cpu.get_capabilities().get("amx_bf16") else ""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}{matrices}"


def bf16_supported() -> bool:
    """Whether to train in bfloat16: on a CUDA device or an x86 CPU that multiplies it in hardware."""
    kind = device().type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if kind == "cpu" else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def description(*, bf16: bool) -> dict[str, Any]:
    """What is recorded with a result: versions, device, precision and threads."""
    names = [pin.name for pin in requirements.pins()]
    return {
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in names},
        "device": device_name(),
        "precision": "bfloat16 autocast" if bf16 else "float32",
        "threads": torch.get_num_threads(),
    }

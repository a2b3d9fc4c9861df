"""What a machine is named by, and whether it trains in bfloat16; the devices are stand-ins."""

import platform

import pytest
import torch

from stages import machine


@pytest.mark.parametrize(
    ("capabilities", "supported"),
    [({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)],
)
def test_a_cpu_trains_in_bfloat16_where_it_multiplies_that_in_hardware(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], *, supported: bool
) -> None:
    monkeypatch.setattr(machine, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert machine.bf16_supported() == supported


def test_a_cpu_is_named_by_all_that_decides_how_it_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    names = []
    for tiles in (False, True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda tiles=tiles: {"avx512_bf16": True, "amx_bf16": tiles})
        names.append(machine.device_name())
    assert names == [f"{platform.machine()} AVX512", f"{platform.machine()} AVX512 AMX"]


@pytest.mark.parametrize("supported", [True, False])
def test_a_gpu_that_only_emulates_bfloat16_trains_in_float32(
    monkeypatch: pytest.MonkeyPatch, *, supported: bool
) -> None:
    monkeypatch.setattr(machine, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or supported
    )
    assert machine.bf16_supported() == supported


def test_what_the_cpu_beside_an_accelerator_can_do_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: torch.device("mps"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert not machine.bf16_supported()


def test_an_accelerator_that_torch_is_built_for_and_that_is_not_there_is_not_computed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def built_for(*, check_available: bool = False) -> torch.device | None:
        return None if check_available else torch.device("cuda")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", built_for)
    assert machine.device() == torch.device("cpu")


@pytest.mark.parametrize(("kind", "name"), [("cuda", "NVIDIA H100"), ("mps", "mps")])
def test_a_gpu_is_named_by_its_model_and_another_accelerator_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.setattr(machine, "device", lambda: torch.device(kind))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert machine.device_name() == name

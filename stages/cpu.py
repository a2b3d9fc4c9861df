"""What makes training on a CPU fast where PyTorch's own ways are not: dropout's random numbers and the heap.

Both are set once for the process. A GPU's own ways are left alone.
"""

import ctypes
import functools
import warnings

import numpy as np
import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@functools.cache
def keep_heap() -> None:
    """Have glibc keep what is freed for the next tensor; does nothing where the C library is another.

    By default glibc gives blocks above 32 MB back to the system, and each step then pays for zeroed pages anew.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@functools.cache
def draw_masks_fast() -> torch.library.Library:
    """Replace ``Tensor.bernoulli_(p)`` on the CPU, which draws dropout's masks, by `bernoulli_`.

    Returns:
        What holds the replacement in place.
    """
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Warning only once")
        library.impl("bernoulli_.float", bernoulli_, "CPU", allow_override=True)
    return library


def bernoulli_(mask: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None) -> torch.Tensor:
    """Fill ``mask`` with independent ones, each with probability ``p`` to the nearest of 65,537 steps, and zeros.

    Four elements share a random 64-bit integer of SFC64, seeded by the generator, where PyTorch draws a double of the
    Mersenne Twister for each of them.
    """
    threshold = round(p * 2**16)
    if threshold in {0, 2**16}:
        return mask.fill_(threshold // 2**16)
    seed = int(torch.empty((), dtype=torch.int64).random_(generator=generator))
    integers = np.random.SFC64(seed).random_raw(-(-mask.numel() // 4))
    draws = torch.from_numpy(integers.view(np.int16))[: mask.numel()].view(mask.shape)
    return torch.lt(draws, threshold - 2**15, out=mask)

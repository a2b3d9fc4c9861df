"""When a batch does not fit in the device's memory: the same batch, by gradient accumulation over micro-batches."""

from collections.abc import Callable
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from stages.errors import InputError

Result = TypeVar("Result")
ALSO_MEMORY = ("error: out of memory", "_STATUS_ALLOC_FAILED")  # in CUDA's, its driver's, cuBLAS's and cuDNN's words


def accumulate_as_needed(train: Callable[[int], Result], batch_size: int, steps: int) -> Result:
    """Call ``train`` with the number of accumulation steps for a batch, and with more of them if memory runs out.

    Each time there are at least twice as many, whose micro-batches all have one size. ``steps``, too, must divide
    ``batch_size``.

    Raises:
        InputError: one row alone is too much.
    """
    while True:
        try:
            return train(steps)
        except RuntimeError as error:
            known = isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)
            if not known and not any(words in str(error) for words in ALSO_MEMORY):
                raise
        # past the except clause nothing holds what the failed attempt left in memory
        clear_device_cache(garbage_collection=True)
        if steps == batch_size:
            raise InputError(
                "a batch of one text does not fit in the memory: free what other processes use of it, lower "
                "tokenize.max_length, or choose another model"
            )
        before, steps = steps, next(more for more in range(2 * steps, batch_size + 1) if batch_size % more == 0)
        print(
            f"out of memory with {batch_size // before} texts at a time: now {batch_size // steps}, with gradients "
            f"accumulated over {steps} steps, so that the batch stays the same",
            flush=True,
        )

"""When the device's memory is too small for a batch: the same batch, taken in parts."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from stages.errors import InputError

Result = TypeVar("Result")


def in_parts_that_fit(train: Callable[[int], Result], rows: int, parts: int) -> Result:
    """Call ``train`` with the number of parts to take a batch of ``rows`` in, and with more of them if memory runs out.

    Each time there are at least twice as many, all of one size.

    Raises:
        InputError: one row alone is too much.
    """
    while True:
        try:
            return train(parts)
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and not should_reduce_batch_size(error):
                raise
        # past the except clause nothing holds what the failed attempt left in memory
        clear_device_cache(garbage_collection=True)
        if parts == rows:
            raise InputError("a batch of one text fills the memory: lower tokenize.max_length, or choose another model")
        before, parts = parts, next(more for more in range(2 * parts, rows + 1) if rows % more == 0)
        print(
            f"out of memory with {rows // before} texts at a time: beginning again with {rows // parts}, gradients "
            f"accumulated over {parts} steps, so that the batch stays the same",
            flush=True,
        )


def loss_over_parts(label_smoothing: float) -> Callable[..., torch.Tensor]:
    """The cross-entropy of a part, as its share of the mean over the whole batch.

    Models whose own loss is the mean over a part get gradients too large by the number of parts from the Trainer.
    """

    def loss(outputs: dict[str, Any], labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        summed = torch.nn.functional.cross_entropy(
            outputs["logits"], labels, label_smoothing=label_smoothing, reduction="sum"
        )
        return summed / num_items_in_batch

    return loss

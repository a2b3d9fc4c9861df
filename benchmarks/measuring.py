"""What the training benchmark counts and times: seconds, tokens, floating-point operations, and the best product."""

import copy
import resource
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel, TrainerCallback

from stages import machine

BATCH = 64
Report = dict[str, Any]
Forward = Callable[..., Any]  # takes the model and a batch's tensors by name, and returns an output with a loss
Shapes = tuple[tuple[str, torch.Size, torch.dtype], ...]  # of a batch's tensors, by name


class Stopwatch(TrainerCallback):
    """The seconds of a Trainer's loop."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        synchronize()
        self.start = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Stop."""
        synchronize()
        self.seconds = time.perf_counter() - self.start


class Counted:
    """A collator that counts ``steps`` batches: useful tokens, tokens with padding, and what shapes there were."""

    def __init__(self, collate: Callable[[Any], Any], steps: int) -> None:
        self.collate, self.steps = collate, steps
        self.rows = self.useful = self.computed = 0
        self.shapes: Counter[Shapes] = Counter()

    def __call__(self, rows: Any) -> Any:
        """Collate, and count."""
        batch = self.collate(rows)
        if not self.steps:  # a loader reads ahead
            return batch
        self.steps -= 1
        self.rows += len(rows)
        mask = batch["attention_mask"]
        self.useful += int(mask.sum()) if mask.ndim == 2 else int((mask.diagonal(dim1=-2, dim2=-1) == 0).sum())
        self.computed += batch["input_ids"].numel()
        self.shapes[tuple((name, tensor.shape, tensor.dtype) for name, tensor in batch.items())] += 1
        return batch


def operations(model: PreTrainedModel, forward: Forward, shapes: Shapes) -> int:
    """The floating-point operations of one batch's matrix products, forward and backward, by PyTorch's own count.

    The model is on the meta device, where nothing is computed.
    """
    inputs = {name: torch.empty(shape, dtype=dtype, device="meta") for name, shape, dtype in shapes}
    if inputs["attention_mask"].ndim == 2:
        del inputs["attention_mask"]  # the library would look at its values; it changes no product
    with FlopCounterMode(display=False) as counter:
        forward(model, **inputs).loss.backward()
    return int(counter.get_total_flops())


def synchronize() -> None:
    """Wait for the device."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def report(counted: Counted, model: PreTrainedModel, forward: Forward, seconds: float) -> Report:
    """Samples/s, the share of useful tokens, GFLOP/s, and peak memory in bytes, of a run that is done."""
    memory = torch.cuda.max_memory_allocated() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    model = copy.deepcopy(model).to("meta")
    total = sum(times * operations(model, forward, shapes) for shapes, times in counted.shapes.items())
    return {
        "samples/s": counted.rows / seconds,
        "useful": counted.useful / counted.computed,
        "gflops": total / seconds / 1e9,
        "memory": memory,
    }


def products(width: int, tokens: int = 2048) -> dict[str, float]:
    """The best GFLOP/s of the matrix products that a layer of ``width`` is made of, by each dtype the device has."""
    device, best = machine.device(), {}
    repeats = 4 if device.type == "cpu" else 200  # a GPU takes microseconds for one
    for dtype in (torch.float32, torch.bfloat16)[: 1 + machine.bf16_supported()]:
        rates = []
        for inner, outer in ((width, width), (width, 4 * width), (4 * width, width)):
            left = torch.randn(tokens, inner, device=device, dtype=dtype)
            right = torch.randn(inner, outer, device=device, dtype=dtype)
            times = []
            for _ in range(50):
                synchronize()
                start = time.perf_counter()
                for _ in range(repeats):
                    left @ right
                synchronize()
                times.append((time.perf_counter() - start) / repeats)
            rates.append(2 * tokens * inner * outer / np.median(times) / 1e9)
        best[str(dtype).removeprefix("torch.")] = float(max(rates))
    return best

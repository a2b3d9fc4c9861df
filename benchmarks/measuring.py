"""What the training benchmark counts and times: seconds, tokens, floating-point operations, and the best product."""

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, TrainerCallback

from stages import machine

BATCH = 64
BOTH_WAYS = 3  # forward once; backward is twice that
Report = dict[str, Any]


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
    """A collator that counts ``steps`` batches: useful tokens, tokens with padding, floating-point operations."""

    def __init__(self, collate: Callable[[Any], Any], model: PreTrainedModel, steps: int) -> None:
        self.collate, self.config, self.steps = collate, model.config, steps
        self.useful = self.computed = self.operations = 0
        self.hooks = [
            module.register_forward_hook(self.count_product)
            for module in model.modules()
            if isinstance(module, torch.nn.Linear)
        ]

    def __call__(self, rows: Any) -> Any:
        """Collate, and count."""
        batch = self.collate(rows)
        if not self.steps:  # a loader reads ahead
            return batch
        self.steps -= 1
        mask = batch["attention_mask"]
        height, length = batch["input_ids"].shape
        self.useful += int(mask.sum()) if mask.ndim == 2 else int((mask.diagonal(dim1=-2, dim2=-1) == 0).sum())
        self.computed += height * length
        attention = 4 * self.config.num_hidden_layers * self.config.hidden_size * length
        self.operations += BOTH_WAYS * height * length * attention
        return batch

    def count_product(self, layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        """Count the operations of a linear layer that was called."""
        assert isinstance(layer, torch.nn.Linear)  # noqa: S101 - what it is registered with
        self.operations += BOTH_WAYS * 2 * layer.in_features * output.numel()

    def end(self) -> None:
        """Take the hooks off the model, which may be trained again."""
        for hook in self.hooks:
            hook.remove()


def synchronize() -> None:
    """Wait for the device."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def report(counted: Counted, steps: int, seconds: float) -> Report:
    """What a way has to show, now that it is done."""
    counted.end()
    return {
        "samples/s": steps * BATCH / seconds,
        "useful": counted.useful / counted.computed,
        "gflops": counted.operations / seconds / 1e9,
        "memory": torch.cuda.max_memory_allocated()
        if torch.cuda.is_available()
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
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

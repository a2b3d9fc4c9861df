"""Training speed: the same checkpoint, rows and steps, each way in fresh processes, the ways by turns.

Run: python -m benchmarks.training [--rounds N] [--steps N] [--size checkpoint|distilbert] [--ways NAME ...]
In a folder whose tokenize stage has run (benchmarks/README.md says how to make one). Other versions than
requirements.txt's will do.
"""

import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

import torch
import transformers

from benchmarks.measuring import Report
from benchmarks.ways import WAYS
from stages import entry, machine

EPOCH = 250  # steps: on AMX, 50 gave a tenth fewer samples/s
# steps at most on a CPU: all their batches have one shape, and a few tell the rate; these compute in float32 everywhere
FIXED = {"example": 5, "book": 5}
COLUMNS = (
    "",
    "samples/s",
    "speedup of (e) (range)",
    "non-padding tokens",
    "GFLOP/s",
    "% of peak matmul (range)",
    "peak memory, GB",
)


def measure(name: str, steps: int, size: str) -> Report:
    """Run a way in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.ways", name, str(steps), size)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(rounds: Sequence[dict[str, Report]]) -> str:
    """A Markdown table of the medians over rounds; ratios are taken within a round."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|--:" * (len(COLUMNS) - 1) + "|"]
    for name in rounds[0]:
        if name == "products":
            continue
        dtype = "float32" if name in FIXED or not machine.bf16_supported() else "bfloat16"
        cells = (
            str(inspect.getdoc(WAYS[name])).removesuffix("."),
            f"{median(one[name]['samples/s'] for one in rounds):.1f}",
            spread([one["ours"]["samples/s"] / one[name]["samples/s"] for one in rounds], ".2f"),
            f"{rounds[0][name]['useful']:.0%}",
            f"{median(one[name]['gflops'] for one in rounds):.0f}",
            spread([100 * one[name]["gflops"] / one["products"][dtype] for one in rounds], ".0f"),
            f"{median(one[name]['memory'] for one in rounds) / 1e9:.1f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    peaks = {dtype: spread([one["products"][dtype] for one in rounds], ".0f") for dtype in rounds[0]["products"]}
    peak = "; ".join(f"{rate} GFLOP/s in {dtype}" for dtype, rate in peaks.items())
    lines += ["", f"Peak matmul throughput: {peak}"]
    return "\n".join(lines)


def spread(figures: Sequence[float], digits: str) -> str:
    """The median and the range."""
    return f"{median(figures):{digits}} ({min(figures):{digits}} to {max(figures):{digits}})"


def main() -> None:
    """Run the rounds, each in the opposite order of the last, and print the table."""
    parser = entry.parser("benchmarks.training", __doc__)
    parser.add_argument("--rounds", type=int, default=5, help="in each of which every way runs once; default: 5")
    parser.add_argument("--steps", type=int, default=EPOCH, help=f"of 64 rows; {EPOCH}, an epoch of the emotion data")
    parser.add_argument("--size", choices=("checkpoint", "distilbert"), default="checkpoint", help="of the model")
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        help="(a), (b), (c), (c'), (d), (e), (f), which is for BERT only; default: all",
    )
    arguments = parser.parse_args()
    every = [way for way in WAYS if way != "packed" or arguments.size == "checkpoint"]
    names = ["products", *dict.fromkeys([*(arguments.ways or every), "ours"])]
    few = FIXED if machine.device().type == "cpu" else {}
    rounds = []
    for number in range(arguments.rounds):
        found = {}
        for name in names if number % 2 == 0 else reversed(names):
            found[name] = measure(name, min(arguments.steps, few.get(name, arguments.steps)), arguments.size)
            figures = ", ".join(f"{key} {value:.4g}" for key, value in found[name].items())
            print(f"round {number + 1} of {arguments.rounds}: {name}: {figures}", file=sys.stderr, flush=True)
        rounds.append({name: found[name] for name in names})
    print(
        f"{machine.device_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; "
        f"{arguments.rounds} rounds of {arguments.steps} steps of 64 rows; {arguments.size}\n"
    )
    print(table(rounds))


if __name__ == "__main__":
    entry.run(main, pinned=False)  # other versions will do, but not variables by which float32 would be TF32

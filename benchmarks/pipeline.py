"""What is not training: tokenize, inference, how soon each stage starts, and a `dvc repro` that has nothing to do.

Run: python -m benchmarks.pipeline    (in a clone whose tokenize stage has run: see benchmarks/README.md)
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from stages import entry, paths, tables
from tools.formatting import markdown_table
from tools.pipeline import STAGES

ROUNDS = 3
LONG = 1_000_000  # rows: of such a run one tells enough
# the seconds until a stage starts to read its first table: what it imports and checks before is the start
START = """
import os, runpy, sys, time
start = time.perf_counter()
def first(*_, **__):
    print(time.perf_counter() - start, flush=True)
    os._exit(0)
stage = sys.argv.pop(1)  # a stage takes no arguments
if stage == "download":
    import stages.files
    stages.files.read_rows = first
else:
    import stages.tables
    stages.tables.read = first
runpy.run_module("stages." + stage, run_name="__main__", alter_sys=True)
"""
ENCODE = """
import pyarrow.parquet, tokenizers
texts = pyarrow.parquet.read_table("data/raw/train.parquet", columns=["text"])["text"].to_pylist()
tokenizer = tokenizers.Tokenizer.from_file("models/pretrained/tokenizer/tokenizer.json")
tokenizer.no_padding()  # the file asks for 128 tokens of each text
tokenizer.encode_batch(texts)
"""
PIPELINE = """
import sys, time, pyarrow.parquet
from transformers import pipeline
texts = pyarrow.parquet.read_table("data/raw/validation.parquet")["text"].to_pylist()
classify = pipeline("text-classification", "models/classifier")
classify(texts[:64], batch_size=int(sys.argv[1]))
start = time.perf_counter()
classify(texts, batch_size=int(sys.argv[1]))
print(len(texts) / (time.perf_counter() - start))
"""
PREDICT = """
import sys
from transformers import pipeline
classify = pipeline("text-classification", "models/classifier")
for answer in classify([line.rstrip() for line in open(sys.argv[1], encoding="utf-8")], batch_size=int(sys.argv[2])):
    print(answer)
"""
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
INFER = """
import time
from stages import classifier, inference, paths, tables
from stages.batching import TokenizedRows
rows = TokenizedRows(tables.read(paths.tokenized("validation")))
model, tokenizer = classifier.load_fine_tuned()
read = lambda output, mask: output.logits
inference.infer(model, tokenizer, rows, "warm-up", read)
start = time.perf_counter()
inference.infer(model, tokenizer, rows, "timed", read)
print(len(rows) / (time.perf_counter() - start))
"""


def timed(command: Sequence[str], folder: Path) -> tuple[float, int]:
    """Run ``command`` in ``folder``; give its seconds and its peak memory in bytes.

    A process of little memory starts it: to Linux a child's peak is at least what its parent had when it was started.
    """
    done = subprocess.run(
        (sys.executable, "-c", MEASURE, *command), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
    seconds, kibibytes = done.stdout.split()
    return float(seconds), int(kibibytes) * 1024


def alternate(ways: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Call each of ``ways`` in turn, ``rounds`` times."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
            print(f"round {number + 1} of {rounds}: {name}: {found[name][-1]:.3g}", file=sys.stderr, flush=True)
    return found


def printed(code: str, *arguments: str) -> Callable[[], float]:
    """A program that prints a figure."""

    def way() -> float:
        command = (sys.executable, "-c", code, *arguments)
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])

    return way


def show(title: str, unit: str, found: dict[str, list[float]]) -> None:
    """Print a table of medians and ranges."""
    rows = [(name, f"{median(all_):.3g}", f"{min(all_):.3g} to {max(all_):.3g}") for name, all_ in found.items()]
    print(f"\n{markdown_table((title, unit, 'range'), rows)}", flush=True)


def tokenize(rows: int) -> None:
    """Time the tokenize stage and a bare encode_batch on ``rows`` rows to train on, the real ones over and over."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for needed in ("stages", "dvc.yaml", "requirements.txt", "params.yaml", "models"):
            (folder / needed).symlink_to(Path(needed).absolute())
        (folder / "data/raw").mkdir(parents=True)
        for split in paths.EVALUATED:
            shutil.copy(paths.raw(split), folder / paths.raw(split))
        table = tables.read(paths.raw("train"))
        table = table.take(np.arange(rows) % len(table))
        columns = {column: table[column] for column in table.schema.names}
        tables.write(folder / paths.raw("train"), table.schema, **columns)
        memory: dict[str, float] = {}

        def way(label: str, *command: str) -> Callable[[], float]:
            def once() -> float:
                seconds, memory[label] = timed((sys.executable, *command), folder)
                return seconds

            return once

        found = alternate(
            {
                "stages.tokenize": way("stages.tokenize", "-m", "stages.tokenize"),
                "encode_batch": way("encode_batch", "-c", ENCODE),
            },
            rounds=ROUNDS if rows < LONG else 1,
        )
        show(f"tokenize, {rows:,} rows", "seconds", found)
        print("\npeak memory: " + ", ".join(f"{label} {value / 1e9:.2f} GB" for label, value in memory.items()))


def predict() -> None:
    """Time tools.predict, and a script that calls pipeline(), on the texts of validation in a file."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.writelines(f"{text}\n" for text in tables.read(paths.raw("validation"))["text"].to_pylist())
        file.flush()

        def way(*command: str) -> Callable[[], float]:
            return lambda: timed((sys.executable, *command), Path.cwd())[0]

        ways = {"tools.predict": way("-m", "tools.predict", file.name)} | {
            f"pipeline(), batch size {size}": way("-c", PREDICT, file.name, str(size)) for size in (1, 64)
        }
        show("labelling the validation texts from a file, start-up and imports included", "seconds", alternate(ways))


def repro() -> None:
    """Time a `dvc repro` with nothing to do, here and in a repository with one empty stage."""
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name)
        (empty / "input").touch()
        (empty / "dvc.yaml").write_text("stages:\n  one:\n    cmd: 'true'\n    deps: [input]\n", encoding="utf-8")
        for command in ("git init -q", "dvc init -q", "dvc config -q core.analytics false", "dvc repro -q"):
            subprocess.run(command.split(), cwd=empty, check=True)

        def way(folder: Path) -> Callable[[], float]:
            return lambda: timed(("dvc", "repro"), folder)[0]

        ways = {"this pipeline": way(Path.cwd()), "one empty stage": way(empty)}
        show("dvc repro, nothing to do", "seconds", alternate(ways))


def main() -> None:
    """Print the tables."""
    entry.parser("benchmarks.pipeline", __doc__).parse_args()
    subprocess.run(("dvc", "repro", "--quiet"), check=True)
    repro()
    show(
        "from a stage's start to its first table, including imports and checks",
        "seconds",
        alternate({stage: printed(START, stage) for stage in STAGES}),
    )
    ways = {"stages/inference.py, logits alone": printed(INFER)} | {
        f"pipeline(), batch size {size}": printed(PIPELINE, str(size)) for size in (1, 64)
    }
    show("inference on the validation split, float32", "texts/s", alternate(ways))
    predict()
    for rows in (100_000, LONG):
        tokenize(rows)


if __name__ == "__main__":
    entry.run(main)

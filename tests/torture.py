"""Kill `dvc repro` and what it started, again and again at random moments; the end is that of a run left alone.

Run: make torture, or PYTHONPATH=. python tests/torture.py [--kills N] [--seed N]

In a clone with nothing run, each stage in turn is killed once or more: all processes, only DVC or only the stage, by
SIGKILL, SIGTERM or SIGINT; half of the times the next run starts while an orphan may still live. Then a run is left to
end, and every output is held against an uninterrupted run's, byte by byte. All of it is drawn from the seed, but for
what the clock adds.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import yaml
from clones import STAGES, change_params, make_clone, run
from repros import Repro, wait_until
from stand_ins import make_tiny_random_checkpoint, write_small_dataset

from stages.errors import InputError
from tools import repair

BLOWS = (
    ("group", signal.SIGKILL),
    ("dvc", signal.SIGKILL),
    ("stage", signal.SIGKILL),
    ("group", signal.SIGTERM),
    ("dvc", signal.SIGTERM),
    ("stage", signal.SIGTERM),
    ("group", signal.SIGINT),
)
REFUSALS = ("is busy", "Unable to acquire lock", "another process")


def outputs(clone: Path) -> dict[str, str]:
    """The hash of every file of every output, and of what dvc.lock says (the order of its stages is no matter)."""
    lock = yaml.safe_load((clone / "dvc.lock").read_text(encoding="utf-8"))
    outs = [clone / out["path"] for stage in lock["stages"].values() for out in stage["outs"]]
    files = [file for out in outs for file in ([out] if out.is_file() else out.rglob("*")) if file.is_file()]
    contents = {file.relative_to(clone).as_posix(): file.read_bytes() for file in files}
    contents["dvc.lock"] = json.dumps(lock, sort_keys=True).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def leftovers(clone: Path, checkpoints: Path) -> list[str]:
    """What a killed run may leave and a whole one has to take away."""
    hidden = [
        path for out in ("data", "models", "metrics") for path in (clone / out).rglob(".*") if path.name != ".gitignore"
    ]
    return [str(path) for path in (*hidden, *checkpoints.glob("*"))]


def unrun(clone: Path, folder: Path) -> Path:
    """A copy of ``clone`` without anything that `dvc repro` wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    copy = shutil.copytree(clone, folder, symlinks=True)
    for name in [*outputs(copy), ".dvc/cache", ".dvc/tmp"]:
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return copy


class Torture:
    """Rounds of kills, each in a copy of a clone that ran, with nothing of that run in it.

    Attributes:
        kills: how many in each stage.
        counts: rounds, those that ended with equal bytes, resumed trainings, runs that found another's process alive.
    """

    def __init__(self, reference: Path, folder: Path, seed: int) -> None:
        self.reference, self.folder = reference, folder
        self.checkpoints = folder / "checkpoints"
        self.random = random.Random(seed)
        self.expected = outputs(reference)
        self.kills: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def start(self, clone: Path) -> Repro:
        """Repair, as `make repro` does, and begin a run; it makes a checkpoint after each half second of training."""
        with chdir(clone):  # an empty list of users would otherwise end every later run at once
            wait_until(self.repaired)
        return Repro(clone, RETUNE_CHECKPOINTS=str(self.checkpoints), RETUNE_CHECKPOINT_SECONDS="0.5")

    def repaired(self) -> bool:
        """Repair; or not, as long as a DVC that outlives the blow at its stage runs stages."""
        try:
            self.counts["repairs"] += len(repair.repair())
        except InputError as refusal:
            assert str(refusal).startswith("DVC is running stages here")  # noqa: PT017
            return False
        return True

    def strike(self, clone: Path, due: Counter[str]) -> Repro:
        """Run, and kill at a random moment after a stage began that is due, if one does."""
        repro = self.start(clone)
        if not (begun := repro.wait_for(f"^Running stage '({'|'.join(due)})'")):
            return repro
        stage = begun[1]
        if stage == "train" and self.random.random() < 0.7:  # past the imports, which take longer than the steps
            repro.wait_for(rf"step {self.random.randrange(1, 10)}\d* of ")
        time.sleep(self.random.uniform(0, self.random.choice((0.3, 3, 9))))
        whom, number = self.random.choice(BLOWS)
        if repro.alive():
            repro.kill(whom, number)
            self.kills[stage] += 1
            due -= Counter([stage])
        if self.random.random() < 0.5:
            repro.end()
        return repro

    def round(self, kills: int, stages: Sequence[str]) -> None:
        """Kill ``kills`` times at most, in all ``stages``; then let a run come to its end, and look at what it left."""
        self.counts["rounds"] += 1
        clone, before, runs = unrun(self.reference, self.folder / "clone"), self.kills.total(), []
        due = Counter({stage: self.random.randint(*(3, 6) if stage == "train" else (1, 3)) for stage in stages})
        while due and self.kills.total() - before < kills:
            runs.append(self.strike(clone, due))
            if runs[-1].process.poll() == 0:
                break
        said = [repro.end() for repro in runs]
        last = self.start(clone)
        said.append(last.end())
        assert last.process.returncode == 0, said[-1]
        found = outputs(clone)
        assert found.keys() == self.expected.keys()
        other = [name for name in found if found[name] != self.expected[name]]
        assert not other, f"other bytes than those of the run that was left alone: {other}"
        assert leftovers(clone, self.checkpoints) == []
        assert "up to date" in run("dvc", "status", cwd=clone).stdout
        self.counts["resumes"] += sum("resuming from" in one for one in said)
        self.counts["refusals"] += sum(any(words in one for words in REFUSALS) for one in said)
        self.counts["equal bytes"] += 1

    def endure(self, kills: int) -> None:
        """Go round until there were ``kills`` at least and one in each stage; say after each round what came of it."""
        while (left := kills - self.kills.total()) > 0 or not all(self.kills[stage] for stage in STAGES):
            missed = [stage for stage in STAGES if not self.kills[stage]]
            # a run that outlives its blow goes through all later stages: some rounds are for these alone
            drawn = self.random.sample(STAGES, self.random.randint(1, len(STAGES)))
            try:
                self.round(max(left, 1), drawn if left > 0 else missed)
            finally:  # also of a round that failed
                print(self.report(), flush=True)

    def report(self) -> str:
        """The counts, in a line each."""
        kills = ", ".join(f"{stage} {self.kills[stage]}" for stage in STAGES)
        return (
            f"kills: {self.kills.total()} ({kills})\n"
            f"training runs resumed from a checkpoint: {self.counts['resumes']}\n"
            f"runs that found another run's process alive: {self.counts['refusals']}\n"
            f"repairs of what a killed DVC had left behind: {self.counts['repairs']}\n"
            f"rounds: {self.counts['rounds']}, {self.counts['equal bytes']} of them ended with equal bytes"
        )


def reference(folder: Path) -> Path:
    """A clone in which the pipeline ran undisturbed, with a training of some seconds."""
    clone = make_clone(folder / "reference")
    write_small_dataset(clone / "data/small")
    make_tiny_random_checkpoint(clone / "models/tiny")
    change_params(clone, train__epochs=40)
    run("dvc", "repro", cwd=clone, env={"RETUNE_CHECKPOINTS": str(folder / "checkpoints")})
    return clone


def main() -> None:
    """Go round until there were enough kills, and say what they came to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=60, help="at least so many, and one in each stage")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # on a GPU equal bytes are not promised
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background ignores it, for good
    with tempfile.TemporaryDirectory(prefix="retune-torture-") as folder:
        Torture(reference(Path(folder)), Path(folder), arguments.seed).endure(arguments.kills)


if __name__ == "__main__":
    main()

"""Benchmarks, in a clone of this tree as committed, on the dataset in a folder.

Run: python -m benchmarks FOLDER [--parts training accuracy pipeline] (all but accuracy, which is long, by default)
FOLDER has train.txt and val.txt as recipes/emotion-files.yaml reads them. All rows of the first are trained on; the
second stands for the test split too, which no benchmark looks at.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dvc.utils.serialize import modify_yaml

from stages import entry, errors

RECIPE = "recipes/emotion-files.yaml"
# each with its arguments, in this order: for the last, training is made short
PARTS: dict[str, tuple[str, ...]] = {"training": (), "accuracy": ("ours", "book"), "pipeline": ()}
DEFAULT = ("training", "pipeline")


def prepare(data: Path, clone: Path) -> None:
    """Make ``clone``, with the recipe's params, and run its stages up to tokenize."""
    tree = Path(__file__).parents[1]
    run("git", "clone", "--quiet", str(tree), str(clone))
    rows = clone / "data/own"
    rows.mkdir()
    for name, source in (("train", "train"), ("validation", "val"), ("test", "val")):
        shutil.copy(data / f"{source}.txt", rows / f"{name}.txt")
    shutil.copy(clone / RECIPE, clone / "params.yaml")
    set_param(clone, "dataset", "path", "data/own")
    run("dvc", "repro", "--quiet", "tokenize", cwd=clone)


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command, which says itself why where it fails.

    Raises:
        InputError: it fails.
    """
    if subprocess.run(command, cwd=cwd, check=False).returncode:
        raise errors.InputError(f"`{' '.join(command)}` failed: see what it printed above")


def set_param(clone: Path, section: str, key: str, value: object) -> None:
    """Change params.yaml of ``clone``."""
    with modify_yaml(clone / "params.yaml") as params:
        params[section][key] = value


def main() -> None:
    """Prepare, and run one benchmark after the other."""
    parser = entry.parser("benchmarks", __doc__)
    parser.add_argument("folder", type=Path, help="with train.txt and val.txt")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=DEFAULT, help="default: training and pipeline")
    arguments = parser.parse_args()
    if missing := [name for name in ("train.txt", "val.txt") if not (arguments.folder / name).is_file()]:
        raise errors.InputError(f"{arguments.folder}: has no {missing[0]}: name another folder: make bench DATA=FOLDER")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RETUNE_CHECKPOINTS"] = f"{folder}/checkpoints"
        clone = Path(folder) / "clone"
        prepare(arguments.folder, clone)
        for part in (part for part in PARTS if part in arguments.parts):
            if part == "pipeline":
                set_param(clone, "train", "epochs", 1)  # of no weight for the speed of the other stages
            run(sys.executable, "-m", f"benchmarks.{part}", *PARTS[part], cwd=clone)


if __name__ == "__main__":
    entry.run(main, offline=False, pinned=False)

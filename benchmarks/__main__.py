"""All benchmarks but the hours-long ones, in a clone of this tree as committed, on the data set in a folder.

Run: python -m benchmarks FOLDER    (with train.txt and val.txt as recipes/emotion-files.yaml reads them)
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

RECIPE = "recipes/emotion-files.yaml"


def prepare(data: Path, clone: Path) -> None:
    """Make ``clone``, with the recipe's params, and run its stages up to tokenize."""
    tree = Path(__file__).parents[1]
    subprocess.run(("git", "clone", "--quiet", tree, clone), check=True)
    params = yaml.safe_load((clone / RECIPE).read_text(encoding="utf-8"))
    params["dataset"]["path"] = str(data.absolute())
    params["train"]["epochs"] = 1  # of no weight here: what is timed is steps, and stages other than train
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    subprocess.run(("dvc", "repro", "--quiet", "tokenize"), cwd=clone, check=True)


def main() -> None:
    """Prepare, and run one benchmark after the other."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("error: make bench DATA=FOLDER: name the folder that has train.txt and val.txt")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        prepare(Path(sys.argv[1]), clone)
        for name in ("training", "pipeline"):
            subprocess.run(
                (sys.executable, "-m", f"benchmarks.{name}"),
                cwd=clone,
                env=os.environ | {"RETUNE_CHECKPOINTS": str(Path(folder) / "checkpoints")},
                check=True,
            )


if __name__ == "__main__":
    main()

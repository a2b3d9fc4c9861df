"""Better, or luck? Compare the predictions of two revisions.

Run: python -m tools.compare BASE [HEAD] [--json | --md] [--fail-if worse [--margin M]]

A side is a branch, tag, commit or DVC experiment, or several of them joined by commas that are one recipe with several
training seeds; HEAD is the workspace unless it is named. What dvc.lock names there is read through DVC, from its cache
or remote, and nothing is checked out.

The verdict goes by the 95% paired bootstrap interval of head's accuracy less base's: better where it lies above 0,
worse where it lies below, else within noise; not comparable where the test files or the label sets differ.

Exits with 0 whatever the verdict, with 1 on an error, with 2 where the command line is wrong. With `--fail-if worse` it
exits with 1 as well where the whole interval lies below -M (0 unless named), and where the sides are not comparable,
since then nothing says that head is not worse.
"""

import argparse
import dataclasses
import json
import sys

from stages import entry, errors
from tools import comparison, rendering, revisions


def _margin(text: str) -> float:
    margin = float(text)
    if not 0 <= margin < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share of the rows, from 0 to 1, such as 0.01")
    return margin


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tools.compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", metavar="BASE", help="a revision, or several that differ in their seed: one,two,three")
    parser.add_argument("head", metavar="HEAD", nargs="?", default=revisions.WORKSPACE, help="by default the workspace")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--md", action="store_true", help="print GitHub's Markdown")
    parser.add_argument(
        "--fail-if", choices=[comparison.WORSE], help="exit with 1 where head is worse, or not comparable"
    )
    parser.add_argument("--margin", type=_margin, metavar="M", help="worse by more than this accuracy, by default 0")
    given = parser.parse_args()
    if given.margin is not None and not given.fail_if:
        parser.error("--margin says when --fail-if worse fails: name both")
    return given


def main() -> None:
    """Print the comparison, and fail where that is asked for."""
    given = arguments()
    result = comparison.compare(revisions.read_side(given.base), revisions.read_side(given.head))
    if given.json:
        print(json.dumps(dataclasses.asdict(result), indent=2))
    elif given.md:
        print(rendering.markdown(result))
    else:
        rendering.show(result)
    if given.fail_if and result.verdict == comparison.NOT_COMPARABLE:
        raise errors.InputError("--fail-if worse: the sides are not comparable, so that nothing says it is not worse")
    if given.fail_if and result.worse_by_more_than(given.margin or 0.0):
        sys.exit(1)


if __name__ == "__main__":
    entry.run(main)

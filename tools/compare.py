"""Compare the test predictions of two revisions: is one better, or could it be chance?

Run: python -m tools.compare BASE [HEAD] [--json | --md] [--fail-if worse [--margin M]]

Each side is a branch, tag, commit or DVC experiment, or several of them joined by commas: runs of one recipe with
different training seeds. HEAD is by default the workspace. The predictions are read through DVC, from its cache or
remote; nothing is checked out.

The verdict follows from the 95% paired bootstrap interval of head's accuracy minus base's: better if it is above 0,
worse if it is below 0, otherwise within noise; not comparable if the test files or the labels differ. Between two
single runs, McNemar's exact test has to confirm it (p of 0.05 at most).

The exit code is 0 whatever the verdict, 1 on an error, 2 for a wrong command line. With `--fail-if worse` it is also 1
if head is worse and the whole interval is below -M (by default 0), or if the sides are not comparable, since head may
then be worse.
"""

import argparse
import dataclasses
import json
import sys

from stages import entry, errors
from tools import comparison, rendering, revisions
from tools.trees import WORKSPACE


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = entry.parser("tools.compare", __doc__)
    parser.add_argument("base", metavar="BASE", help="a revision, or several with different seeds: one,two,three")
    parser.add_argument("head", metavar="HEAD", nargs="?", default=WORKSPACE, help="likewise; default: the workspace")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--md", action="store_true", help="print GitHub Markdown")
    parser.add_argument("--fail-if", choices=[comparison.WORSE], help="exit with 1 if head is worse, or not comparable")
    parser.add_argument("--margin", type=float, metavar="M", help="worse by more than this accuracy; default: 0")
    given = parser.parse_args()
    if given.margin is not None and not given.fail_if:
        parser.error("--margin only works with --fail-if worse: give both")
    if not 0 <= (given.margin or 0) < 1:
        fix = "give a fraction of the rows, such as 0.01"
        parser.error(f"argument --margin: {given.margin} is not between 0 and 1: {fix}")
    return given


def main() -> None:
    """Print the comparison, and fail if asked to."""
    given = arguments()
    result = comparison.compare(revisions.read_side(given.base), revisions.read_side(given.head))
    if given.json:
        print(json.dumps(dataclasses.asdict(result), indent=2))
    elif given.md:
        print(rendering.markdown(result))
    else:
        rendering.show(result)
    if given.fail_if and result.verdict == comparison.NOT_COMPARABLE:
        raise errors.InputError("--fail-if worse: the sides are not comparable, so head may be worse")
    if given.fail_if and result.worse_by_more_than(given.margin or 0.0):
        sys.exit(1)


if __name__ == "__main__":
    entry.run(main)

"""Report a pull request's results: the verdict and metrics against the base, what ran, where, and for how long.

Run: python -m tools.report BASE > report/report.md

BASE is a revision; its results and the workspace's are read through DVC. report/run.json (from tools.repro --record)
says what ran, report/verified.txt (the output of tools.verify) whether it all belongs together; either may be missing.
"""

import json
from collections.abc import Callable
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from stages import entry, errors, paths
from tools import comparison, ladder, rendering, results, revisions
from tools.commands import changed, commit
from tools.formatting import code, markdown_table, number
from tools.trees import WORKSPACE

RUN = Path("report/run.json")
VERIFIED = Path("report/verified.txt")
NAME_ANOTHER = "name a branch, tag or commit that git has, or run `git fetch`"


def title(base: str) -> str:
    """Which commits the report is about."""
    head, left = (code(commit(revision, "--short", advice=NAME_ANOTHER)) for revision in ("HEAD", base))
    edited = " and its uncommitted changes" if changed() else ""
    return f"### Results at {head}{edited}, against {left}"


def comparison_section(base: str) -> str:
    """The verdict, metrics with intervals, per-class F1, params and inputs that differ."""
    return rendering.markdown(comparison.compare(revisions.read_side(base), revisions.read_side(WORKSPACE)))


def metrics_section(base: str) -> str:
    """What changed in the metrics, as `dvc metrics diff` finds it.

    Raises:
        InputError: DVC does not know the revision, or cannot read a metrics file that is there.
    """
    try:
        with Repo() as repo:
            found = repo.metrics.diff(base)
    except DvcException as error:
        raise errors.InputError(f"{errors.reason(error)}: {NAME_ANOTHER}") from None
    for revision, failed in found.get("errors", {}).items():
        for path, cause in (failed if isinstance(failed, dict) else {"dvc.yaml": failed}).items():
            if not isinstance(cause, FileNotFoundError):
                raise errors.InputError(f"{revision}: {path} cannot be read ({errors.reason(cause)})")
    rows = [
        (
            code(name if path == paths.METRICS else f"{path}: {name}"),
            *(_figure(figures.get(side)) for side in ("old", "new")),
        )
        for path, values in found.get("diff", {}).items()
        for name, figures in sorted(values.items())  # which DVC gives in another order each time
    ]
    return markdown_table(("metrics.json", "base", "head"), rows) if rows else "metrics.json: no change."


def _figure(value: float | str | None) -> str:
    return code(value) if isinstance(value, str) else number(value)  # a stage of one's own may write any metric


def run_section() -> str:
    """What ran, what came from the cache, and how many minutes that took."""
    if not RUN.exists():
        return "No run is recorded: dvc.lock has all results."
    with results.as_written(str(RUN), f"run `python -m tools.repro --record {RUN}`"):
        run = json.loads(RUN.read_bytes())
        rows = [(code(stage), outcome) for stage, outcome in run["stages"].items()]
        return f"{markdown_table(('stage', ''), rows, names=2)}\n\nThe run took {run['seconds'] / 60:.1f} minutes."


def machine_section() -> str:
    """Where the classifier was trained."""
    if not Path(paths.CLASSIFIER_PROVENANCE).exists():
        return ""
    made = results.read(paths.CLASSIFIER_PROVENANCE)
    with results.as_written(paths.CLASSIFIER_PROVENANCE):
        return f"The classifier was trained on {code(made['machine']['device'])}, in {made['machine']['precision']}."


def verification_section() -> str:
    """What tools.verify said."""
    said = "error: tools.verify was not run"
    if VERIFIED.exists():
        said = VERIFIED.read_text(encoding="utf-8", errors="replace").strip() or "error: tools.verify printed nothing"
    *_, last = said.splitlines()
    return last if last.startswith("verified: ") else _failed("Not verified", said)


def readable(unreadable: str, section: Callable[..., str], *arguments: str) -> str:
    """A section, or ``unreadable`` and the reason, where what it is to show cannot be read."""
    try:
        return section(*arguments)
    except errors.InputError as error:
        return _failed(unreadable, error)


def _failed(what: str, said: object) -> str:
    """An error as it stands: it may quote what anybody has written into params.yaml, which is no Markdown here."""
    return f"**{what}**\n\n```text\n{said}\n```"


def main() -> None:
    """Print the report."""
    parser = entry.parser("tools.report", __doc__)
    parser.add_argument("base", help="the branch, tag or commit to compare with")
    base = parser.parse_args().base
    sections = (
        title(base),
        verification_section(),
        readable("not compared", comparison_section, base),
        readable("No baselines", ladder.markdown),
        readable("metrics.json: not compared", metrics_section, base),
        readable("What ran is not known", run_section),
        readable("The machine is not known", machine_section),
    )
    print("\n\n".join(filter(None, sections)))


if __name__ == "__main__":
    entry.run(main)

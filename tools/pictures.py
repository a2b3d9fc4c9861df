"""Draw the results of two revisions side by side: the confusion matrices, and the curves of both trainings.

Run: python -m tools.pictures BASE [HEAD]

The pictures are saved to report/. HEAD is the workspace unless it is named. Both revisions are read through DVC, from
its cache or remote; one without results is left out.
"""

import csv
import io
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from sklearn.metrics import accuracy_score, confusion_matrix

from stages import entry, errors, paths, plots
from tools import results, revisions
from tools.trees import WORKSPACE, files_at

REPORT = Path("report")
TITLE = 34  # characters of a line, so that two stand side by side
CONFUSION = f"{paths.PLOTS}/confusion_matrix.csv"

Rows = list[dict[str, str]]


class Side(NamedTuple):
    """The tables of a revision, under the name its pictures bear."""

    title: str
    tables: dict[str, Rows]
    advice: str  # where one is not as it was written


def read(revision: str, title: str) -> Side | None:
    """Read a revision's tables, None where it has none.

    Raises:
        InputError: git does not know the revision, or a table cannot be fetched.
    """
    tables: dict[str, Rows] = {}
    with files_at(revision) as files:
        try:
            for name in (CONFUSION, results.PER_CLASS, paths.TRAINING_CURVE, paths.VALIDATION_CURVE):
                tables[name] = list(csv.DictReader(io.StringIO(files.read_text(name, encoding="utf-8"))))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  each kind of remote raises its library's own
            cause = errors.chain(error)[-1]  # which DVC's error about a folder does not say
            if isinstance(cause, FileNotFoundError):
                return None
            raise errors.InputError(
                f"{revision}: cannot be fetched ({errors.reason(cause)}): {revisions.how_to_get(revision)}"
            ) from None
    return Side(title, tables, revisions.how_to_get(revision))


def confusion(sides: list[Side]) -> Figure:
    """The confusion matrices, each row in shares of its label, the labels in the order of their numbers."""
    found: dict[str, None] = {}
    for side in sides:
        with results.as_written(f"{side.title}: {results.PER_CLASS}", side.advice):
            found |= dict.fromkeys(row["label"] for row in side.tables[results.PER_CLASS])
    names = list(found)
    size = plots.confusion_size(len(names))
    figure = Figure(figsize=(size * len(sides), size), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(sides), sharex=True, sharey=True, squeeze=False)[0]
    for axes, side in zip(panels, sides, strict=True):
        with results.as_written(f"{side.title}: {CONFUSION}", side.advice):
            labels, predictions = ([row[key] for row in side.tables[CONFUSION]] for key in ("label", "prediction"))
            shares = confusion_matrix(labels, predictions, labels=names, normalize="true")
            accuracy = accuracy_score(labels, predictions)
        plots.show_confusion(axes, shares, names, f"{textwrap.fill(side.title, TITLE)}\naccuracy {accuracy:.4f}")
        axes.label_outer()
    return figure


def curves(sides: list[Side]) -> Figure:
    """The losses over the epochs and, below, the scores on validation; the sides share their scales."""
    figure = Figure(figsize=(5 * len(sides), 6), dpi=120, layout="constrained")
    panels = figure.subplots(2, len(sides), sharex=True, sharey="row", squeeze=False)
    for (losses, scores), side in zip(panels.T, sides, strict=True):
        _plot(losses, side, paths.TRAINING_CURVE, "loss", "training", linewidth=1, alpha=0.6)
        _plot(losses, side, paths.VALIDATION_CURVE, "loss", "validation", marker="o")
        _plot(scores, side, paths.VALIDATION_CURVE, "accuracy", "accuracy", marker="o")
        _plot(scores, side, paths.VALIDATION_CURVE, "f1", "weighted F1", marker="s", linestyle="--")
        _plot(scores, side, paths.VALIDATION_CURVE, "f1_macro", "macro F1", marker="^", linestyle=":")
        losses.set(title=textwrap.fill(side.title, TITLE))
        scores.set(xlabel="epoch")
    for axes, what in zip(panels[:, 0], ("loss", "score on validation"), strict=True):
        axes.set_ylabel(what)
        axes.legend()
    return figure


def _plot(axes: Any, side: Side, file: str, column: str, label: str, **style: Any) -> None:
    with results.as_written(f"{side.title}: {file}", side.advice):
        epochs, figures = ([float(row[key]) for row in side.tables[file]] for key in ("epoch", column))
    axes.plot(epochs, figures, label=label, **style)


def main() -> None:
    """Draw and save."""
    parser = entry.parser("tools.pictures", __doc__)
    parser.add_argument("base", help="a revision")
    parser.add_argument("head", nargs="?", default=WORKSPACE, help="another, by default the workspace")
    given = parser.parse_args()
    plots.set_style()
    found = [read(given.base, f"base: {given.base}"), read(given.head, f"head: {given.head}")]
    sides = [side for side in found if side]
    if not sides:
        raise errors.InputError(f"{given.base}, {given.head}: neither has results to draw: run `dvc repro`")
    REPORT.mkdir(exist_ok=True)
    for name, draw in (("confusion_matrices.png", confusion), ("curves.png", curves)):
        draw(sides).savefig(REPORT / name, bbox_inches="tight")  # else long names of labels move titles out of it
        print(REPORT / name)


if __name__ == "__main__":
    entry.run(main)

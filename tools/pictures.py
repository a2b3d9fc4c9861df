"""Draw the results of two revisions side by side: the confusion matrices, and the curves of both trainings.

Run: python -m tools.pictures BASE [HEAD]

The pictures are saved to report/. HEAD is the workspace unless it is named. Both revisions are read through DVC, from
its cache or remote; one without results is left out.
"""

import argparse
import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, confusion_matrix

from stages import entry, errors
from tools.revisions import WORKSPACE, files_at

REPORT = Path("report")
CONFUSION = "metrics/plots/confusion_matrix.csv"
PER_CLASS = "metrics/plots/per_class.csv"  # a row for each label, in the order of their numbers
TRAINING = "metrics/curves/training.csv"
VALIDATION = "metrics/curves/validation.csv"
WRITTEN = 15  # labels at most, for the confusion matrices to have figures in their cells

Rows = list[dict[str, str]]


class Side(NamedTuple):
    """The tables of a revision, under the name its pictures bear."""

    title: str
    tables: dict[str, Rows]


def read(revision: str, title: str) -> Side | None:
    """Read a revision's tables, None where it has none.

    Raises:
        InputError: git does not know the revision, or a table cannot be fetched.
    """
    tables: dict[str, Rows] = {}
    with files_at(revision) as files:
        try:
            for name in (CONFUSION, PER_CLASS, TRAINING, VALIDATION):
                tables[name] = list(csv.DictReader(io.StringIO(files.read_text(name, encoding="utf-8"))))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  each kind of remote raises its library's own
            raise errors.InputError(f"{revision}: cannot be fetched ({errors.reason(error)}): run `dvc pull`") from None
    return Side(title, tables)


def confusion(sides: list[Side]) -> Figure:
    """The confusion matrices, each row in shares of its label, the labels in the order of their numbers."""
    names = list(dict.fromkeys(row["label"] for side in sides for row in side.tables[PER_CLASS]))
    size = min(max(4.0, 0.6 * len(names) + 1.5), 12.0)
    figure = Figure(figsize=(size * len(sides), size), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(sides), sharex=True, sharey=True, squeeze=False)[0]
    # left to itself, scikit-learn writes in white on pale cells where all shares are small
    outline = withStroke(linewidth=2, foreground="white")
    for axes, side in zip(panels, sides, strict=True):
        labels, predictions = ([row[key] for row in side.tables[CONFUSION]] for key in ("label", "prediction"))
        shares = confusion_matrix(labels, predictions, labels=names, normalize="true")
        ConfusionMatrixDisplay(shares, display_labels=names).plot(
            ax=axes,
            include_values=len(names) <= WRITTEN,
            cmap="Blues",
            values_format=".2f",
            xticks_rotation="vertical",
            colorbar=False,
            im_kw={"vmin": 0, "vmax": 1},  # the same shade means the same share on both sides
            text_kw={"fontsize": 8, "color": "black", "path_effects": [outline]},
        )
        title = f"{side.title}, accuracy {accuracy_score(labels, predictions):.4f}"
        axes.set(title=title, xlabel="prediction", ylabel="label")
        axes.label_outer()
    return figure


def curves(sides: list[Side]) -> Figure:
    """The losses over the epochs and, below, the scores on validation; the sides share their scales."""
    figure = Figure(figsize=(5 * len(sides), 6), dpi=120, layout="constrained")
    panels = figure.subplots(2, len(sides), sharex=True, sharey="row", squeeze=False)
    for (losses, scores), side in zip(panels.T, sides, strict=True):
        _plot(losses, side.tables[TRAINING], "loss", "training", linewidth=1, alpha=0.6)
        _plot(losses, side.tables[VALIDATION], "loss", "validation", marker="o")
        _plot(scores, side.tables[VALIDATION], "accuracy", "accuracy", marker="o")
        _plot(scores, side.tables[VALIDATION], "f1", "weighted F1", marker="s", linestyle="--")
        losses.set(title=side.title)
        scores.set(xlabel="epoch")
    for axes, what in zip(panels[:, 0], ("loss", "score on validation"), strict=True):
        axes.set_ylabel(what)
        axes.legend()
    return figure


def _plot(axes: Any, table: Rows, column: str, label: str, **style: Any) -> None:
    axes.plot([float(row["epoch"]) for row in table], [float(row[column]) for row in table], label=label, **style)


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="a revision")
    parser.add_argument("head", nargs="?", default=WORKSPACE, help="another, by default the workspace")
    given = parser.parse_args()
    mpl.rcParams["text.parse_math"] = False  # label names are no formulas
    found = [read(given.base, f"base: {given.base[:12]}"), read(given.head, f"head: {given.head[:12]}")]
    sides = [side for side in found if side]
    if not sides:
        raise errors.InputError(f"{given.base}, {given.head}: neither has results to draw: run `dvc repro`")
    REPORT.mkdir(exist_ok=True)
    for name, draw in (("confusion_matrices.png", confusion), ("curves.png", curves)):
        draw(sides).savefig(REPORT / name)
        print(REPORT / name)


if __name__ == "__main__":
    entry.run(main)

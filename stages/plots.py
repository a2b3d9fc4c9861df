"""What the test split looks like under the classifier: tables for DVC's plots, and the same as pictures."""

from collections import Counter
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from sklearn.calibration import calibration_curve
from sklearn.decomposition import PCA
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix, precision_recall_fscore_support

from stages import tables

BINS = 10  # of equal width, for the calibration curve
FONT = "DejaVu Sans"  # comes with matplotlib
LONGEST = 30  # characters of a label's name in a picture
WRITTEN = 40  # labels at most, for a confusion matrix to have figures in its cells
NAMED = 100  # labels at most, for the axes of a confusion matrix to have their names
IN_LEGEND = 20  # labels at most, for a legend of colors


def draw(
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float32],
    hidden: npt.NDArray[np.float32],
    names: list[str],
    folder: Path,
) -> None:
    """Write per-class figures, the confusion matrix, the calibration curve and the hidden states to ``folder``.

    Args:
        labels: label numbers, ``[rows]``.
        probabilities: of each label, ``[rows, labels]``.
        hidden: hidden states, ``[rows, width]``.
        names: label names, in the order of their numbers.
        folder: an existing folder.
    """
    set_style()
    predictions = probabilities.argmax(axis=1)
    _per_class(labels, predictions, names, folder)
    _confusion(labels, predictions, names, folder)
    _calibration(labels == predictions, probabilities.max(axis=1), folder)
    _hidden_states(labels, hidden, _as_shown(names), folder)


def set_style() -> None:
    """Have every picture look the same, whatever a matplotlibrc or the machine's fonts are."""
    mpl.rcdefaults()
    mpl.rcParams.update({"font.family": FONT, "text.parse_math": False})


def confusion_size(labels: int) -> float:
    """Inches of a side of a confusion matrix."""
    return max(4.0, 0.55 * labels + 2.0) if labels <= WRITTEN else 14.0


def show_confusion(axes: Axes, shares: npt.NDArray[np.float64], names: list[str], title: str) -> None:
    """Draw a confusion matrix.

    Args:
        axes: where to.
        shares: of each label's rows, those predicted as each label: ``[labels, predictions]``.
        names: label names, in that order.
        title: what goes above.
    """
    display = ConfusionMatrixDisplay(shares, display_labels=_as_shown(names)).plot(
        ax=axes,
        cmap="Blues",
        im_kw={"vmin": 0, "vmax": 1},  # the same shade means the same share in every picture
        include_values=len(names) <= WRITTEN,
        values_format=".2f",
        # left to itself, scikit-learn writes in white on pale cells where all shares are small
        text_kw={"fontsize": 8, "color": "black", "path_effects": [withStroke(linewidth=2, foreground="white")]},
        colorbar=False,
    )
    if display.text_ is not None:
        for text in display.text_[shares == 0]:
            text.remove()
    for name in axes.get_xticklabels():
        name.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    by = ""
    if len(names) > NAMED:
        by = ", by its number"
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
            axis.set_major_formatter(ScalarFormatter())
    axes.set(xlabel=f"prediction{by}", ylabel=f"label{by}", title=title)
    axes.tick_params(labelsize=5 if WRITTEN < len(names) <= NAMED else 9)


def _as_shown(names: list[str]) -> list[str]:
    """Names cut to fit into a picture; a label's number stands for one that the font lacks or another has, too."""
    glyphs = get_font(findfont(FONT)).get_charmap()
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    shown = [name if glyphs.keys() >= set(map(ord, name)) else f"label {number}" for number, name in enumerate(short)]
    while alike := {name for name, times in Counter(shown).items() if times > 1}:
        shown = [f"label {number}" if name in alike else name for number, name in enumerate(shown)]
    return shown


def _per_class(
    labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], names: list[str], folder: Path
) -> None:
    known = list(range(len(names)))
    scores = precision_recall_fscore_support(labels, predictions, labels=known, zero_division=0)
    columns = dict(zip(("precision", "recall", "f1", "support"), scores, strict=True))
    tables.write_csv(folder / "per_class.csv", pd.DataFrame({"label": names} | columns).round(4))


def _confusion(
    labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], names: list[str], folder: Path
) -> None:
    named = np.array(names, dtype=object)
    pairs = pd.DataFrame({"label": named[labels], "prediction": named[predictions]})
    tables.write_csv(folder / "confusion_matrix.csv", pairs)

    shares = confusion_matrix(labels, predictions, labels=list(range(len(names))), normalize="true")
    size = confusion_size(len(names))
    figure = Figure(figsize=(size + 0.8, size), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    show_confusion(axes, shares, names, f"Confusion on test, {len(labels)} rows: shares of each label")
    figure.colorbar(axes.images[0], ax=axes, shrink=0.8)
    _save(figure, folder / "confusion_matrix.png")


def _calibration(correct: npt.NDArray[np.bool_], confidence: npt.NDArray[np.float32], folder: Path) -> None:
    accuracy, mean = calibration_curve(correct, confidence, n_bins=BINS, strategy="uniform")
    curve = pd.DataFrame({"confidence": mean, "accuracy": accuracy}).round(4)
    tables.write_csv(folder / "calibration.csv", curve)

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axes.plot((0, 1), (0, 1), color="grey", linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot(mean, accuracy, marker="o", label="classifier")
    axes.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title="Calibration on test")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=2, frameon=False)
    below.hist(confidence, bins=BINS, range=(0, 1))
    below.set(xlabel="confidence (probability of the prediction)", ylabel="rows")
    _save(figure, folder / "calibration.png")


def _hidden_states(
    labels: npt.NDArray[np.int64], hidden: npt.NDArray[np.float32], names: list[str], folder: Path
) -> None:
    with np.errstate(invalid="ignore"):  # of states that are all alike, the shares of the variance are 0 / 0
        pca = PCA(n_components=2, svd_solver="full").fit(hidden)
    points = pca.transform(hidden)
    figure = Figure(figsize=(8, 6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    colors = mpl.colormaps["tab10" if len(names) <= 10 else "turbo"].resampled(max(len(names), 10))
    clouds, shown = [], []
    for number in np.unique(labels):
        own = points[labels == number]
        clouds.append(axes.scatter(own[:, 0], own[:, 1], s=10, alpha=0.7, color=colors(number)))
        shown.append(names[number])
    shares = [
        f"component {number}, {share:.0%} of the variance"
        for number, share in enumerate(np.nan_to_num(pca.explained_variance_ratio_), 1)
    ]
    axes.set(xlabel=shares[0], ylabel=shares[1], title="Mean-pooled hidden states of test, by PCA")
    if len(names) <= IN_LEGEND:
        figure.legend(clouds, shown, loc="outside right upper", fontsize=8, markerscale=2)
    else:
        numbers = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, len(names) - 1), colors)
        figure.colorbar(numbers, ax=axes, label="label, by its number")
    _save(figure, folder / "hidden_states.png")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Software": None}, bbox_inches="tight")  # a title may be wider than its axes

"""The rows that the classifier finds hardest, and which of their labels are likely errors."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from stages import metrics

ROWS = 100  # at most


def table(
    texts: list[str], labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32], names: list[str]
) -> pd.DataFrame:
    """The rows of the highest loss, the hardest first.

    Args:
        texts: ``[rows]``.
        labels: label numbers, ``[rows]``.
        probabilities: of each label, ``[rows, labels]``.
        names: label names, in the order of their numbers.

    Returns:
        row (from 0), text, label, prediction, probability (of the prediction), loss (of the label, in nats) and
        label_error (1 for the likeliest, empty where the label is not suspected).
    """
    loss = metrics.losses(labels, probabilities)
    order = np.argsort(-loss, kind="stable")[:ROWS]
    predictions = probabilities.argmax(axis=1)
    columns = {
        "row": order,
        "text": [texts[row] for row in order],
        "label": [names[label] for label in labels[order]],
        "prediction": [names[prediction] for prediction in predictions[order]],
        "probability": probabilities.max(axis=1)[order].astype(np.float64).round(4),
        "loss": loss[order].round(4),
        "label_error": label_error_ranks(labels, probabilities)[order],
    }
    return pd.DataFrame(columns).astype({"label_error": "Int64"}).replace({"label_error": {0: pd.NA}})


def label_error_ranks(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Rank the rows whose label is likely an error, ``[rows]``: 1 for the likeliest, 0 where it is not suspected.

    By confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
    Labels", JAIR 70): each label's threshold is its mean probability on the rows labelled with it. A row is suspected
    if a more probable label than its own reaches its threshold. Ranked by self-confidence, the probability of the
    row's label: the least first.
    """
    classes = probabilities.shape[1]
    confidence = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    counts, sums = (np.bincount(labels, weights, minlength=classes) for weights in (None, confidence))
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suspected = confident.max(axis=1) > confidence
    ranks = np.zeros(len(labels), dtype=np.int64)
    ranks[suspected] = rankdata(confidence[suspected], method="ordinal")
    return ranks

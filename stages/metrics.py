"""The figures by which a classifier is evaluated."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score


def scores(labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, F1 weighted by each class's support, and the plain mean of the classes' F1 (macro).

    Only classes that have rows count, as in scikit-learn's balanced accuracy: of another, F1 is not known.

    Args:
        labels: label numbers, ``[rows]``.
        predictions: predicted label numbers, ``[rows]``.
    """
    return {
        "accuracy": accuracy_score(labels, predictions),
        "f1": f1_score(labels, predictions, average="weighted"),
        "f1_macro": f1_score(labels, predictions, labels=np.unique(labels), average="macro"),
    }


def losses(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Negative log likelihood of each row's label, ``[rows]``, in nats, under ``probabilities`` ``[rows, classes]``.

    At most 87.3, that of the least normal number of float32: scikit-learn's log_loss would end at 15.9 already.
    """
    likelihood = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0].astype(np.float64)
    return -np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))

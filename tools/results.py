"""Results that stages wrote, as the tools read them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import errors, paths

if TYPE_CHECKING:
    import pandas as pd

PER_CLASS = f"{paths.PLOTS}/per_class.csv"  # a row for each label, in the order of their numbers
METRICS_FROM_GIT = f"git checkout {paths.METRICS}"  # DVC's cache does not have them


def read(path: str) -> dict[str, Any]:
    """Read a JSON file that a stage wrote.

    Raises:
        InputError: it is missing or cannot be read.
    """
    with _present(path):
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))


def per_class() -> "pd.DataFrame":
    """The scores of each label on test: label, precision, recall, f1, support.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    import pandas as pd

    with _present(PER_CLASS):  # names as they are: neither numbers nor NA are special
        scores = pd.read_csv(PER_CLASS, dtype={"label": str}, keep_default_na=False)
        return scores[["label", "precision", "recall", "f1", "support"]]


def labels(split: str) -> set[int]:
    """The numbers of the labels that the rows of a split have.

    Raises:
        InputError: its predictions are missing or cannot be read.
    """
    import pandas as pd

    path = paths.predictions(split)
    with _present(path):
        return set(pd.read_parquet(path, columns=["label"])["label"])


@contextmanager
def _present(path: str) -> Iterator[None]:
    """As `as_written`; that the file is missing is an error, too."""
    if not Path(path).exists():
        restore = METRICS_FROM_GIT if path == paths.METRICS else "dvc pull"
        raise errors.InputError(f"{path} does not exist: run `dvc repro`, or `{restore}`")
    with as_written(path):
        yield


@contextmanager
def as_written(path: str, advice: str = "run `dvc repro`") -> Iterator[None]:
    """Take figures from a file that a command wrote, and that somebody or a merge may have changed since.

    Raises:
        InputError: they are not such as are written there.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise errors.InputError(f"{path}: damaged ({errors.reason(error)}): {advice}") from None

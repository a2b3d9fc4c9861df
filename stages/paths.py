"""Where the stages leave things for one another, and what to say where they did not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages import dvcfile
from stages.errors import InputError, reason

SPLITS = ("train", "validation", "test")
EVALUATED = ("validation", "test")  # the splits that nothing is trained on

PRETRAINED = "models/pretrained/model"
TOKENIZER = "models/pretrained/tokenizer"
CLASSIFIER = "models/classifier"
CLASSIFIER_PROVENANCE = f"{CLASSIFIER}/provenance.json"
TRAINING_CURVE = "metrics/curves/training.csv"
VALIDATION_CURVE = "metrics/curves/validation.csv"
DELIVERY = "data/raw/delivery.json"
FINDINGS = "data/audit/findings.csv"
AUDIT = "metrics/data.json"
TOKENS = "metrics/tokens.json"
BASELINES = "metrics/baselines.json"
HARDEST = "data/predictions/hardest.csv"
METRICS = "metrics/metrics.json"
PLOTS = "metrics/plots"


def provenance(stage: str) -> str:
    """What a stage's outputs were made from, and their hashes."""
    return f"data/provenance/{stage}.json"


def raw(split: str) -> str:
    """The texts and labels of a split."""
    return f"data/raw/{split}.parquet"


def tokenized(split: str) -> str:
    """The token ids and labels of a split."""
    return f"data/tokenized/{split}.parquet"


def predictions(split: str) -> str:
    """What the classifier makes of a split."""
    return f"data/predictions/{split}.parquet"


def require(path: str) -> None:
    """Make sure that an earlier stage has left something at ``path``, a change of which reruns this one.

    Raises:
        InputError: it has not, or dvc.yaml does not list it.
    """
    dvcfile.check_deps([Path(path)], "reads")
    if not Path(path).exists():
        raise InputError(f"{path} does not exist: run `dvc pull`, or `dvc repro`, which makes it first")


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Read what an earlier stage left at ``path``, a file or a folder.

    Raises:
        InputError: as `require`, or what reads it raises anything at all.
    """
    require(path)
    try:
        yield
    except Exception as error:
        raise InputError(
            f"{path}: damaged ({reason(error)}): delete it and run `dvc checkout` or `dvc repro`"
        ) from error

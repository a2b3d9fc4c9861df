"""Where the stages leave things for one another."""

SPLITS = ("train", "validation", "test")
EVALUATED = ("validation", "test")  # the splits that nothing is trained on

PRETRAINED = "models/pretrained/model"
TOKENIZER = "models/pretrained/tokenizer"
CLASSIFIER = "models/classifier"
CLASSIFIER_PROVENANCE = f"{CLASSIFIER}/provenance.json"
TRAINING_CURVE = "metrics/curves/training.csv"
VALIDATION_CURVE = "metrics/curves/validation.csv"
FINDINGS = "data/audit/findings.csv"
AUDIT = "metrics/data.json"
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

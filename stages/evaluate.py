"""Judge the classifier on validation and, once, on test, in float32 whatever it was trained in.

In:  models/classifier/, data/tokenized/{validation,test}.parquet
Out: metrics/metrics.json, data/predictions/{validation,test}.parquet, metrics/plots/
Run: python -m stages.evaluate
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import entry
from stages.outputs import staged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Judged = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]

CLASSIFIER = "models/classifier"
SPLITS = ("validation", "test")
METRICS = "metrics/metrics.json"
DIGITS = 4  # in metrics.json, so that a diff shows no change where there is none to see


def predict_split(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", split: str) -> "Judged":
    """Give the label numbers ``[rows]`` and the probabilities ``[rows, labels]`` of a split, row for row."""
    from scipy.special import softmax

    from stages import inference, tables
    from stages.batching import PadToLongest, TokenizedRows

    table = tables.read(f"data/tokenized/{split}.parquet")
    rows = TokenizedRows(table)
    collate = PadToLongest(tokenizer.pad_token_id, tokenizer.padding_side)
    logits = inference.logits(model, rows, collate, f"evaluate {split}")
    return rows.labels, softmax(logits, axis=1)


def write_predictions(path: Path, judged: "Judged", names: list[str], stamp: dict[str, Any]) -> None:
    """Write a row's label, prediction and probabilities for each row, with ``stamp`` in the schema's metadata."""
    import pyarrow as pa

    from stages import tables

    labels, probabilities = judged
    schema = tables.schema(tables.PREDICTIONS, names, "label", "prediction", **stamp)
    flat = pa.array(probabilities.ravel())
    offsets = pa.array(range(0, probabilities.size + 1, probabilities.shape[1]), pa.int32())
    column = pa.ListArray.from_arrays(offsets, flat).cast(schema.field("probabilities").type)
    tables.write(path, schema, probabilities=column, label=labels, prediction=probabilities.argmax(axis=1))


def summarize(judged: "dict[str, Judged]") -> dict[str, float]:
    """The rows of metrics.json: scores and cross-entropy (in nats) of test, accuracy and F1 of validation, rounded."""
    from stages import metrics

    figures: dict[str, float] = {}
    for split, prefix, kept in (("test", "", None), ("validation", "validation_", {"accuracy", "f1"})):
        labels, probabilities = judged[split]
        scores = metrics.scores(labels, probabilities.argmax(axis=1), probabilities.shape[1])
        scores["loss"] = metrics.cross_entropy(labels, probabilities)
        figures |= {
            prefix + name: round(value, DIGITS) for name, value in scores.items() if kept is None or name in kept
        }
    return figures


def main() -> None:
    """Write predictions, metrics and plots."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from stages import machine, plots, provenance

    stamp = provenance.inputs("evaluate") | {"machine": machine.description(bf16=False)}
    tokenizer = AutoTokenizer.from_pretrained(CLASSIFIER, trust_remote_code=False)
    model = AutoModelForSequenceClassification.from_pretrained(
        CLASSIFIER, dtype="float32", use_safetensors=True, trust_remote_code=False
    ).to(machine.device())
    names = [model.config.id2label[number] for number in range(model.config.num_labels)]
    outputs = (*(f"data/predictions/{split}.parquet" for split in SPLITS), METRICS, "metrics/plots")
    with staged(*outputs) as (*predictions, metrics_file, plots_folder):
        judged = {split: predict_split(model, tokenizer, split) for split in SPLITS}
        for split, path in zip(SPLITS, predictions, strict=True):
            write_predictions(path, judged[split], names, stamp)
        figures = summarize(judged)
        metrics_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        plots_folder.mkdir()
        plots.draw(*judged["test"], names, plots_folder)
    print(", ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    entry.run(main)

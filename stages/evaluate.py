"""Evaluate the classifier on validation and test, in float32 whatever it was trained in.

In:  models/classifier/, data/tokenized/{validation,test}.parquet, data/raw/test.parquet, data/audit/findings.csv
Out: metrics/metrics.json, data/predictions/{validation,test}.parquet, data/predictions/hardest.csv, metrics/plots/
Run: python -m stages.evaluate
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages import entry, paths, provenance
from stages.outputs import staged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DIGITS = 4  # in metrics.json, so that a diff shows no change where there is none to see


class Evaluated(NamedTuple):
    """What the classifier makes of the rows of a split."""

    labels: "npt.NDArray[np.int64]"  # [rows]
    probabilities: "npt.NDArray[np.float32]"  # [rows, labels]
    leaked: "npt.NDArray[np.bool_]"  # [rows]: train has a near-duplicate of the text

    def scores(self, rows: "npt.NDArray[np.bool_] | slice" = slice(None)) -> dict[str, float]:
        """Accuracy, weighted F1 and macro F1 of the most probable labels, over all or some of the rows."""
        from stages import metrics

        predictions = self.probabilities[rows].argmax(axis=1)
        return metrics.scores(self.labels[rows], predictions)


def predict_split(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", split: str
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]":
    """The labels of a split ``[rows]``, the probabilities ``[rows, labels]``, mean-pooled states ``[rows, width]``."""
    import torch
    from scipy.special import softmax

    from stages import inference, tables
    from stages.batching import TokenizedRows
    from stages.compatibility import check_fit

    rows = TokenizedRows(tables.read(paths.tokenized(split)))
    model.config.get_text_config().output_hidden_states = True  # of a model of texts and images, the part for texts
    check_fit(model, tokenizer, rows)

    def pool(output: Any, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([output.logits, inference.mean_pooling(output.hidden_states[-1], mask)], dim=1)

    both = inference.infer(model, tokenizer, rows, f"evaluate {split}", pool)
    logits, hidden = both[:, : model.config.num_labels], both[:, model.config.num_labels :]
    return rows.labels, softmax(logits, axis=1), hidden


def leaked_rows(split: str, rows: int) -> "npt.NDArray[np.bool_]":
    """Which of the rows of a split have a near-duplicate in train, by the audit."""
    import numpy as np
    import pandas as pd

    with paths.reading(paths.FINDINGS):
        found = pd.read_csv(paths.FINDINGS, usecols=["finding", "split", "row"])
    leaked = found[(found["finding"] == "leaked") & (found["split"] == split)]
    return np.isin(np.arange(rows), leaked["row"])


def write_predictions(path: Path, evaluated: Evaluated, names: list[str], stamp: dict[str, Any]) -> None:
    """Write each row's label, prediction, probabilities and whether it is leaked; ``stamp`` goes into the metadata."""
    from stages import tables

    labels, probabilities, leaked = evaluated
    schema = tables.schema(tables.PREDICTIONS, names, "label", "prediction", **stamp)
    prediction = probabilities.argmax(axis=1)
    tables.write(path, schema, probabilities=list(probabilities), leaked=leaked, label=labels, prediction=prediction)


def summarize(evaluated: dict[str, Evaluated]) -> dict[str, float]:
    """The rows of metrics.json: scores and cross-entropy (in nats) of test, scores of validation, rounded.

    Where test rows are leaked: how many, and accuracy and F1 without them, if any are left.
    """
    from stages import metrics

    validation, test = (evaluated[split] for split in paths.EVALUATED)
    figures = test.scores() | {"loss": float(metrics.losses(test.labels, test.probabilities).mean())}
    if test.leaked.any():
        figures["leaked_rows"] = int(test.leaked.sum())
        if not test.leaked.all():
            rest = test.scores(~test.leaked)
            figures |= {f"{name}_without_leaked": rest[name] for name in ("accuracy", "f1")}
    figures |= {f"validation_{name}": score for name, score in validation.scores().items()}
    return {name: round(value, DIGITS) for name, value in figures.items()}


def main() -> None:
    """Write predictions, metrics, the hardest rows and plots."""
    stamp = provenance.inputs("evaluate")

    from stages import classifier, hardest, machine, plots, tables

    made = stamp | {"machine": machine.description(bf16=False)}
    model, tokenizer = classifier.load_fine_tuned()
    names = [model.config.id2label[number] for number in range(model.config.num_labels)]
    outputs = (*map(paths.predictions, paths.EVALUATED), paths.METRICS, paths.HARDEST, paths.PLOTS)
    with staged(stamp, *outputs) as (*predictions, metrics_file, hardest_rows, plots_folder):
        evaluated, hidden = {}, {}
        for split, path in zip(paths.EVALUATED, predictions, strict=True):
            labels, probabilities, hidden[split] = predict_split(model, tokenizer, split)
            evaluated[split] = Evaluated(labels, probabilities, leaked_rows(split, len(labels)))
            write_predictions(path, evaluated[split], names, made)
        figures = summarize(evaluated)
        metrics_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        labels, probabilities, _ = evaluated["test"]
        texts = tables.read(paths.raw("test"))["text"].to_pylist()
        tables.write_csv(hardest_rows, hardest.table(texts, labels, probabilities, names))
        plots_folder.mkdir()
        plots.draw(labels, probabilities, hidden["test"], names, plots_folder)
    print(", ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    entry.run(main)

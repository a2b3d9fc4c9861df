"""The floor that fine-tuning has to beat: the majority class, TF-IDF, and the frozen checkpoint's hidden states.

In:  data/raw/*.parquet (texts), data/tokenized/*.parquet (token ids), models/pretrained/
Out: metrics/baselines.json
Run: python -m stages.baselines

All but the first are features for scikit-learn's logistic regression. Its C, the inverse of the regularization's
strength, is chosen on validation, by weighted F1.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stages import entry, errors, paths, provenance
from stages.outputs import staged
from stages.words import UNSPACED

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stages.batching import TokenizedRows

Report = dict[str, Any]
DIGITS = 4
TFIDF_C = (1, 10, 100, 1000, 10_000)  # the last is next to no regularization
HIDDEN_STATES_C = (0.001, 0.01, 0.1, 1, 10, 100)
TOLERANCE, MAX_ITERATIONS = 1e-6, 1000
MAX_COEFFICIENTS = 30_000_000  # labels times features, of which the solver holds a dozen copies in float64


def scores(labels: "dict[str, npt.NDArray[np.int64]]", predictions: dict[str, Any]) -> Report:
    """Accuracy and weighted F1 on validation and test, rounded.

    ``labels`` and ``predictions`` are label numbers ``[rows]`` by their split.
    """
    from stages import metrics

    report: Report = {}
    for split in paths.EVALUATED:
        figures = metrics.scores(labels[split], predictions[split])
        report[split] = {name: round(figures[name], DIGITS) for name in ("accuracy", "f1")}
    return report


def majority(labels: "dict[str, npt.NDArray[np.int64]]") -> Report:
    """The most frequent label of train, whatever the text; ``labels`` are numbers ``[rows]`` by their split."""
    import numpy as np

    label = np.bincount(labels["train"]).argmax()
    return scores(labels, {split: np.full_like(labels[split], label) for split in paths.EVALUATED})


def regression(features: dict[str, Any], labels: "dict[str, npt.NDArray[np.int64]]", grid: Sequence[float]) -> Report:
    """Logistic regression on ``features`` ``[rows, width]`` of each split, with the C of ``grid`` best on validation.

    ``labels`` are numbers ``[rows]`` by their split.

    Raises:
        InputError: it converges with none of them.
    """
    from sklearn.linear_model import LogisticRegression

    from stages.progress import Progress

    model = LogisticRegression(solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS, warm_start=True)
    best: Report = {}
    with Progress("logistic regression", len(grid), "values of C") as progress:
        for c in grid:
            model.set_params(C=c).fit(features["train"], labels["train"])
            progress.advance(1)
            if model.n_iter_.max() >= MAX_ITERATIONS:
                print(f"warning: logistic regression did not converge in {MAX_ITERATIONS} steps with C {c}: left out")
                continue
            report = scores(labels, {split: model.predict(features[split]) for split in paths.EVALUATED})
            if not best or report["validation"]["f1"] > best["validation"]["f1"]:
                best = {"C": c} | report
    if not best:
        raise errors.InputError("logistic regression converges with no C: raise MAX_ITERATIONS in stages/baselines.py")
    return best


def tfidf(labels: int) -> dict[str, Any]:
    """TF-IDF of the unigrams and bigrams of words and punctuation in train, ``[rows, features]``, sparse.

    At most ``MAX_COEFFICIENTS / labels`` features are kept, the most frequent.

    Of the scripts in `UNSPACED`, each character counts as a word.
    """
    import regex
    from sklearn.feature_extraction.text import TfidfVectorizer

    from stages import tables

    words = regex.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")  # whose \w has combining marks, unlike re's
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        tokenizer=words.findall,
        token_pattern=None,
        max_features=max(1, MAX_COEFFICIENTS // labels),
    )
    texts = {split: tables.read(paths.raw(split))["text"].to_pylist() for split in paths.SPLITS}
    vectorizer.fit(texts["train"])
    return {split: vectorizer.transform(texts[split]) for split in paths.SPLITS}


def hidden_states(rows: "dict[str, TokenizedRows]", names: list[str]) -> dict[str, dict[str, Any]]:
    """The frozen checkpoint's last hidden states, standardized: ``[rows, width]`` by how they are pooled, and by split.

    Raises:
        InputError: the checkpoint does not fit the data, or gives NaN or inf.
    """
    import numpy as np
    import torch
    from sklearn.preprocessing import StandardScaler

    from stages import classifier, inference, machine
    from stages.compatibility import check_checkpoint, check_fit

    tokenizer = classifier.load_tokenizer(paths.TOKENIZER)
    model = classifier.load_pretrained(names)
    check_fit(model, tokenizer, *rows.values())
    check_checkpoint(model, tokenizer, rows["train"])
    body = model.base_model.to(machine.device())

    def pool(output: Any, mask: torch.Tensor) -> torch.Tensor:
        hidden = output.last_hidden_state
        return torch.cat([inference.first_token_pooling(hidden, mask), inference.mean_pooling(hidden, mask)], dim=1)

    both = {
        split: inference.infer(body, tokenizer, rows[split], f"hidden states, {split}", pool) for split in paths.SPLITS
    }
    if not all(np.isfinite(states).all() for states in both.values()):
        raise errors.InputError(f"{paths.PRETRAINED}: its hidden states hold NaN or inf: choose another checkpoint")
    width = both["train"].shape[1] // 2
    features: dict[str, dict[str, Any]] = {}
    for name, part in (("first_token", slice(width)), ("mean_pooling", slice(width, None))):
        scaler = StandardScaler().fit(both["train"][:, part])
        features[name] = {split: scaler.transform(both[split][:, part]) for split in paths.SPLITS}
    return features


def main() -> None:
    """Evaluate each baseline on validation and test."""
    stamp = provenance.inputs("baselines")

    from stages import tables
    from stages.batching import TokenizedRows

    tokenized = {split: tables.read(paths.tokenized(split)) for split in paths.SPLITS}
    rows = {split: TokenizedRows(table) for split, table in tokenized.items()}
    labels = {split: rows[split].labels for split in paths.SPLITS}
    names = tables.label_names(tokenized["train"].schema)
    with staged(stamp, paths.BASELINES) as (output,):
        report = {"majority": majority(labels), "tfidf": regression(tfidf(len(names)), labels, TFIDF_C)}
        for name, features in hidden_states(rows, names).items():
            report[name] = regression(features, labels, HIDDEN_STATES_C)
        for name, found in report.items():
            chosen = f" (C {found['C']})" if "C" in found else ""
            figures = ", ".join(f"{split} accuracy {found[split]['accuracy']:.4f}" for split in paths.EVALUATED)
            print(f"{name}{chosen}: {figures}")
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    entry.run(main)

"""The model card: what the classifier does, how good it is, and what it was made from, all of it read from results.

card.md is its template. It names no path of the machine that the pipeline ran on.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
from scipy.stats import binomtest

from stages import paths, tables
from tools import ladder, results
from tools.formatting import code, markdown_table, number

TEMPLATE = Path("tools/card.md")
LIBRARIES = ("torch", "transformers", "datasets")
HUB = "https://huggingface.co"


def model_card(repository: str, commit: str) -> str:
    """The README.md of a repository of the hub, of results that `tools.verify` has found to belong together.

    Args:
        repository: owner/name.
        commit: that of the results.
    """
    from huggingface_hub import ModelCard

    params, audit = results.read(paths.provenance("download"))["params"], results.read(paths.AUDIT)
    splits = {split: tables.read(paths.raw(split)) for split in paths.SPLITS}
    carved = [split for split in paths.EVALUATED if split not in audit["splits"]]
    metrics, trained = results.read(paths.METRICS), results.read(paths.CLASSIFIER_PROVENANCE)
    max_length = results.read(paths.provenance("tokenize"))["params"]["tokenize.max_length"]
    return str(
        ModelCard.from_template(
            _metadata(repository, params, carved, metrics),
            str(TEMPLATE),
            name=repository.partition("/")[2],
            repository=repository,
            commit=code(commit),
            labels=len(tables.label_names(splits["train"].schema)),
            checkpoint=_checkpoint(params),
            max_length=max_length,
            test_rows=len(splits["test"]),
            interval=_interval(),
            metrics=markdown_table(("metric", "value"), [(name, number(metrics[name])) for name in metrics]),
            ladder=ladder.markdown(),
            per_class=_per_class(),
            dataset=_dataset(params),
            carved=carved,
            rows=_rows(splits, audit["skipped_rows"]),
            params=_params(trained["params"] | {"tokenize.max_length": max_length}),
            device=code(trained["machine"]["device"]),
            precision=trained["machine"]["precision"],
            libraries=", ".join(f"{name} {trained['machine']['versions'][name]}" for name in LIBRARIES),
        )
    )


def _metadata(repository: str, params: dict[str, Any], carved: list[str], metrics: dict[str, float]) -> Any:
    """What the hub reads itself; of a data set of its own, with a test split of its own, the metrics, too."""
    from huggingface_hub import EvalResult, ModelCardData

    hub_data = params["dataset.hub_name"] if params["dataset.source"] == "hub" else None
    evaluated = [
        EvalResult(
            task_type="text-classification",
            dataset_type=hub_data,
            dataset_name=hub_data,
            dataset_config=params["dataset.hub_config"],
            dataset_revision=params["dataset.hub_revision"],
            dataset_split="test",
            metric_type=name,
            metric_value=metrics[name],
            metric_args=arguments,
        )
        for name, arguments in (("accuracy", None), ("f1", {"average": "weighted"}))
        if hub_data and "test" not in carved
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=params["model.hub_name"] if params["model.source"] == "hub" else None,
        datasets=[hub_data] if hub_data else None,
        metrics=["accuracy", "f1"],
        model_name=repository.partition("/")[2] if evaluated else None,
        eval_results=evaluated or None,
    )


def _checkpoint(params: dict[str, Any]) -> str:
    """The pretrained model, as far as others can have it."""
    if params["model.source"] == "hub":
        name, revision = params["model.hub_name"], params["model.hub_revision"]
        return f"[{name}]({HUB}/{name}/tree/{revision})"
    package = params["model.source"] == "package"
    what = f"the model of the package {code(params['model.package'])}" if package else "a local model"
    sha256 = params["model.weights_sha256"]
    return f"{what} (sha256 of the weights: {code(sha256)})" if sha256 else what


def _dataset(params: dict[str, Any]) -> str:
    """Where the texts are from, as far as others can have them."""
    if params["dataset.source"] == "files":
        return "The texts are from files"
    name, revision, config = (params[f"dataset.hub_{key}"] for key in ("name", "revision", "config"))
    link = f"[{name}]({HUB}/datasets/{name}/tree/{revision})"
    return f"The texts are {link}" + (f", configuration {code(config)}" if config else "")


def _interval() -> str:
    """The 95% interval of the accuracy on test: Wilson 1927, JASA 22(158)."""
    predictions = tables.read(paths.predictions("test"))
    right = int((predictions["label"].to_numpy() == predictions["prediction"].to_numpy()).sum())
    low, high = binomtest(right, len(predictions)).proportion_ci(method="wilson")
    return f"{number(float(low))} to {number(float(high))}"


def _per_class() -> str:
    """Precision, recall and F1 on test; a dash for a label without test rows."""
    frame = results.per_class()
    rows = [
        (code(label), *(number(score if support else None) for score in scores), number(support))
        for label, *scores, support in frame.itertuples(index=False)
    ]
    return markdown_table(list(frame), rows)


def _rows(splits: dict[str, pa.Table], skipped: dict[str, dict[str, int]]) -> str:
    """How many rows of each label are in each split, and how many were left out as bad rows."""
    counts = [Counter(table["label"].to_pylist()) for table in splits.values()]
    left_out = [sum(skipped[split].values()) for split in splits]
    names = tables.label_names(splits["train"].schema)
    rows = [(code(name), *(str(count[label]) for count in counts)) for label, name in enumerate(names)]
    rows.append(("all", *(str(count.total()) for count in counts)))
    if any(left_out):
        rows.append(("left out", *map(str, left_out)))
    return markdown_table(("label", *splits), rows)


def _params(params: dict[str, Any]) -> str:
    return markdown_table(("param", "value"), [(code(key), json.dumps(params[key])) for key in sorted(params)])

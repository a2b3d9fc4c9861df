"""The ladder: the fine-tuned model above the baselines, with warnings where the scores are not what they seem.

Run: python -m tools.ladder
"""

from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from stages import entry, errors, hashing, paths, tokenize, yaml12
from stages.params import PARAMS
from tools import lockfile, outdated, pipeline, results
from tools.formatting import codes, console, markdown_table, number, text_table

NAMES = {
    "majority": "majority class",
    "tfidf": "TF-IDF",
    "first_token": "frozen, first token",
    "mean_pooling": "frozen, mean pooling",
}
SCORES = ("accuracy", "f1")
COLUMNS = ("model", "validation\naccuracy", "validation\nF1", "test\naccuracy", "test\nF1")


class Rung(NamedTuple):
    """A model and its accuracy and weighted F1 on validation and on test."""

    model: str
    validation_accuracy: float
    validation_f1: float
    accuracy: float
    f1: float


def rungs() -> list[Rung]:
    """The baselines, by their F1 on validation, and the fine-tuned model last.

    Raises:
        InputError: the pipeline has not run, or its figures are not as it writes them.
    """
    baselines, metrics = (results.read(path) for path in (paths.BASELINES, paths.METRICS))
    with results.as_written(paths.BASELINES):
        found = [
            # in the order of Rung's fields
            Rung(NAMES[name], *(float(report[split][score]) for split in paths.EVALUATED for score in SCORES))
            for name, report in baselines.items()
        ]
    with results.as_written(paths.METRICS):
        tuned = Rung("fine-tuned", *(float(metrics[name]) for name in Rung._fields[1:]))  # metrics.json's keys, too
    if not found:
        raise errors.InputError(f"{paths.BASELINES}: no baselines in it: run `dvc repro`")
    return [*sorted(found, key=lambda rung: rung.validation_f1), tuned]


def findings(ladder: list[Rung]) -> list[str]:
    """A line for each reason to distrust the scores: they are of no one run, or do not mean what they seem to.

    Raises:
        InputError: what the stages were made from is missing or cannot be read.
    """
    *baselines, tuned = ladder
    audit, tokens, by_label = results.read(paths.AUDIT), results.read(paths.TOKENS), results.per_class()
    present = {split: results.labels(split) for split in paths.EVALUATED}
    found = _of_other_runs()
    with results.as_written(paths.AUDIT):
        leaked = {split: int(audit["leaked_rows"][split]["rows"]) for split in paths.EVALUATED}
        delivered_as = {split: split if split in audit["splits"] else "train" for split in paths.EVALUATED}
        skipped = {split: dict(audit["skipped_rows"][delivered_as[split]]) for split in paths.EVALUATED}
    for split in paths.EVALUATED:
        if leaked[split]:
            said = f"{leaked[split]} {split} rows are near-duplicates of train rows (listed in {paths.FINDINGS})"
            found.append(f"{said}: the scores on {split} may be optimistic")
        if skipped[split]:
            reasons = ", ".join(f"{rows} with {problem}" for problem, rows in skipped[split].items())
            of = f"{delivered_as[split]} rows were left out ({reasons})"
            carved = "" if delivered_as[split] == split else f" before {split} was carved"
            found.append(f"bad {of}{carved}: the scores on {split} do not cover them")
    for split, score in zip(paths.EVALUATED, ("validation_f1", "f1"), strict=True):
        best = max(baselines, key=lambda rung: getattr(rung, score))
        ours, theirs = getattr(tuned, score), getattr(best, score)
        if ours <= theirs:
            than = f"only equals {best.model}" if ours == theirs else f"does not beat {best.model}"
            found.append(f"the fine-tuned model {than} on {split}: F1 {ours:.4f} against {theirs:.4f}")
    for split in paths.EVALUATED:
        if absent := [name for number, name in enumerate(by_label["label"]) if number not in present[split]]:
            of = codes(absent, errors.MAX_NAMES)
            found.append(f"no {split} row has these labels: {of}: the scores on {split} do not cover them")
    if missed := by_label["label"][(by_label["recall"] == 0) & (by_label["support"] > 0)].tolist():
        found.append(f"no test row of these labels is predicted right: {codes(missed, errors.MAX_NAMES)}")
    with results.as_written(paths.TOKENS):
        found += [warning for split in paths.SPLITS for warning in tokenize.warnings(split, tokens[split])]
    return found


def table(ladder: list[Rung]) -> Table:
    """The ladder for a terminal."""
    return text_table(COLUMNS, [(rung.model, *map(number, rung[1:])) for rung in ladder])


def markdown() -> str:
    """The ladder in GitHub's Markdown, and its warnings.

    Raises:
        InputError: the pipeline has not run, or its figures are not as it writes them.
    """
    ladder = rungs()
    rows = [(rung.model, *map(number, (rung.validation_f1, rung.accuracy, rung.f1))) for rung in ladder]
    shown = markdown_table(("model", "validation F1", "test accuracy", "test F1"), rows)
    return "\n\n".join([shown, *(f"**Warning**: {finding}." for finding in findings(ladder))])


def _of_other_runs() -> list[str]:
    """A line for each figure that is not of the run whose outputs are here, and one if the baselines are of other rows.

    Raises:
        InputError: what a stage was made from is missing or cannot be read.
    """
    found = []
    made = {stage: results.read(paths.provenance(stage)) for stage in ("audit", "tokenize", "baselines", "evaluate")}
    for path, stage in (
        (paths.AUDIT, "audit"),
        (paths.TOKENS, "tokenize"),
        (paths.BASELINES, "baselines"),
        (paths.METRICS, "evaluate"),
        (paths.PLOTS, "evaluate"),
        *((paths.predictions(split), "evaluate") for split in paths.EVALUATED),
    ):
        if made[stage].get("outs", {}).get(path) != hashing.md5(Path(path)):
            restore = f"`{results.METRICS_FROM_GIT}` and `dvc checkout`" if path == paths.METRICS else "`dvc checkout`"
            found.append(f"{path} is not of the run whose outputs are here: run {restore}, or `dvc repro`")
    if _rows(made["baselines"]) != _rows(made["evaluate"]):
        found.append("the baselines were not evaluated on the rows that the fine-tuned model was: run `dvc repro`")
    return found


def _rows(made: dict[str, Any]) -> list[str | None]:
    """The hashes of the rows that a stage evaluated on."""
    deps = made.get("deps", {})
    return [deps.get(paths.tokenized(split)) for split in paths.EVALUATED]


def _changed_params() -> list[str]:
    """A line for each param that has another value than in the run."""
    if not lockfile.PATH.exists():
        return []
    lock = lockfile.parse(lockfile.PATH.read_bytes())
    return list(outdated.against_params(pipeline.stages(), yaml12.read(PARAMS), lock))


def main() -> None:
    """Print the ladder and its warnings."""
    entry.parser("tools.ladder", __doc__).parse_args()
    changed = _changed_params()
    ladder = rungs()
    console().print(table(ladder))
    for finding in [*changed, *findings(ladder)]:
        print(f"warning: {finding}")


if __name__ == "__main__":
    entry.run(main)

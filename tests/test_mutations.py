"""The mutation table: every single input changed in turn, and the stages that this makes run.

The table is data. The quick test holds it against `dvc status`, which names the stages whose own inputs changed; the
long one runs the pipeline for every row, sees which stages ran, goes back, and sees that none does.
"""

import csv
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from clones import DEFAULTS, STAGES, TREE, change_params, git, stages_run
from dvc.repo import Repo
from edits import append, edit_json
from networkx import ancestors

from stages import hashing
from tools.params import CLASSES


class Mutation(NamedTuple):
    """An input changed: by what, which stages see it themselves, and which run in the end."""

    change: Callable[[Path], None]
    seen_by: tuple[str, ...]
    run: tuple[str, ...]


def param(name: str, value: Any) -> Callable[[Path], None]:
    return lambda clone: change_params(clone, **{name: value})


def comment(name: str) -> Callable[[Path], None]:
    return lambda clone: append(clone / name, "# changed\n")


def copied(name: str, to: str, param_name: str) -> Callable[[Path], None]:
    """The same files elsewhere."""

    def change(clone: Path) -> None:
        shutil.copytree(clone / name, clone / to, dirs_exist_ok=True)
        change_params(clone, **{param_name: to})

    return change


def rewritten(line: Callable[[list[str]], str], *, header: bool, **changes: Any) -> Callable[[Path], None]:
    """The same rows, in files of another form."""

    def change(clone: Path) -> None:
        for file in (clone / "data/small").glob("*.csv"):
            with file.open(encoding="utf-8", newline="") as opened:
                rows = list(csv.reader(opened))
            file.write_text("".join(map(line, rows[0 if header else 1 :])), encoding="utf-8")
        change_params(clone, **changes)

    return change


def quoted(row: list[str]) -> str:
    return ",".join('"' + field.replace('"', '""') + '"' for field in row) + "\n"


def checked(clone: Path) -> None:
    """The hash of the weights, named."""
    digest = hashlib.sha256((clone / "models/tiny/model.safetensors").read_bytes()).hexdigest()
    change_params(clone, model__weights_sha256=digest)


def edited_json(name: str, **values: Any) -> Callable[[Path], None]:
    return lambda clone: edit_json(clone / name, **values)


def other_weights(clone: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = clone / "models/tiny/model.safetensors"
    tensors = load_file(path)
    tensors["embeddings.word_embeddings.weight"][7] += 1
    save_file(tensors, path, metadata={"format": "pt"})


D, A, T, R, E, B = STAGES  # download, audit, tokenize, train, evaluate, baselines
PARAMS = {
    # what is read, and how: the data that come out are the same unless said otherwise, so that only download runs
    "dataset.path": ("data/small2", (D,), (D,)),
    "dataset.on_bad_rows": ("skip", (D,), (D,)),
    "dataset.delimiter": (",", (D,), (D,)),
    "dataset.text_column": (0, (D,), (D,)),
    "dataset.label_column": (1, (D,), (D,)),
    "dataset.labels": (["joy", "sadness", "love", "anger", "fear", "surprise"], (D,), STAGES),
    "dataset.validation_fraction": (0.2, (D,), (D,)),
    "dataset.test_fraction": (0.2, (D,), (D,)),
    "dataset.seed": (1, (D,), (D,)),
    "dataset.hub_name": ("someone/else", (D,), (D,)),
    "dataset.hub_config": (None, (D,), (D,)),
    "dataset.hub_revision": ("0" * 40, (D,), (D,)),
    "model.package": ("another-package==1.0", (D,), (D,)),
    "model.path": ("models/tiny2", (D,), (D,)),
    "model.hub_name": ("someone/else", (D,), (D,)),
    "model.hub_revision": ("0" * 40, (D,), (D,)),
    "audit.max_leaked_rows": (50, (A,), (A,)),
    "audit.max_conflicting_rows": (50, (A,), (A,)),
    "tokenize.max_length": (32, (T,), (T, R, E, B)),
    "train.epochs": (1, (R,), (R, E)),
    "train.batch_size": (8, (R,), (R, E)),
    "train.learning_rate": ("5e-3", (R,), (R, E)),
    "train.warmup_ratio": (0.5, (R,), (R, E)),
    "train.weight_decay": (0.5, (R,), (R, E)),
    "train.max_grad_norm": (0.1, (R,), (R, E)),
    "train.label_smoothing": (0.2, (R,), (R, E)),
    "train.contrastive_weight": (0.5, (R,), (R, E)),
    "train.best_metric": ("loss", (R,), (R, E)),
    "train.early_stopping_patience": (1, (R,), (R, E)),
    "train.seed": (7, (R,), (R, E)),
}

DEFINED = yaml.safe_load((TREE / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MODULES = {  # by dvc.yaml, which test_dvc_yaml.py holds against the imports
    dep: tuple(stage for stage in STAGES if dep in DEFINED[stage]["deps"])
    for dep in sorted({dep for stage in STAGES for dep in DEFINED[stage]["deps"] if dep.endswith(".py")})
}

OTHERS = {
    "a comment in requirements.txt": Mutation(comment("requirements.txt"), STAGES, STAGES),
    "a train row": Mutation(lambda c: append(c / "data/small/train.csv", "what a day,joy\n"), (D,), STAGES),
    "a validation row": Mutation(lambda c: append(c / "data/small/validation.csv", "what a day,joy\n"), (D,), STAGES),
    "a test row": Mutation(lambda c: append(c / "data/small/test.csv", "what a day,joy\n"), (D,), (D, A, T, E, B)),
    "an unread file beside the rows": Mutation(lambda c: (c / "data/small/notes.txt").touch(), (D,), (D,)),
    "the checkpoint's weights": Mutation(other_weights, (D,), (D, R, E, B)),
    "the checkpoint's config": Mutation(edited_json("models/tiny/config.json", note=1), (D,), (D, T, R, E, B)),
    "the checkpoint's tokenizer": Mutation(
        edited_json("models/tiny/tokenizer_config.json", note=1), (D,), (D, T, R, E, B)
    ),
    "an unread file beside the checkpoint": Mutation(lambda c: (c / "models/tiny/README.md").touch(), (D,), (D,)),
    "a comment in params.yaml": Mutation(comment("params.yaml"), (), ()),
    "a comment in dvc.yaml": Mutation(comment("dvc.yaml"), (), ()),
    "a comment in a tool": Mutation(comment("tools/repro.py"), (), ()),
    "a comment in a test": Mutation(comment("tests/test_mutations.py"), (), ()),
    "a pinned tool": Mutation(comment("requirements-tools.txt"), (), ()),
}


BY_MORE = {  # params that go along with other params, or with files of another form
    "dataset.header": Mutation(
        rewritten(quoted, header=False, dataset__header=False, dataset__text_column=0, dataset__label_column=1),
        (D,),
        (D,),
    ),
    "dataset.quoting": Mutation(
        rewritten(lambda row: "\t".join(row) + "\n", header=True, dataset__quoting=False, dataset__delimiter="\t"),
        (D,),
        (D,),
    ),
    "model.source": Mutation(
        lambda c: change_params(c, **{f"model__{key}": DEFAULTS["model"][key] for key in ("source", "weights_sha256")}),
        (D,),
        (D, T, R, E, B),
    ),
    "model.weights_sha256": Mutation(checked, (D,), (D,)),
}
OF_MODULE = "a comment in stages/"
HUB = "dataset.source"  # another source needs a hub to run: tried in test_hub.py


def table() -> dict[str, Mutation]:
    """Every mutation by its name."""
    rows = {
        name: Mutation(param(name.replace(".", "__"), value), seen_by, runs)
        for name, (value, seen_by, runs) in PARAMS.items()
    }
    rows["dataset.path"] = rows["dataset.path"]._replace(change=copied("data/small", "data/small2", "dataset__path"))
    rows["model.path"] = rows["model.path"]._replace(change=copied("models/tiny", "models/tiny2", "model__path"))
    for name, seen_by in MODULES.items():
        runs = tuple(stage for stage in STAGES if stage in seen_by or (stage == E and R in seen_by))
        rows[f"{OF_MODULE}{Path(name).name}"] = Mutation(comment(name), seen_by, runs)
    return BY_MORE | rows | OTHERS


TABLE = table()
OTHER_WEIGHTS = {  # a sample of the mutations that have to give another model
    "train.seed",
    "train.learning_rate",
    "train.batch_size",
    "train.warmup_ratio",
    "train.weight_decay",
    "train.max_grad_norm",
    "train.label_smoothing",
    "train.contrastive_weight",
    "tokenize.max_length",
    "dataset.labels",
    "model.source",
    "a train row",
    "the checkpoint's weights",
}


def as_markdown() -> str:
    """The table as the README shows it: a row for all that make the same stages run: params, modules, other inputs."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, mutation in TABLE.items():
        rows.setdefault(mutation.run, []).append(name)
    lines = [f"| what changes | {' | '.join(STAGES)} |", f"|---|{':-:|' * len(STAGES)}"]
    for runs, names in rows.items():
        marks = " | ".join("●" if stage in runs else "" for stage in STAGES)
        modules = [name.removeprefix(OF_MODULE) for name in names if name.startswith(OF_MODULE)]
        others = [name for name in names if name in OTHERS]
        parts = [*in_sections(names), *(", ".join(map(as_code, part)) for part in (modules, others) if part)]
        lines.append(f"| {'<br>'.join(parts)} | {marks} |")
    return "\n".join(lines)


def in_sections(names: list[str]) -> list[str]:
    """The params among ``names``, a section's in one phrase where they are most of it."""
    found = []
    for section, params in CLASSES.items():
        keys = [f"{section}.{key}" for key in params.model_fields]
        here, others = ([key for key in keys if (key in names) is among] for among in (True, False))
        if len(here) > max(1, len(others)):
            but = f" but {', '.join(map(as_code, others))}" if others else ""
            found.append(f"every key of `{section}`{but}")
        else:
            found += map(as_code, here)
    return found


def as_code(name: str) -> str:
    """A name with its paths and keys as Markdown's code."""
    return re.sub(r"\S*[./]\S+", r"`\g<0>`", name)


@pytest.fixture(scope="module")
def clone(pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(pipeline, tmp_path_factory.mktemp("mutations") / "clone", symlinks=True)


@pytest.fixture
def mutated(clone: Path) -> Iterator[Path]:
    yield clone
    git("reset", "--quiet", "--hard", cwd=clone)
    git("clean", "--quiet", "-fd", "data", "models", cwd=clone)


def test_the_table_has_every_param() -> None:
    keys = {f"{section}.{key}" for section, params in CLASSES.items() for key in params.model_fields}
    assert PARAMS.keys() | BY_MORE.keys() | {HUB} == keys
    assert TABLE.keys() >= OTHER_WEIGHTS


def test_the_readme_shows_the_table() -> None:
    assert as_markdown() in (TREE / "README.md").read_text(encoding="utf-8")


def status(clone: Path) -> dict[str, list[Any]]:
    """What `dvc status` says of each stage that changed."""
    with Repo(str(clone)) as repo:
        return {stage.rpartition(":")[2]: reasons for stage, reasons in repo.status().items()}


def seeing(clone: Path) -> set[str]:
    """The stages whose own inputs changed."""
    changed = status(clone).items()
    return {stage for stage, reasons in changed if any("changed outs" not in reason for reason in reasons)}


@pytest.mark.parametrize("name", [*PARAMS, *BY_MORE, *OTHERS])  # modules' rows are below
def test_dvc_sees_a_mutation_where_the_table_says(mutated: Path, name: str) -> None:
    TABLE[name].change(mutated)
    assert seeing(mutated) == set(TABLE[name].seen_by)


def test_dvc_sees_comments_in_modules_where_the_table_says(mutated: Path) -> None:
    for name in MODULES:
        comment(name)(mutated)
    changed = status(mutated)
    seen = {stage: {dep for reason in changed[stage] for dep in reason.get("changed deps", ())} for stage in STAGES}
    assert {name: tuple(stage for stage in STAGES if name in seen[stage]) for name in MODULES} == MODULES


@pytest.fixture(scope="module")
def behind(pipeline: Path) -> dict[str, set[str]]:
    """The stages behind each stage, by DVC's graph."""
    with Repo(str(pipeline)) as repo:
        graph = repo.index.graph  # an edge leads from a stage to one that it needs
        return {stage.name: {other.name for other in ancestors(graph, stage)} for stage in graph}


@pytest.mark.parametrize("name", [*PARAMS, *BY_MORE, *OTHERS])  # modules' rows are computed
def test_the_stages_that_run_see_the_mutation_or_stand_behind_one_that_does(
    behind: dict[str, set[str]], name: str
) -> None:
    mutation = TABLE[name]
    reached = {stage for seeing in mutation.seen_by for stage in behind[seeing]}
    assert set(mutation.seen_by) <= set(mutation.run) <= set(mutation.seen_by) | reached


def test_dvc_sees_another_source_of_the_data(mutated: Path) -> None:
    change_params(mutated, dataset__source="hub")
    assert seeing(mutated) == {D}


@pytest.mark.long
@pytest.mark.parametrize("name", TABLE)
def test_a_mutation_runs_what_the_table_says_and_the_way_back_nothing(mutated: Path, name: str) -> None:
    weights = hashing.md5(mutated / "models/classifier/model.safetensors")
    TABLE[name].change(mutated)
    assert stages_run(mutated) == list(TABLE[name].run)
    differs = hashing.md5(mutated / "models/classifier/model.safetensors") != weights
    assert differs or name not in OTHER_WEIGHTS
    git("reset", "--quiet", "--hard", cwd=mutated)
    git("clean", "--quiet", "-fd", "data", "models", cwd=mutated)
    assert stages_run(mutated) == []
    assert git("diff", "HEAD", cwd=mutated) == ""

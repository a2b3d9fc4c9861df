"""Check the whole of params.yaml, for every stage, and print each key with its value and what it is.

Run: python -m tools.params
"""

import json
import shutil
import textwrap
from pathlib import Path

from stages import entry, errors
from stages.audit import AuditParams
from stages.params import PARAMS, Section, load
from stages.sources import DatasetParams, ModelParams
from stages.tokenize import TokenizeParams
from stages.train import TrainParams
from tools import pipeline

INDENT = " " * 4
CLASSES: dict[str, type[Section]] = {
    "dataset": DatasetParams,
    "model": ModelParams,
    "audit": AuditParams,
    "tokenize": TokenizeParams,
    "train": TrainParams,
}


def check(file: Path = PARAMS, *, present: bool = True) -> None:
    """Read every section of params.yaml, or of a recipe; its data and checkpoint may be missing unless ``present``.

    Raises:
        InputError: names every key that is wrong, in every section.
    """
    sections, problems = _read(file)
    try:
        problems += _path_problems(sections, file, present=present)
    except errors.InputError as error:
        problems += error.problems
    if problems:
        raise errors.InputError(*problems)


def _read(file: Path) -> tuple[dict[str, Section], list[str]]:
    """The sections that can be read, and what is wrong with the others."""
    sections: dict[str, Section] = {}
    problems: list[str] = []
    for name, section in CLASSES.items():
        try:
            sections[name] = load(name, section, file)
        except errors.InputError as error:
            problems += error.problems
    return sections, list(dict.fromkeys(problems))  # an unknown section is a problem of each


def _path_problems(sections: dict[str, Section], file: Path, *, present: bool) -> list[str]:
    """What is wrong with the paths of the data and of the checkpoint, as far as their sections could be read.

    Unless they are to be ``present``, that nothing is there is not wrong.
    """
    problems = []
    written = pipeline.outputs()
    for name, section in sections.items():
        if not isinstance(section, DatasetParams | ModelParams):
            continue
        path = section.path
        if out := next((out for out in written if pipeline.overlap(path, out)), None):
            problems.append(
                f"{file}: {name}.path: {path} overlaps {out}, which a stage writes: put your files elsewhere, such "
                "as into data/own or models/own"
            )
        if present and not Path(path).exists() and not pipeline.made_by_others(path):
            elsewhere = "put it there, or set the path to where it is"
            advice = "run `dvc pull`" if pipeline.in_dvc_add(path) else elsewhere
            problems.append(f"{file}: {name}.path: {path} does not exist: {advice}")
    return problems


def main() -> None:
    """Print them."""
    entry.parser("tools.params", __doc__).parse_args()
    width = shutil.get_terminal_size().columns
    sections, problems = _read(PARAMS)
    if problems:
        raise errors.InputError(*problems)
    for name, section in sections.items():
        for key, field in type(section).model_fields.items():
            value = json.dumps(getattr(section, key), ensure_ascii=False)
            print(f"{name}.{key}: {value}")
            print(textwrap.fill(str(field.description), width, initial_indent=INDENT, subsequent_indent=INDENT))
    if problems := _path_problems(sections, PARAMS, present=True):  # only now: the keys can be read before
        raise errors.InputError(*problems)


if __name__ == "__main__":
    entry.run(main)

"""YAML as DVC reads it, so that what a stage is given is what dvc.lock says that it was given.

DVC reads YAML 1.2, PyYAML 1.1: there 1e-4 is a string, no and on are booleans, 1:30 is 90 and 010 is 8.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from stages.errors import InputError, reason

T = TypeVar("T")
INT = (r"[-+]?[0-9_]+", r"[-+]?0b[01_]+", r"[-+]?0o[0-7_]+", r"[-+]?0x[0-9a-fA-F_]+")
FLOAT = (
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?",
    r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+",
    r"[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?",
    r"[-+]?\.(?:inf|Inf|INF)",
    r"\.(?:nan|NaN|NAN)",
)
SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": ("|".join(INT), "-+0123456789"),
    "float": ("|".join(FLOAT), "-+.0123456789"),
}


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the booleans, integers and floats that DVC's ruamel.yaml reads.

    Like DVC's, it refuses a key that is set twice, where PyYAML takes the last one.
    """

    def scan_yaml_directive_value(self, start_mark: yaml.Mark) -> NoReturn:
        """Refuse a %YAML directive: by one DVC's parser reads YAML 1.1, where 010 is 8."""
        problem = "by a %YAML directive DVC may read other values than the stages: remove it"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=start_mark)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that is set twice; merges are not yet in the mapping here."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            name = (key.tag, key.value)
            if name in lines:
                problem = f"{key.value[:100]} already set on line {lines[name]}: remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[name] = key.start_mark.line + 1
        return node


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in SCALARS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for kind, (pattern, first) in SCALARS.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), list(first))


def _integer(_: Loader, node: yaml.ScalarNode) -> int:
    digits = node.value.replace("_", "")
    return int(digits, 0 if re.match("[-+]?0[box]", digits) else 10)


Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse(content: str | bytes) -> Any:
    """The content of a YAML document.

    Raises:
        yaml.YAMLError: it is not one.
    """
    try:
        return yaml.load(content, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        raise
    except Exception as error:  # whatever PyYAML raises where a value does not fit its tag
        raise yaml.YAMLError(reason(error)) from error


def read(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: it is missing, not UTF-8, not YAML, or has the conflicts of a merge.
    """
    return _load(path, parse)


def nodes(path: Path) -> yaml.Node | None:
    """The nodes of a YAML file, which know their lines; None where it is empty.

    Raises:
        InputError: as `read`.
    """
    return _load(path, lambda text: yaml.compose(text, Loader))


def _load(path: Path, parser: Callable[[str], T]) -> T:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `git checkout {path}`, at the top of the clone") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8") from None
    if conflict := re.search("^<<<<<<< ", text, re.MULTILINE):
        line = text.count("\n", 0, conflict.start()) + 1
        raise InputError(
            f"{path}, line {line}: a merge conflict: resolve it, or take one side by `git checkout --ours {path}`"
        )
    try:
        return parser(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error  # which `parse` has named
        said = getattr(error, "problem", None) or reason(cause)
        raise InputError(f"{path}{where}: invalid YAML: {said}") from error

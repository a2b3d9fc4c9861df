"""YAML as DVC reads it, so that what a stage is given is what dvc.lock says that it was given.

DVC reads YAML 1.2, PyYAML 1.1: there 1e-4 is a string, no and on are booleans, 1:30 is 90 and 010 is 8.
"""

import copy
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from stages.errors import InputError, reason

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
    """PyYAML's safe loader with the booleans, integers and floats that DVC's ruamel.yaml reads, and no %YAML."""

    def scan_yaml_directive_value(self, start_mark: yaml.Mark) -> NoReturn:
        """Refuse a %YAML directive: by one DVC's parser reads YAML 1.1, where 010 is 8."""
        problem = "by a %YAML directive DVC may read other values than the stages: remove it"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=start_mark)


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


def read(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: as `read_with_nodes`.
    """
    return read_with_nodes(path)[0]


def read_with_nodes(path: Path) -> tuple[Any, yaml.Node | None]:
    """The content of a YAML file, and its nodes, which know their lines.

    Raises:
        InputError: it is missing, not UTF-8, not YAML, or has the conflicts of a merge.
    """
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
        loader = Loader(text)
        node = loader.get_single_node()
        return None if node is None else loader.construct_document(copy.deepcopy(node)), node  # it merges `<<` in place
    except Exception as error:  # PyYAML's own, and whatever it raises where a value does not fit its tag
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or reason(error)
        raise InputError(f"{path}{where}: invalid YAML: {said}") from error

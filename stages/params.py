"""params.yaml, a section at a time: typed, checked, and only the keys that a stage has asked for."""

import difflib
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stages import dvcfile, yaml12
from stages.errors import InputError

PARAMS = Path("params.yaml")
SECTIONS = ("dataset", "model", "audit", "tokenize", "train")


class Section(BaseModel):
    """A section of params.yaml. Subclasses give each key a type, a range and a line on what it is, and no default."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load(name: str, section: type[S], path: Path = PARAMS) -> S:
    """Read section ``name`` of the params file as ``section``.

    Raises:
        InputError: names the file, the line and the key of everything that is wrong.
    """
    document, node = yaml12.read(path), yaml12.nodes(path)
    if node is None or not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InputError(f"{path}: a mapping of sections is expected ({', '.join(SECTIONS)})")
    lines = _lines(node)
    problems = [
        f"{_place(path, lines, (key,))}: unknown section, {_hint(key, SECTIONS)} (Params of a stage "
        "of your own go into a file of their own, which dvc.yaml lists as `params: - own.yaml: [key]`)"
        for key in document
        if key not in SECTIONS
    ]
    params = None
    if not isinstance(document.get(name), dict):
        problems.append(f"{path}: section {name} is missing, or has no keys")
    else:
        try:
            params = section.model_validate(document[name])
        except ValidationError as error:
            problems += [_problem(path, lines, name, section, detail) for detail in error.errors()]
    if problems or params is None:
        raise InputError(*problems)
    dvcfile.check_params(name, section.model_fields)
    return params


def _lines(document: yaml.Node) -> dict[tuple[str, ...], int]:
    """The line of each section and key."""
    lines: dict[tuple[str, ...], int] = {}
    for section, body in document.value:
        lines[section.value,] = section.start_mark.line + 1
        for key, _ in body.value if isinstance(body, yaml.MappingNode) else ():
            lines[section.value, str(key.value)] = key.start_mark.line + 1
    return lines


def _place(path: Path, lines: dict[tuple[str, ...], int], keys: tuple[str, ...]) -> str:
    line = lines.get(keys) or lines.get(keys[:1])
    return f"{path}{f', line {line}' if line else ''}: {'.'.join(keys)[:100]}"


def _hint(word: str, known: Sequence[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {prefix}{near[0]}?" if near else f"one of {', '.join(known)} is expected"


def _problem(path: Path, lines: dict[tuple[str, ...], int], name: str, section: type[Section], detail: Any) -> str:
    keys = (name, *(str(part) for part in detail["loc"][:1]))
    place = _place(path, lines, keys)
    if detail["type"] in {"extra_forbidden", "invalid_key"}:
        return f"{place}: unknown key, {_hint(keys[-1], list(section.model_fields), f'{name}.')}"
    if detail["type"] == "missing":
        return f"{place}: missing: {section.model_fields[keys[-1]].description}"
    message = str(detail["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    _, should, what = message.rpartition(" should ")  # Input, String, List ...
    given = "null" if detail["input"] is None else reprlib.repr(detail["input"])
    return f"{place}: should {what if should else f'be {message}'}, is {given}{_quotes(detail)}"


def _quotes(detail: Any) -> str:
    """The advice where quotes, or their absence, make a value of another type."""
    given, within = detail["input"], len(detail["loc"]) > 1  # within a list, null may be meant as a name
    if detail["type"] == "string_type" and (given is not None or within):
        return ": put it in quotes"
    bare = isinstance(given, str) and re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?|true|false", given)
    return ": take it out of the quotes" if bare and detail["type"] in {"int_type", "float_type", "bool_type"} else ""

"""What a result was made from: its stage's params, and the hashes of inputs and outputs, in the terms of dvc.lock."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages import dvcfile, hashing, yaml12
from stages.errors import InputError, listed

Stamp = dict[str, Any]


def inputs(stage: str) -> Stamp:
    """The stage, the MD5 of each file or folder among its deps in dvc.yaml, and the values of its params.

    What does not exist is left out: whoever reads it says so.

    Raises:
        InputError: dvc.yaml or params.yaml cannot be read, or a dep's path has a value from elsewhere.
    """
    defined = dvcfile.read(stage)
    values = yaml12.read(Path("params.yaml"))
    deps = [dvcfile.resolved(dep, values) for dep in defined["deps"]]
    known = values if isinstance(values, dict) else {}
    for place in (place for dep in deps for place in re.findall(r"\$\{([^}]*)", dep)):
        section, _, key = place.partition(".")
        if section not in known or not re.fullmatch(r"\w+", key):  # one of `vars`, say, whose values this does not know
            raise InputError(
                f"dvc.yaml: {stage}: deps: ${{{place}}} is not a section.key of params.yaml: write it so, write the "
                "path out, or put that section into params.yaml"
            )
    params = {}
    for key in dvcfile.param_keys(stage, defined):
        with suppress(KeyError):
            params[key] = dvcfile.value_of(values, key)
    digests = {dep: hashing.md5(Path(dep)) for dep in deps if Path(dep).exists()}
    return {"stage": stage, "deps": digests, "params": params}


def check_unchanged(stamp: Stamp) -> None:
    """Compare a stage's inputs with what they were when it began.

    Raises:
        InputError: one was edited in the meantime. DVC hashes them when a stage ends, and would record the edit as
            what was run.
    """
    now = inputs(stamp["stage"])
    changed = [
        name
        for kind in ("deps", "params")
        for name in sorted(stamp[kind].keys() | now[kind].keys())
        if stamp[kind].get(name) != now[kind].get(name)
    ]
    if changed:
        undo = ""
        if stamp["stage"] == "train":
            undo = "; if you undo the edit first, from the newest checkpoint, if there is one"
        raise InputError(f"{listed(changed)}: edited while {stamp['stage']} ran, nothing is written: run again{undo}")


def text(stamp: Stamp) -> str:
    """A stamp as it is written: the same bytes from the same inputs, 1.0 and 1 being the same to DVC."""
    plain = json.loads(json.dumps(stamp), parse_float=_number)
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _number(digits: str) -> float:
    number = float(digits)
    return int(number) if number.is_integer() else number


def fingerprint(stamp: Stamp) -> str:
    """The MD5 of a stamp as it is written, in hexadecimal: if it has its outs, that of data/provenance/STAGE.json."""
    return hashing.md5_of(text(stamp).encode())

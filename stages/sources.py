"""The params of download: where the labelled texts and the pretrained checkpoint come from."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from stages.params import Section
from stages.rows import CONTROL


def _matching(pattern: str, what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(what)
        return value

    return AfterValidator(check)


def _distinct(names: list[str]) -> list[str]:
    if len({unicodedata.normalize("NFC", name) for name in names if name and name == name.strip()}) < len(names):
        raise ValueError("names that all differ, none empty, none with spaces around it")
    if any(re.search(CONTROL, name) for name in names):
        raise ValueError("names without control characters")
    if any(name != name.encode(errors="ignore").decode() for name in names):
        raise ValueError("names without surrogates (\\ud800 to \\udfff), which UTF-8 does not have")
    return names


def _column(value: object) -> object:
    """Checked before the union is, each of whose types would tell its own problem."""
    if not isinstance(value, str) and not (type(value) is int and value >= 0):
        raise ValueError("a column's name, or its position from 0")
    return value


def _path(path: str) -> str:
    if not path:
        raise ValueError("a path")
    if Path(path).parts[:1] == ("~",):
        raise ValueError("a path that names the home folder in place of ~")
    plain = os.path.normpath(path)
    if plain != str(Path(path)):  # DVC and Python would spell it each in their own way
        raise ValueError(f"{plain}, without .. in its middle")
    return path


Commit = Annotated[str, _matching("[0-9a-f]{40}", "a commit hash (40 lower-case hexadecimal digits)")]
Sha256 = Annotated[str, _matching("[0-9a-f]{64}", "a sha256 (64 lower-case hexadecimal digits)")]
Pinned = Annotated[str, _matching(r"[\w.-]+==[\w.+!-]+", "a package and its version, as name==version")]
HubName = Annotated[str, _matching("[^/]+/[^/]+", "owner/name")]  # a bare "csv" would be the csv files at hand
LabelNames = Annotated[list[str], Field(min_length=2), AfterValidator(_distinct)]
DataPath = Annotated[str, AfterValidator(_path)]
Column = Annotated[str | int, BeforeValidator(_column)]
Delimiter = Annotated[str, _matching(r'[^"\r\n]', "one character, neither a double quote nor a line end")]
Fraction = Annotated[float, Field(gt=0, le=0.5)]


class DatasetParams(Section):
    """Where the labelled texts come from and how to read them."""

    source: Literal["files", "hub"] = Field(description="files: from `path`; hub: from the Hugging Face hub")
    path: DataPath = Field(description="files: a folder with train, validation and test files, or a single file")
    text_column: Column = Field(description="the column of the texts: its name, or its position from 0")
    label_column: Column = Field(description="the column of the labels: its name, or its position from 0")
    header: bool = Field(description="whether csv, tsv and txt files begin with the names of their columns")
    delimiter: Delimiter | None = Field(
        description="what separates the columns; null: a comma in csv, a tab in tsv (txt has none, and needs it set)"
    )
    quoting: bool = Field(description="whether fields may be in double quotes; false: a quote is just a character")
    labels: LabelNames | None = Field(
        description="label names in order, which integer labels index from 0; null: those of train, sorted (of a hub "
        "dataset that names them: those, in its order)"
    )
    on_bad_rows: Literal["error", "skip"] = Field(
        description="a bad row, such as one without text or known label: error stops, skip leaves it out and counts it"
    )
    validation_fraction: Fraction = Field(
        description="the share of train, less a carved test split, that becomes validation where none is given; at "
        "most 0.5"
    )
    test_fraction: Fraction = Field(description="the share of train that becomes test where none is given; at most 0.5")
    seed: Annotated[int, Field(ge=0)] = Field(description="the random seed of carving")
    hub_name: HubName = Field(description="hub: the dataset, as owner/name")
    hub_config: str | None = Field(description="hub: its configuration, null where it has one only")
    hub_revision: Commit = Field(description="hub: the commit hash")


class ModelParams(Section):
    """Where the pretrained checkpoint comes from."""

    source: Literal["package", "hub", "path"] = Field(
        description="package: installed with pip; hub: from the Hugging Face hub; path: a folder"
    )
    package: Pinned = Field(description="package: its name and version, name==version")
    path: DataPath = Field(description="path: a folder with config.json, safetensors weights and tokenizer files")
    weights_sha256: Sha256 | None = Field(
        description="the sha256 of the weights, checked wherever they come from; null (path and hub only): unchecked"
    )
    hub_name: HubName = Field(description="hub: the checkpoint, as owner/name")
    hub_revision: Commit = Field(description="hub: the commit hash")

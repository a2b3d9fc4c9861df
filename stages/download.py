"""Fetch the labelled texts and the pretrained checkpoint, from wherever params.yaml says.

In:  the `dataset` and `model` params, what `dataset.path` and `model.path` hold
Out: data/raw/{train,validation,test}.parquet (text, label), models/pretrained/{model,tokenizer}/
Run: python -m stages.download
"""

import os
import re
import unicodedata
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from stages import dvcfile, entry, errors, hashing, paths, provenance
from stages.outputs import staged
from stages.params import Section, load
from stages.rows import CONTROL, Layout, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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


def download_dataset(params: DatasetParams, outputs: list[Path]) -> None:
    """Write the three splits, carving those that were not delivered, and say what they hold.

    Raises:
        InputError: the data cannot be read, dvc.yaml does not list them, a row is bad, or a split cannot be carved.
    """
    from stages import tables
    from stages.carving import carve
    from stages.dataset import build_splits

    found, names = delivered_rows(params)
    splits, names = build_splits(found, names, skip=params.on_bad_rows == "skip")
    delivered = {split: split for split in splits}
    for split, fraction in (("test", params.test_fraction), ("validation", params.validation_fraction)):
        if split not in splits:
            others = [splits[name] for name in splits if name != "train"]
            splits["train"], splits[split] = carve(splits["train"], fraction, params.seed, split, others)
            delivered[split] = "train"
    for split, output in zip(paths.SPLITS, outputs, strict=True):
        rows = splits[split]
        schema = tables.schema(tables.TEXTS, names, "label", delivered_as=delivered[split], skipped=rows.skipped)
        tables.write(output, schema, text=rows.texts, label=rows.labels)
        carved = ", carved from train" if delivered[split] != split else ""
        skipped = "".join(f", {count} rows left out: {reason}" for reason, count in rows.skipped.items())
        print(f"{split}: {len(rows.texts)} rows{carved}{skipped}")
        _warn_of_missing(split, names, set(rows.labels), given=params.labels is not None)
    print(f"{len(names)} labels: {errors.listed(names)}")
    _warn_of_alike(names)


def delivered_rows(params: DatasetParams) -> "tuple[Mapping[str, Iterable[Row]], list[str] | None]":
    """The rows of each split at hand, and the label names, None for those of train.

    Raises:
        InputError: the hub does not give them, the files are not one or the shards of one for each split, train among
            them, or dvc.yaml does not list the path.
    """
    from stages import hub
    from stages.files import read_rows
    from stages.splits import split_files

    if params.source == "hub":
        rows, names = hub.dataset_rows(
            params.hub_name, params.hub_config, params.hub_revision, params.text_column, params.label_column
        )
        return rows, params.labels or names
    dvcfile.check_deps([Path(params.path)], "reads")
    layout = Layout(params.text_column, params.label_column, params.header, params.delimiter, params.quoting)
    files = split_files(Path(params.path)).items()
    return {split: chain.from_iterable(read_rows(file, layout) for file in own) for split, own in files}, params.labels


def _warn_of_missing(split: str, names: list[str], present: set[int], *, given: bool) -> None:
    """Say which labels no row of a split has: ``given`` in params.yaml, or else named by the hub."""
    if missing := [name for number, name in enumerate(names) if number not in present]:
        so = f"the scores on {split} do not cover them"
        if split == "train" and given:
            so = "set dataset.labels to null if they are of another dataset"
            so += ", or subtract 1 from integer labels that count from 1" if missing[0] == names[0] else ""
        elif split == "train":
            so = "if they are of no use, list the others in dataset.labels"
        print(f"warning: no {split} row has these labels: {errors.listed(missing)}: {so}")


def _warn_of_alike(names: list[str]) -> None:
    """Say which labels may be one."""
    spellings = Counter(map(_plain, names))
    if alike := [name for name in names if spellings[_plain(name)] > 1]:
        print(
            "warning: labels that differ only in case, quotes or characters that are not seen: "
            f"{errors.listed(alike)}: if they are one, spell them alike"
        )


def _plain(name: str) -> str:
    """A label without what is easily overlooked."""
    return "".join(char for char in name.casefold() if char not in "'\"" and unicodedata.category(char) != "Cf").strip()


def download_checkpoint(params: ModelParams, model: Path, tokenizer: Path) -> None:
    """Copy the checkpoint's files, checked.

    Raises:
        InputError: it is nowhere, not the one that params.yaml names, a package without a hash, no checkpoint of
            safetensors and a tokenizer, or a folder that dvc.yaml does not list or DVC does not see.
    """
    from stages import hub, pretrained

    if params.source == "package":
        if params.weights_sha256 is None:
            raise errors.InputError("params.yaml: model.weights_sha256: a package is trusted by its hash: set it")
        source = pretrained.package_files(params.package)
    elif params.source == "hub":
        source = hub.snapshot(params.hub_name, params.hub_revision, pretrained.FILES)
    else:
        source = Path(params.path)
        dvcfile.check_deps([source], "reads")
    pretrained.copy_checkpoint(source, model, tokenizer, params.weights_sha256)
    if params.source == "path":
        copied = [file.name for folder in (model, tokenizer) for file in folder.iterdir()]
        hashing.check_not_hidden(source, (source / name for name in copied))
    size = sum(file.stat().st_size for file in model.iterdir()) / 1e6
    where = {"package": params.package, "hub": params.hub_name, "path": params.path}[params.source]
    print(f"checkpoint: {where}, {size:.0f} MB")


def main() -> None:
    """Fetch both, or neither."""
    stamp = provenance.inputs("download")
    dataset, model = load("dataset", DatasetParams), load("model", ModelParams)
    outputs = (*map(paths.raw, paths.SPLITS), paths.PRETRAINED, paths.TOKENIZER)
    with staged(stamp, *outputs) as (*splits, pretrained, tokenizer):
        download_dataset(dataset, splits)
        download_checkpoint(model, pretrained, tokenizer)


if __name__ == "__main__":
    entry.run(main, offline=False)

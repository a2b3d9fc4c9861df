"""Fetch the labelled texts and the pretrained checkpoint, from wherever params.yaml says.

In:  the `dataset` and `model` params, what `dataset.path` and `model.path` hold
Out: data/raw/{train,validation,test}.parquet (text, label), data/raw/delivery.json (which of them were carved, how many
     bad rows were left out), models/pretrained/{model,tokenizer}/
Run: python -m stages.download
"""

import json
import unicodedata
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from stages import dvcfile, entry, errors, hashing, paths, provenance
from stages.outputs import staged
from stages.params import load
from stages.rows import Layout, Row
from stages.sources import DatasetParams, ModelParams

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def download_dataset(params: DatasetParams, outputs: list[Path], delivery: Path) -> None:
    """Write the three splits, carving those that were not delivered, and say what they hold.

    How they were delivered goes to ``delivery``: the files of the splits are the same bytes from the same rows.

    Raises:
        InputError: the data cannot be read, dvc.yaml does not list them, a row is bad, or a split cannot be carved.
    """
    from stages import tables
    from stages.carving import carve
    from stages.dataset import build_splits

    found, names = delivered_rows(params)
    splits, names = build_splits(found, names, skip=params.on_bad_rows == "skip")
    carved = []
    for split, fraction in (("test", params.test_fraction), ("validation", params.validation_fraction)):
        if split not in splits:
            others = [splits[name] for name in splits if name != "train"]
            splits["train"], splits[split] = carve(splits["train"], fraction, params.seed, split, others)
            carved.append(split)
    for split, output in zip(paths.SPLITS, outputs, strict=True):
        rows = splits[split]
        tables.write(output, tables.schema(tables.TEXTS, names, "label"), text=rows.texts, label=rows.labels)
        how = ", carved from train" if split in carved else ""
        skipped = "".join(f", {count} rows left out: {reason}" for reason, count in rows.skipped.items())
        print(f"{split}: {len(rows.texts)} rows{how}{skipped}")
        _warn_of_missing(split, names, set(rows.labels), given=params.labels is not None)
    print(f"{len(names)} labels: {errors.listed(names)}")
    _warn_of_alike(names)
    said = {"carved": carved, "skipped_rows": {split: splits[split].skipped for split in paths.SPLITS}}
    delivery.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
    outputs = (*map(paths.raw, paths.SPLITS), paths.DELIVERY, paths.PRETRAINED, paths.TOKENIZER)
    with staged(stamp, *outputs) as (*splits, delivery, pretrained, tokenizer):
        download_dataset(dataset, splits, delivery)
        download_checkpoint(model, pretrained, tokenizer)


if __name__ == "__main__":
    entry.run(main, offline=False)

"""The Hugging Face hub: a dataset or a checkpoint at a commit hash, and errors that say what to do."""

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError, chain, listed, no_room, reason
from stages.outputs import scratch
from stages.rows import Row, column_names, label_name
from stages.splits import SPLIT_NAMES

if TYPE_CHECKING:
    import datasets


@contextmanager
def _explained(what: str, name: str, revision: str, key: str) -> Iterator[None]:
    """Turn the hub libraries' errors into one line that names the params key, and never a token."""
    for library in ("datasets", "huggingface_hub"):  # they log each retry; the error says what came of it
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each library on the way to the hub and through its files has its own
        if no_room(error) or getattr(error, "errno", None) in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise  # the disk's, not the hub's: entry.run explains it
        raise InputError(f"{what} {name} at {revision[:12]}: {_advice(error, key)}") from error


def _advice(error: Exception, key: str) -> str:
    """What went wrong, and what to do."""
    import httpx2
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import constants, errors, is_offline_mode

    causes = chain(error)
    status = next((e.response.status_code for e in causes if isinstance(e, errors.HfHubHTTPError)), None)
    host = httpx2.URL(constants.ENDPOINT).netloc.decode()  # without a password
    if any(isinstance(e, errors.RevisionNotFoundError) for e in causes):
        return f"no such revision: fix {key}_revision, a commit hash of that repository"
    # datasets drops the hub's own error where access is denied: what is left of it is the message.
    if any(isinstance(e, errors.GatedRepoError) or "is a gated dataset" in str(e) for e in causes):
        return f"gated: accept its terms on its page of the hub and set HF_TOKEN, or fix {key}_name"
    if status in {401, 403, 404} or isinstance(error, DatasetNotFoundError):
        return f"no such repository, or no access: fix {key}_name, or set HF_TOKEN to a valid token that may read it"
    if configs := re.search(r"(?i)available(?: configs)?: \[(.*?)\]", str(error)):
        return f"its configurations are {configs[1]}: set {key}_config to one of them"
    if any(isinstance(e, httpx2.HTTPError | ConnectionError | errors.LocalEntryNotFoundError) for e in causes):
        if is_offline_mode():
            trouble = "HF_HUB_OFFLINE is set: unset it and"
        elif status is not None:
            trouble = f"{host} answered with status {status}:"
        elif any(isinstance(e, httpx2.ReadError | httpx2.RemoteProtocolError) for e in causes):
            trouble = f"{host} broke off in the middle: check the network and"
        else:
            trouble = f"{host} cannot be reached: check the network and"
        return f"{trouble} run again, or set {key.partition('.')[0]}.source to other than hub"
    said = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return f"{reason(said)}: check {key}_name, {key}_revision, and the network's proxy and certificates"


def dataset_rows(
    name: str, config: str | None, revision: str, text_column: str | int, label_column: str | int
) -> tuple[dict[str, Iterator[Row]], list[str] | None]:
    """The rows of each split of a hub dataset, and its label names where the hub knows them.

    Raises:
        InputError: the hub does not have it, does not give it, or cannot be reached.
    """
    import datasets

    remote = f"hf://datasets/{name}"  # a bare name would first be looked for among the folders at hand
    cache = Path("data/raw/.hub.partial")
    with _explained("dataset", name, revision, "dataset.hub"), scratch(cache):
        builder = datasets.load_dataset_builder(remote, config, revision=revision, cache_dir=str(cache))
        _check_pinned(builder, f"{remote}@{revision}/")
        builder.download_and_prepare()
        loaded = builder.as_dataset(in_memory=True)
    features = next(iter(loaded.values())).features  # the builder lets no split have others
    columns = column_names(f"dataset {name}", list(features), text_column, label_column)
    feature = features[columns[1]]
    names = [label.strip() for label in feature.names] if isinstance(feature, datasets.ClassLabel) else None
    splits: dict[str, datasets.Dataset] = {}
    for found, rows in loaded.items():
        split = SPLIT_NAMES.get(found.lower())
        if split in splits:
            raise InputError(
                f"dataset {name}: a second {split} split, {found}: save one as a file (dataset.source: files)"
            )
        if split:
            splits[split] = rows
    if unread := [found for found in loaded if found.lower() not in SPLIT_NAMES]:
        print(f"warning: dataset {name}: ignored, since not named for a split: {listed(unread)}")
    if "train" not in splits:
        raise InputError(
            f"dataset {name}: no train split, there are: {listed(list(loaded))}: choose another dataset.hub_config"
        )
    found_rows = {split: _rows(f"{name}, {split}", rows, columns, names) for split, rows in splits.items()}
    return found_rows, names and list(dict.fromkeys(names))  # two names that differ in space only are one


def _check_pinned(builder: "datasets.DatasetBuilder", pinned: str) -> None:
    """Check that all files of a dataset are of its pinned revision: its card may name another's."""
    for files in (builder.config.data_files or {}).values():
        for file in files:
            if not file.startswith(pinned):
                raise InputError(
                    f"{file} is not of dataset.hub_revision, as the dataset's card has it: choose another dataset, or "
                    "save its splits as files (dataset.source: files)"
                )


def _rows(where: str, split: "datasets.Dataset", columns: tuple[str, str], names: list[str] | None) -> Iterator[Row]:
    for number, (text, label) in enumerate(zip(*(split[column][:] for column in columns), strict=True)):
        yield Row(f"{where}, row {number} (from 0)", text, label_name(label, names))


def snapshot(name: str, revision: str, patterns: tuple[str, ...]) -> Path:
    """Fetch the files of a hub checkpoint that match ``patterns`` into the hub's cache, and give their folder.

    Raises:
        InputError: the hub does not have it, does not give it, or cannot be reached.
    """
    from huggingface_hub import errors, get_cached_repo_tree, snapshot_download

    with _explained("checkpoint", name, revision, "model.hub"):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns), ignore_patterns="*/*"))
        try:
            get_cached_repo_tree(name, revision=revision)
        except errors.CachedRepoTreeNotFoundError:  # the hub was out of reach, and what its cache has may be a part
            raise errors.LocalEntryNotFoundError(f"{folder} may not be whole") from None
    if not folder.is_dir():
        raise InputError(f"checkpoint {name}: it has none of a checkpoint's files: fix model.hub_name")
    return folder

"""The Hugging Face hub: a data set or a checkpoint at a commit hash, and errors that say what to do."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stages.entry import InputError
from stages.rows import SPLIT_NAMES, Row, column_name

if TYPE_CHECKING:
    import datasets


@contextmanager
def _explained(what: str, key: str) -> Iterator[None]:
    """Turn the hub libraries' errors into one line that names the params key, and never a token."""
    import httpx2
    from datasets.exceptions import DatasetsError
    from huggingface_hub import errors

    try:
        yield
    except (errors.HfHubHTTPError, httpx2.HTTPError, DatasetsError, OSError, ValueError, RuntimeError) as error:
        chain = _chain(error)
        status = next(
            (e.response.status_code for e in chain if isinstance(e, errors.HfHubHTTPError) and e.response is not None),
            None,
        )
        if any(isinstance(e, errors.GatedRepoError) for e in chain) or status in {401, 403}:
            reason = "access denied (or no such repository): accept its terms on the hub and set HF_TOKEN, or mend"
        elif any(isinstance(e, errors.RevisionNotFoundError) for e in chain):
            reason = f"no such revision: mend {key}_revision, or"
        elif status == 404:
            reason = "not found on the hub: mend"
        elif any(isinstance(e, httpx2.HTTPError | ConnectionError | errors.LocalEntryNotFoundError) for e in chain):
            endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
            reason = f"{endpoint} cannot be reached, or broke off: check the network, or mend"
        else:
            reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}: mend"
        raise InputError(f"{what}: {reason} {key}_name (or set {key.split('.', maxsplit=1)[0]}.source)") from error


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def dataset_rows(
    name: str, config: str | None, revision: str, text_column: str | int, label_column: str | int
) -> tuple[dict[str, Iterator[Row]], list[str] | None]:
    """The rows of each split of a hub data set, and its label names where the hub knows them.

    Raises:
        InputError: the hub does not have it, does not give it, or cannot be reached.
    """
    import datasets

    datasets.disable_progress_bars()
    with _explained(f"data set {name} at {revision[:12]}", "dataset.hub"), tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(name, config, revision=revision, cache_dir=cache, keep_in_memory=True)
    known = next(iter(loaded.values())).column_names
    columns = [column_name(f"data set {name}", known, column) for column in (text_column, label_column)]
    feature = next(iter(loaded.values())).features[columns[1]]
    names = list(feature.names) if isinstance(feature, datasets.ClassLabel) else None
    splits = {SPLIT_NAMES[split]: rows for split, rows in loaded.items() if split in SPLIT_NAMES}
    if "train" not in splits:
        raise InputError(
            f"data set {name}: no train split, there are: {', '.join(loaded)}: choose another dataset.hub_config"
        )
    return {
        split: _rows(f"{name}, {split}", splits[split], columns)
        for split in sorted(splits, key="train validation test".index)
    }, names


def _rows(where: str, split: "datasets.Dataset", columns: list[str]) -> Iterator[Row]:
    for number, (text, label) in enumerate(zip(*(split[column] for column in columns), strict=True), 1):
        yield Row(f"{where}, row {number}", text, label)


def snapshot(name: str, revision: str, patterns: tuple[str, ...]) -> Path:
    """Fetch the files of a hub checkpoint that match ``patterns`` into the hub's cache, and give their folder.

    Raises:
        InputError: the hub does not have it, does not give it, or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with _explained(f"checkpoint {name} at {revision[:12]}", "model.hub"):
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))

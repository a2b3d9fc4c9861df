"""Which files of a folder hold which split: by their names, and by those of a split's shards."""

import re
from collections import defaultdict
from itertools import chain
from pathlib import Path

from stages import hashing
from stages.errors import InputError, listed

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
SHARD = re.compile(r"-[0-9]{5}-of-([0-9]{5})$")  # as the datasets library and the hub name them
NUMBERED = re.compile(rf"({'|'.join(SPLIT_NAMES)})[\W_]*[0-9]")  # train-2, test_1, dev (1)
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": None}
ENDINGS = (*DELIMITERS, ".jsonl", ".parquet")


def split_files(path: Path) -> dict[str, list[Path]]:
    """Find the file of each split, or its shards: a single file is train; in a folder, files go by their names.

    What could hold rows and is named for no split is listed.

    Raises:
        InputError: there is no such path, no train file, two files for one split that are no shards of it, a file
            numbered otherwise than a shard, a shard is missing, or there is a file that DVC does not see.
    """
    if path.is_file():
        ending(path)
        return {"train": [path]}
    if not path.is_dir():
        raise InputError(
            f"params.yaml: dataset.path: {path} does not exist: set it to a file or to a folder with a train file"
        )
    files: defaultdict[str, list[Path]] = defaultdict(list)
    unread = []
    for file in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(SHARD.sub("", _stem(file)))
        if split is None or file.suffix == ".dvc":
            unread += [file] if _could_hold_rows(file) else []
            continue
        if not file.is_file():
            raise InputError(f"{file}: named for the {split} split, but no file: put a file there, or rename it")
        ending(file)
        files[split].append(file)
    _check_not_numbered(unread)
    if unread:
        print(f"warning: {path}: ignored, since not named for a split: {listed([file.name for file in unread])}")
    if "train" not in files:
        raise InputError(f"{path}: no train file: {_advice([] if files else unread)}")
    for split, found in files.items():
        _check_whole(split, found)
    hashing.check_not_hidden(path, chain.from_iterable(files.values()))
    return dict(files)


def _stem(file: Path) -> str:
    """A file's name without its ending, or, if that is not read, up to the first dot: test.csv.zip is an error."""
    name = _unzipped(file)
    return Path(name).stem if name.endswith(ENDINGS) else name.split(".")[0]


def _unzipped(file: Path) -> str:
    return file.name.lower().removesuffix(".gz")


def _could_hold_rows(file: Path) -> bool:
    return (file.is_dir() or _unzipped(file).endswith(ENDINGS)) and not file.name.startswith(".")


def _check_not_numbered(unread: list[Path]) -> None:
    """Make sure that what is not read has no split's name with a number: it may well be a part of the split."""
    for file in unread:
        if numbered := NUMBERED.match(_stem(file)):
            split = SPLIT_NAMES[numbered[1]]
            raise InputError(
                f"{file}: not read under this name: if it is all of {split}, name it {split}; if a part of it, "
                f"{split}-00000-of-00002 and so on, where the second number is how many there are; if neither, take it "
                "out of there"
            )


def _advice(unread: list[Path]) -> str:
    """How to have a train file, where ``unread`` is there instead."""
    advice = f"name it train with one of the endings {', '.join(ENDINGS)} (or .gz)"
    if len(unread) == 1 and unread[0].is_file():
        advice += f", or set dataset.path to {unread[0]}"
    if len(unread) > 1:
        advice += ", or its parts train-00000-of-00002 and so on"
    return advice


def _check_whole(split: str, files: list[Path]) -> None:
    """Make sure that a split's files are a single one, or all of its shards."""
    first, stems = _stem(files[0]), {_stem(file) for file in files}
    shards = int(shard[1]) if (shard := SHARD.search(first)) else 0
    wanted = [SHARD.sub(f"-{number:05}-of-{shards:05}", first) for number in range(shards)] or [first]
    if missing := [stem for stem in wanted if stem not in stems]:
        raise InputError(f"{files[0].parent}: no {missing[0]}, one of the {len(wanted)} files of {split}: add it")
    if len(files) > len(wanted):
        other = next(file for file, stem in zip(files, [*wanted, ""], strict=False) if _stem(file) != stem)
        raise InputError(f"{files[0].parent}: both {files[0].name} and {other.name} are {split}: leave one of them")


def ending(path: Path) -> str:
    """A file's ending without .gz.

    Raises:
        InputError: it is none that is read.
    """
    found = Path(_unzipped(path)).suffix
    if found not in ENDINGS or path.name.lower().endswith(".parquet.gz"):
        read = f"{', '.join(ENDINGS)} are read, all but parquet also with .gz"
        raise InputError(f"{path}: unsupported file extension: {read}: convert it, or take it out of there")
    return found

"""Which local file holds which split, by their names."""

from pathlib import Path

from stages import provenance
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
ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".parquet")


def split_files(path: Path) -> dict[str, Path]:
    """Find the file of each split: one file is train, and of a folder the files named for a split; others are named.

    Raises:
        InputError: there is no such path, no train file, two files for one split, or one that DVC does not see.
    """
    if path.is_file():
        ending(path)
        return {"train": path}
    if not path.is_dir():
        raise InputError(f"dataset.path: {path} does not exist: set it to a file or to a folder with a train file")
    files: dict[str, Path] = {}
    unread = []
    for file in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(file.name.split(".")[0].lower())
        if split is None or file.suffix == ".dvc":
            unread += [file.name] if file.name.lower().removesuffix(".gz").endswith(ENDINGS) else []
            continue
        if not file.is_file():
            raise InputError(f"{file}: named for the {split} split, but no file: put a file there, or rename it")
        ending(file)
        if split in files:
            raise InputError(f"{path}: both {files[split].name} and {file.name} are {split}: leave one of them")
        files[split] = file
    if unread:
        print(f"{path}: not read, since not named for a split: {listed(unread)}")
    if "train" not in files:
        raise InputError(f"{path}: no train file: name it train with one of the endings {', '.join(ENDINGS)} (or .gz)")
    provenance.check_hashed(path, files.values())
    return files


def ending(path: Path) -> str:
    """A file's ending without .gz.

    Raises:
        InputError: it is none that is read.
    """
    name = path.name.lower()
    found = Path(name.removesuffix(".gz")).suffix
    if found not in ENDINGS or name.endswith(".parquet.gz"):
        read = f"{', '.join(ENDINGS)} are read, all but parquet also with .gz"
        raise InputError(f"{path}: unknown ending: {read}: convert it, or take it out of there")
    return found

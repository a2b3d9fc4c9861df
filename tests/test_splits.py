"""Which files of a folder hold which split."""

import gzip
import re
from pathlib import Path

import pytest
from own_data import LAYOUT, Workspace

from stages import download, paths, tables
from stages.errors import InputError
from stages.files import read_rows
from stages.splits import SPLIT_NAMES, split_files


@pytest.mark.parametrize("name", [*SPLIT_NAMES, "TRAIN", "Dev"])
@pytest.mark.parametrize("ending", ["csv", "CSV", "jsonl.gz", "jsonl.GZ", "parquet"])
def test_files_are_found_by_the_names_of_splits_and_others_are_named(
    tmp_path: Path, name: str, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.tsv").touch()
    for other in ("README.md", "labels.csv", ".gitignore", "trainer.csv", "test.csv.dvc", "words.JSONL.GZ"):
        (tmp_path / other).touch()
    (tmp_path / "test.old.csv").touch()  # whose name is not a split's and an ending
    (tmp_path / "tests").mkdir()
    split = SPLIT_NAMES[name.lower()]
    if split == "train":
        (tmp_path / "train.tsv").unlink()
    file = tmp_path / f"{name}.{ending}"
    file.touch()
    assert split_files(tmp_path) == {"train": [tmp_path / "train.tsv"]} | {split: [file]}
    unread = "labels.csv, test.old.csv, tests, trainer.csv, words.JSONL.GZ"
    assert capsys.readouterr().out == f"warning: {tmp_path}: ignored, since not named for a split: {unread}\n"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-1.csv.gz", "train"),
        ("train.2024.parquet", "train"),
        ("Training (1).csv", "train"),
        ("dev_00.txt", "validation"),
        ("test2.jsonl", "test"),
        ("train-0-of-2", "train"),
    ],
)
def test_a_split_s_name_with_a_number_that_is_no_shard_s_is_an_error(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / "train.csv").touch()
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))}: not read under this name: .* {split}-0"):
        split_files(tmp_path)


def test_a_single_file_is_train_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "test.csv"
    file.touch()
    assert split_files(file) == {"train": [file]}


def test_the_shards_of_a_split_are_read_one_after_the_other(workspace: Workspace) -> None:
    shards = workspace(dataset__path="own", dataset__labels=None) / "own"
    shards.mkdir()
    for shard in (1, 0, 2):
        rows = "".join(f"text {shard} {row},{'ab'[row % 2]}\n" for row in range(20))
        (shards / f"train-0000{shard}-of-00003.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    download.main()
    train, validation, test = (
        [tuple(map(int, text.split()[1:])) for text in tables.read(paths.raw(split))["text"].to_pylist()]
        for split in paths.SPLITS
    )
    assert sorted([*train, *validation, *test]) == [(shard, row) for shard in range(3) for row in range(20)]
    assert train == sorted(train)


@pytest.mark.parametrize(
    ("split", "names"), [("train", ["training"]), ("validation", ["valid", "val", "dev"]), ("test", ["testing"])]
)
def test_the_names_of_a_split_are_its_own(split: str, names: list[str]) -> None:
    assert [name for name, of in SPLIT_NAMES.items() if of == split] == [split, *names]


def test_the_ending_of_gzipped_files_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "train.CSV.GZ").write_bytes(gzip.compress(b"text,label\na,b\n"))
    assert [row.text for row in read_rows(tmp_path / "train.CSV.GZ", LAYOUT)] == ["a"]

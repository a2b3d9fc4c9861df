"""Small stand-ins for what a user brings: a checkpoint with random weights, texts and labels, a program."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clones import DEFAULTS, TREE


def make_tiny_random_checkpoint(folder: Path, **config: Any) -> Path:
    """A BERT of 2 layers with random weights and a letters-only vocabulary: a stand-in where only mechanics count."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True)
    letters = [chr(code) for code in (*range(ord("a"), ord("z") + 1), *range(ord("0"), ord("9") + 1))]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=256).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    settings = shape | {"vocab_size": len(words), "max_position_embeddings": 256}
    lively = {"initializer_range": 0.5}  # with the usual 0.02, all texts get the same probabilities up to 1e-4
    BertModel(BertConfig(**settings | lively | config)).save_pretrained(folder)
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a csv file, every value as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """A csv file of texts and labels."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def write_small_dataset(folder: Path) -> None:
    """The first 12 rows of each label of the starter corpus, as csv files."""
    folder.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = read_csv(TREE / f"data/sample/{split}.csv")
        kept = [
            (row["text"], row["label"])
            for label in DEFAULTS["dataset"]["labels"]
            for row in [row for row in rows if row["label"] == label][:12]
        ]
        write_csv(folder / f"{split}.csv", kept)


def write_program(path: Path, *lines: str) -> None:
    """A program of these lines of shell, in the place of git, gpg or a hook."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)

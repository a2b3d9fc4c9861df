"""The recipes do what they say, as far as that goes without a hub and without the long training."""

from collections import Counter

import pyarrow.parquet as pq
import pytest
from clones import RECIPES
from conftest import needs_emotion

from stages import download, paths, tables

LABELS = ["sadness", "joy", "love", "anger", "fear", "surprise"]


@needs_emotion
@pytest.mark.usefixtures("emotion_files")
def test_emotion_files_reads_the_data_and_carves_a_test_split() -> None:
    download.main()
    splits = {split: pq.read_table(f"data/raw/{split}.parquet") for split in paths.SPLITS}
    assert {split: len(table) for split, table in splits.items()} == {"train": 14400, "validation": 2000, "test": 1600}
    counts = Counter(LABELS[label] for label in splits["validation"]["label"].to_pylist())
    assert counts == {"joy": 704, "sadness": 550, "anger": 275, "fear": 212, "love": 178, "surprise": 81}
    for table in splits.values():
        assert tables.label_names(table.schema) == LABELS
    texts = {split: set(table["text"].to_pylist()) for split, table in splits.items()}
    assert not texts["train"] & texts["test"]


def test_the_distilbert_recipe_is_the_book_s() -> None:
    recipe = RECIPES["emotion-distilbert"]
    expected = {"epochs": 2, "batch_size": 64, "learning_rate": "2e-5", "weight_decay": 0.01, "warmup_ratio": 0.0}
    assert recipe["train"] | expected == recipe["train"]
    assert recipe["model"]["hub_name"] == "distilbert/distilbert-base-uncased"


def test_the_emotion_recipes_say_the_same_of_the_hubs_data_and_pin_it() -> None:
    dataset, other = (RECIPES[name]["dataset"] for name in ("emotion-minilm", "emotion-distilbert"))
    assert dataset == other
    assert dataset["source"] == "hub"
    assert (dataset["hub_name"], dataset["hub_config"]) == ("dair-ai/emotion", "split")
    assert dataset["hub_revision"] == "cab853a1dbdf4c42c2b3ef2173804746df8825fe"


def test_the_emotion_recipes_with_minilm_alone_have_a_contrastive_loss() -> None:
    weighted = {name for name, recipe in RECIPES.items() if recipe["train"]["contrastive_weight"]}
    assert weighted == {"emotion-files", "emotion-minilm"}

"""What an audit finds among labelled texts: repeated, conflicting, leaked, long and broken ones; and the figures."""

import json
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
from ftfy.badness import is_bad

from stages import paths, tables
from stages.duplicates import near_duplicates
from stages.words import WORD

LONG = 512  # words
OTHER = ["other_split", "other_row", "other_text", "other_label"]
COLUMNS = ["finding", "split", "row", "text", "label", *OTHER, "similarity"]


def read_delivery() -> tuple[list[str], dict[str, dict[str, int]]]:
    """Which splits download carved from train, and how many rows of each it left out, by what was wrong with them.

    Raises:
        InputError: the file is missing or damaged.
    """
    with paths.reading(paths.DELIVERY):
        said = json.loads(Path(paths.DELIVERY).read_text(encoding="utf-8"))
        return list(said["carved"]), {split: dict(said["skipped_rows"][split]) for split in paths.SPLITS}


def read_rows(carved: Collection[str]) -> pd.DataFrame:
    """The rows of data/raw: split, row (from 0), text, label, delivered (a split), words (a count), broken (or not).

    Args:
        carved: the splits whose rows were delivered as train's.
    """
    parts = []
    for split in paths.SPLITS:
        table = tables.read(paths.raw(split))
        labels = pd.Categorical.from_codes(table["label"].to_numpy(), tables.label_names(table.schema))
        delivered = "train" if split in carved else split
        columns = {"split": split, "row": range(len(table)), "text": table["text"].to_pandas(), "label": labels}
        parts.append(pd.DataFrame(columns | {"delivered": delivered}))
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(words=rows["text"].str.count(WORD), broken=rows["text"].map(_is_broken))


def describe(rows: pd.DataFrame) -> dict[str, Any]:
    """The figures of one delivered split; texts are told apart word for word, lengths are in words."""
    labels_of = rows.groupby("text", sort=False)["label"].agg(["size", "nunique"])
    words = rows["words"]
    median, high = (round(float(words.quantile(share)), 1) for share in (0.5, 0.95))
    return {
        "rows": len(rows),
        "labels": {str(name): int(count) for name, count in rows["label"].value_counts(sort=False).items()},
        "words": {"median": median, "95%": high, "most": int(words.max())},
        "repeated_texts": int((labels_of["size"] > 1).sum()),
        "conflicting_texts": int((labels_of["nunique"] > 1).sum()),
        "long_texts": int((words > LONG).sum()),
        "broken_texts": int(rows["broken"].sum()),
    }


def shared_texts(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """The texts that occur in two delivered splits word for word, and how many of them with no label in common."""
    distinct = {split: part[["text", "label"]].drop_duplicates() for split, part in rows.groupby("delivered")}
    counts = {}
    for one, other in combinations([split for split in paths.SPLITS if split in distinct], 2):
        both = distinct[one].merge(distinct[other], on="text")
        texts, same = both["text"].nunique(), both[both["label_x"] == both["label_y"]]["text"].nunique()
        counts[f"{one} and {other}"] = {"texts": texts, "same_label": same, "other_label": texts - same}
    return counts


def find(rows: pd.DataFrame) -> pd.DataFrame:
    """Everything that is found, a finding a row (so that one row of the data may have several), under ``COLUMNS``.

    A finding is ``conflicting`` or ``repeated`` (the text's first row in the delivered split has another label or the
    same), ``leaked`` (a validation or test row of which train has a near-duplicate), ``long`` or ``broken``.
    """
    long = rows[rows["words"] > LONG].assign(finding="long")
    broken = rows[rows["broken"]].assign(finding="broken")
    return pd.concat([_repeated(rows), _leaked(rows), long, broken], ignore_index=True).reindex(columns=COLUMNS)


def _is_broken(text: str) -> bool:
    """Whether a text has traces of a wrong decoding, as ftfy knows them, or characters that one has given up on."""
    return not text.isascii() and ("\ufffd" in text or is_bad(text))


def _repeated(rows: pd.DataFrame) -> pd.DataFrame:
    key = ["delivered", "text"]
    first = rows.drop_duplicates(key).add_prefix("other_")
    pairs = rows[rows.duplicated(key)].merge(first, left_on=key, right_on=[f"other_{name}" for name in key])
    findings = pairs["label"].eq(pairs["other_label"]).map({True: "repeated", False: "conflicting"})
    return pairs.assign(finding=findings, similarity=1.0)


def _leaked(rows: pd.DataFrame) -> pd.DataFrame:
    evaluated, train = (part.reset_index(drop=True) for _, part in rows.groupby(rows["split"].eq("train")))
    pairs = near_duplicates(evaluated["text"].tolist(), train["text"].tolist())
    leaked = evaluated.iloc[list(pairs)].reset_index(drop=True)
    others = train.iloc[[other for other, _ in pairs.values()]]
    leaked[OTHER] = others[["split", "row", "text", "label"]].to_numpy()
    return leaked.assign(finding="leaked", similarity=[similarity for _, similarity in pairs.values()])

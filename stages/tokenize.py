"""Turn texts into token ids with the checkpoint's own tokenizer.

In:  data/raw/*.parquet, models/pretrained/tokenizer/, the `tokenize` params
Out: data/tokenized/{train,validation,test}.parquet (input_ids, label), row for row; metrics/tokens.json (counts)
Run: python -m stages.tokenize
"""

if __name__ == "tokenize":  # taken for the standard library's, since `python stages/NAME.py` looks in this folder first
    raise SystemExit("error: run stages as modules, from the top of the clone: python -m stages.NAME")

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stages import entry, errors, paths, provenance
from stages.outputs import staged
from stages.params import Section, load

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase


MUCH = 0.1  # the share of dropped or unknown tokens above which there is a warning


class TokenizeParams(Section):
    """How texts become token ids."""

    max_length: Annotated[int, Field(ge=4)] = Field(
        description="the most tokens a text may have, special tokens counted; longer texts are truncated"
    )


def tokenize_texts(
    tokenizer: "PreTrainedTokenizerBase", texts: list[str], max_length: int
) -> tuple[list[list[int]], int, int]:
    """Give the token ids of each text, the number of texts that were truncated, and of the tokens dropped."""
    from stages import tables

    settings = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    ids: list[list[int]] = []
    truncated = dropped = 0
    for part in map(texts.__getitem__, tables.parts(texts)):
        rows = tokenizer(part, truncation=False, **settings)["input_ids"]
        long = [index for index, row in enumerate(rows) if len(row) > max_length]
        if long:
            cut = tokenizer([part[index] for index in long], truncation=True, max_length=max_length, **settings)
            for index, row in zip(long, cut["input_ids"], strict=True):
                dropped += len(rows[index]) - len(row)
                rows[index] = row
        truncated += len(long)
        ids += rows
    return ids, truncated, dropped


def report(split: str, max_length: int, counts: Mapping[str, int]) -> None:
    """Print what was found of a split."""
    rows, tokens = counts["rows"], counts["tokens"]
    print(
        f"{split}: {rows} rows, {tokens / rows:.1f} tokens on average, {counts['unknown'] / tokens:.1%} of them "
        f"unknown; truncated to {max_length}: {counts['truncated']} rows, {counts['dropped']} tokens dropped"
    )
    for warning in warnings(split, counts):
        print(f"warning: {warning}")


def warnings(split: str, counts: Mapping[str, int]) -> Iterator[str]:
    """A line for each reason why the checkpoint sees little of a split's texts, by its counts in tokens.json."""
    unknown = counts["unknown"] / counts["tokens"]
    dropped = counts["dropped"] / (counts["tokens"] + counts["dropped"])
    if unknown > MUCH:
        yield f"{unknown:.0%} of {split}'s tokens are unknown: choose a checkpoint for texts like these"
    if dropped > MUCH:
        yield (
            f"{dropped:.0%} of {split}'s tokens are dropped: raise tokenize.max_length, if need be with a checkpoint "
            "that takes more"
        )


def tokenize_split(tokenizer: "PreTrainedTokenizerBase", split: str, output: "Path", max_length: int) -> Counter[str]:
    """Write the token ids and labels of a split to ``output``, and count them.

    Raises:
        InputError: a text has no token, or the tokenizer knows none of the train split's.
    """
    import pyarrow as pa

    from stages import tables
    from stages.progress import Progress

    raw = tables.read(paths.raw(split))
    schema = tables.schema(tables.TOKENS, tables.label_names(raw.schema), "label")
    special, unk = set(tokenizer.all_special_ids), tokenizer.unk_token_id
    added = tokenizer("")["input_ids"].count(unk)  # to each text, where the same token also begins or ends it
    known = False
    counts = Counter(rows=len(raw))
    with tables.writer(output, schema) as file, Progress(f"tokenize {split}", len(raw), "rows") as progress:
        for batch in raw.to_batches(max_chunksize=tables.ROWS):
            ids, truncated, dropped = tokenize_texts(tokenizer, batch["text"].to_pylist(), max_length)
            if [] in ids:
                row = ids.index([])
                text = batch["text"][row].as_py()
                raise errors.InputError(
                    f"{paths.raw(split)}, row {progress.done + row} (from 0): the checkpoint's tokenizer makes no "
                    f"token of {text[:50]!r}: fix or remove that row in your data"
                )
            known = known or not all(special.issuperset(row) for row in ids)
            file.write_table(pa.table({"input_ids": ids, "label": batch["label"]}, schema=schema))
            unknown = sum(row.count(unk) - added for row in ids)
            counts.update(tokens=sum(map(len, ids)), unknown=unknown, truncated=truncated, dropped=dropped)
            progress.advance(len(ids))
    if split == "train" and not known:
        raise errors.InputError(
            f"{paths.TOKENIZER}: it knows no token of the {split} texts: its vocabulary is of other texts, or "
            "missing, or in another file than its class reads: choose another checkpoint"
        )
    return counts


def main() -> None:
    """Tokenize the three splits."""
    stamp = provenance.inputs("tokenize")
    params = load("tokenize", TokenizeParams)

    from stages.tokenizer import checked_tokenizer

    tokenizer = checked_tokenizer(params.max_length)
    with staged(stamp, *map(paths.tokenized, paths.SPLITS), paths.TOKENS) as (*partials, figures):
        counts = {}
        for split, partial in zip(paths.SPLITS, partials, strict=True):
            counts[split] = tokenize_split(tokenizer, split, partial, params.max_length)
            report(split, params.max_length, counts[split])
        figures.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    entry.run(main)

"""The checkpoint's own tokenizer, checked before any text is tokenized with it."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from stages import errors, paths

FILE = Path(paths.TOKENIZER, "tokenizer.json")
UNKNOWN = "\U00013000"  # an Egyptian hieroglyph, which hardly any vocabulary has


def checked_tokenizer(max_length: int) -> PreTrainedTokenizerBase:
    """Load the checkpoint's tokenizer.

    Raises:
        InputError: it does not load, is not what its file has, fails on unknown characters, or does not allow
            ``max_length`` tokens.
    """
    paths.require(paths.TOKENIZER)
    try:
        tokenizer = AutoTokenizer.from_pretrained(paths.TOKENIZER, trust_remote_code=False)
        tokenizer(UNKNOWN)
        most = int(tokenizer.model_max_length)
        kind, of_file = _kinds(tokenizer)
    except Exception as error:  # whatever a broken file makes the tokenizer library raise
        raise errors.InputError(
            f"{paths.TOKENIZER}: not a tokenizer that works ({errors.reason(error)}): choose another checkpoint"
        ) from error
    if kind != of_file:
        raise errors.InputError(
            f"{FILE}: of its {of_file} tokenizer {type(tokenizer).__name__} makes a {kind} tokenizer: set "
            "tokenizer_class in tokenizer_config.json to PreTrainedTokenizerFast, or choose another checkpoint"
        )
    if max_length > most:
        raise errors.InputError(
            f"params.yaml: tokenize.max_length: {max_length} is more than the {most} tokens that the checkpoint takes: "
            "lower it, or choose another checkpoint"
        )
    return tokenizer


def _kinds(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """The kind of the tokenizer, such as WordPiece, and of the one in its file, around whose vocabulary it is built."""
    built = getattr(tokenizer, "backend_tokenizer", None)
    if built is None or not FILE.exists():
        return "", ""
    kind = type(built.model).__name__
    return kind, json.loads(FILE.read_text(encoding="utf-8"))["model"].get("type", kind)

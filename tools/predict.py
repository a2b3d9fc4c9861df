"""Label texts with the fine-tuned classifier, in float32: reads a text per line, writes a JSON object per line.

Run: python -m tools.predict [FILE] > predictions.jsonl    (without FILE, it reads standard input)
"""

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stdout
from typing import Any, BinaryIO

from stages import entry, errors, paths
from stages.files import decoded
from stages.params import load
from stages.splits import ENDINGS
from stages.tokenize import TokenizeParams, tokenize_texts

TABLES = tuple(ending for ending in ENDINGS if ending != ".txt")  # whose lines are no texts
TEXTS = 4096  # at a time: enough to batch them by length, few enough to keep memory flat


def read_texts(file: BinaryIO) -> Iterator[list[str]]:
    """Give the lines of a file, `TEXTS` at a time, and of a terminal each as it is typed.

    Raises:
        InputError: a line is not UTF-8.
    """
    lines, most = decoded(file.name, file), 1 if file.isatty() else TEXTS
    while texts := list(itertools.islice(lines, most)):
        yield [text.rstrip("\r\n") for text in texts]


def load_predictor() -> Callable[..., list[dict[str, Any]]]:
    """Load the function that gives each text's label and its probability (``score``).

    Its ``first`` is the line number of the first text, for error messages.

    Raises:
        InputError: params.yaml cuts texts at another length than dvc.lock says the classifier was trained with.
    """
    limit = load("tokenize", TokenizeParams).max_length

    import pyarrow as pa
    from scipy.special import softmax

    from stages import inference
    from stages.batching import TokenizedRows
    from stages.classifier import load_fine_tuned
    from stages.compatibility import check_fit
    from stages.first_token import narrow
    from tools import lockfile, verify

    paths.require(paths.CLASSIFIER)
    if lockfile.PATH.exists():
        verify.check_classifier()
    else:
        said = f"warning: {lockfile.PATH} does not exist: neither the classifier nor tokenize.max_length is checked"
        print(said, file=sys.stderr)
    model, tokenizer = load_fine_tuned()
    narrow(model)

    def predict(texts: list[str], first: int = 1) -> list[dict[str, Any]]:
        ids, _, _ = tokenize_texts(tokenizer, texts, limit)
        if [] in ids:
            empty = ids.index([])
            raise errors.InputError(
                f"line {first + empty}: the tokenizer makes no tokens from {texts[empty][:50]!r}: remove that line"
            )
        rows = TokenizedRows(pa.table({"input_ids": ids, "label": [0] * len(ids)}))  # a label that nobody looks at
        check_fit(model, tokenizer, rows)
        with redirect_stdout(sys.stderr):  # for its progress
            logits = inference.infer(model, tokenizer, rows, "predict", lambda output, _: output.logits)
        return [
            {"text": text, "label": model.config.id2label[int(row.argmax())], "score": round(float(row.max()), 4)}
            for text, row in zip(texts, softmax(logits, axis=1), strict=True)
        ]

    return predict


def main() -> None:
    """Label the lines of the file."""
    parser = entry.parser("tools.predict", __doc__)
    parser.add_argument("file", nargs="?", default="-", help="a text per line, in UTF-8; default, or -: standard input")
    name = parser.parse_args().file
    if name.lower().removesuffix(".gz").endswith(TABLES):
        raise errors.InputError(f"{name}: a text per line is read, and no columns: write its texts to a .txt file")
    if name == "-" and sys.stdin is None:
        raise errors.InputError("standard input is closed: name a file")
    if sys.stdout is None:
        raise errors.InputError("standard output is closed: redirect it to a file")
    with nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as file:  # noqa: PTH123
        predict = load_predictor()
        first = 1
        for texts in read_texts(file):
            for prediction in predict(texts, first):
                sys.stdout.buffer.write(json.dumps(prediction, ensure_ascii=False).encode() + b"\n")
            sys.stdout.flush()
            first += len(texts)


if __name__ == "__main__":
    entry.run(main)

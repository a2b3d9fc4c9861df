"""Whatever bytes a params file or a data file holds, reading it gives a result or an error in a line, nothing else."""

import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clones import TREE
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stages import tables
from stages.dataset import build_splits
from stages.errors import MAX_PROBLEMS, InputError
from stages.files import read_rows
from stages.params import load
from stages.rows import Layout
from tools.params import CLASSES

ROWS = [(f"text {number}, she said\nso", "ab"[number % 2]) for number in range(6)]
LONGEST = 2000  # characters of a message
quickly = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def gives_a_result_or_an_error_for_a_person(read: Callable[[Path], object], name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        message = ""
        try:
            read(file)
        except InputError as error:
            message = str(error)
    assert len(message.splitlines()) <= MAX_PROBLEMS + 1
    assert len(message) <= LONGEST


@st.composite
def edited(draw: st.DrawFn, valid: bytes, words: tuple[bytes, ...]) -> bytes:
    """A valid file with bytes or ``words`` put in, left out or in the place of others."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 8))
        content[start : start + length] = draw(st.sampled_from(words) | st.binary(max_size=4))
    return bytes(content)


@st.composite
def swapped(draw: st.DrawFn, valid: bytes, words: tuple[bytes, ...]) -> bytes:
    """A valid params file with values in the place of others."""
    lines = valid.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[number].partition(b":")
        lines[number] = key + colon + b" " + draw(st.sampled_from(words) | st.binary(max_size=8)) + b"\n"
    return b"".join(lines)


PARAMS = (TREE / "recipes/default.yaml").read_bytes()
VALUES = tuple(
    value.encode()
    for value in (
        "!!timestamp x", "!!bool x", "!!float ''", "!!int x", "!!binary é", "!!python/name:os.system", "!!set {a}",
        "!!omap [a]", "!!pairs [a]", "!!str [a]", "2024-99-99", "2024-01-01T00:00:00+99:99", "1e999", "9" * 5000,
        "&a [*a]", "&b {b: *b}", "*c", "<<: [1]", "{<<: {a: 1}}", "? [a]", "{[a]: b}", "'a\\nb'", '"\\ud800"',
        "[" * 500, "'\n", "|\n x", "=", "null", "~", "\ufeff", "\0", "%YAML 9", "---", "...", "\t", f"[{'1,' * 50}]",
    )
)  # fmt: skip


def every_section(path: Path) -> None:
    problems = []
    for name, section in CLASSES.items():
        try:
            load(name, section, path)
        except InputError as error:
            problems.append(error)
    if problems:
        raise max(problems, key=lambda error: len(str(error)))


def nested(letter: int) -> bytes:
    return b"%c: &%c [%s]\n" % (letter + 1, letter + 1, b"*%c, " % letter * 9)


@quickly
@given(st.binary() | edited(PARAMS, VALUES) | swapped(PARAMS, VALUES))
@example(b"train: {epochs: *i}".join((b"a: &a [x]\n" + b"".join(map(nested, b"abcdefgh")), b"\n")))
@example(b"train: {" + b"".join(b"k%d: 1, " % number for number in range(300)) + b"}")
@example(PARAMS.replace(b"labels: [", b"labels: [" + b"1," * 300))
def test_any_params_file_gives_params_or_an_error(content: bytes) -> None:
    gives_a_result_or_an_error_for_a_person(every_section, "params.yaml", content)


@pytest.mark.parametrize("value", VALUES)
def test_any_value_gives_params_or_an_error(value: bytes) -> None:
    content = re.sub(rb"(?<=  epochs: ).*", lambda _: value, PARAMS)
    assert content != PARAMS
    gives_a_result_or_an_error_for_a_person(every_section, "params.yaml", content)


def parquet(compression: str) -> bytes:
    texts, labels = zip(*ROWS, strict=True)
    file = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "label": labels}), file, compression=compression)
    return file.getvalue()


CSV = b"text,label\n" + b"".join(b'"%s",%s\n' % (text.encode(), label.encode()) for text, label in ROWS)
JSONL = b"".join(json.dumps({"text": text, "label": label}).encode() + b"\n" for text, label in ROWS)
FILES = {
    "csv": (CSV, (b'"', b'""', b",", b"\r", b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf", b"text,")),
    "tsv": (CSV.replace(b",", b"\t"), (b'"', b"\t", b"\r", b"\n", b"label\t")),
    "txt": (CSV, (b'"', b";", b"\n")),
    "csv.gz": (gzip.compress(CSV, mtime=0), (b"\x1f\x8b", b"\0\0", b"\xff\xff")),
    "jsonl": (
        JSONL,
        (b'"', b"{", b"}", b"null", b"[" * 2000, b'{"text":' * 500, b"1e999", b"NaN", b'\\ud83d"', b"9" * 5000, b"\\n"),
    ),
    "jsonl.gz": (gzip.compress(JSONL, mtime=0), (b"\x1f\x8b", b"\0\0", b"\xff\xff")),
    "parquet": (parquet("none"), (b"\0\0", b"\xff\xff\xff\xff", b"PAR1", b"\x7f")),
    "zstd.parquet": (parquet("zstd"), (b"\0\0", b"\xff\xff\xff\xff", b"PAR1", b"\x7f")),
}
LAYOUTS = st.builds(
    Layout,
    st.sampled_from(["text", 0, 5]),
    st.sampled_from(["label", 1]),
    st.booleans(),
    st.sampled_from([None, ",", "\t", "\0"]),
    st.booleans(),
)


@pytest.mark.parametrize("ending", FILES)
@quickly
@given(data=st.data(), layout=LAYOUTS, skip=st.booleans())
def test_any_data_file_gives_rows_or_an_error(data: st.DataObject, ending: str, layout: Layout, skip: bool) -> None:  # noqa: FBT001
    content = data.draw(st.binary() | edited(*FILES[ending]))

    def read(path: Path) -> None:
        rows = {"train": read_rows(path, layout), "test": read_rows(path, layout)}
        build_splits(rows, None, skip=skip)

    gives_a_result_or_an_error_for_a_person(read, f"train.{ending}", content)


def between_stages() -> bytes:
    file = io.BytesIO()
    schema = tables.schema(tables.TEXTS, ["a", "b"], "label")
    texts, labels = zip(*ROWS, strict=True)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        writer.write_table(pa.table({"text": texts, "label": ["ab".index(label) for label in labels]}, schema=schema))
    return file.getvalue()


@quickly
@given(st.binary() | edited(between_stages(), FILES["parquet"][1]))
def test_any_table_between_stages_gives_rows_or_an_error(content: bytes) -> None:
    def read(path: Path) -> None:
        tables.read(str(path)).to_pylist()

    gives_a_result_or_an_error_for_a_person(read, "train.parquet", content)

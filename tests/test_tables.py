"""The tables between stages: in parts that fit in memory, and damage that is named."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import errors, tables


def test_texts_are_parted_by_their_number_and_by_their_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 3)
    monkeypatch.setattr(tables, "CHARACTERS", 10)
    lengths = [1, 1, 1, 1, 12, 5, 5, 1]
    found = tables.parts(["x" * length for length in lengths])
    assert [lengths[part] for part in found] == [[1, 1, 1], [1], [12], [5, 5], [1]]


def test_a_table_whose_texts_are_no_text_is_damaged(tmp_path: Path) -> None:
    ends = pa.array([0, 1], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"text": text}), tmp_path / "train.parquet")
    with pytest.raises(errors.InputError, match=r"train\.parquet: damaged \(ArrowInvalid: "):
        tables.read(str(tmp_path / "train.parquet"))


def test_a_table_whose_schema_cannot_be_read_is_damaged(tmp_path: Path) -> None:
    table = pa.table({"text": ["x"]}).replace_schema_metadata({b"huggingface": b"{"})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(errors.InputError, match=r"train\.parquet: damaged \(JSONDecodeError"):
        tables.read(str(tmp_path / "train.parquet"))


def test_a_table_that_no_stage_wrote_is_damaged(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(errors.InputError, match=r"train\.parquet: damaged \("):
        tables.read(str(tmp_path / "train.parquet"))


def test_a_table_without_a_stamp_is_damaged(tmp_path: Path) -> None:
    schema = tables.schema(tables.TEXTS, ["a", "b"], "label")
    unstamped = {name: value for name, value in schema.metadata.items() if name != tables.METADATA}
    tables.write(tmp_path / "train.parquet", schema.with_metadata(unstamped), text=["x"], label=[0])
    with pytest.raises(errors.InputError, match=r"train\.parquet: damaged \(KeyError"):
        tables.read(str(tmp_path / "train.parquet"))

"""predict labels lines of text as evaluate labels rows."""

import functools
import json
import os
import pty
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from clones import change_params, run
from conftest import Call, Refused
from dvc.utils.serialize import modify_yaml
from edits import edit_json, flip
from repros import PATIENCE

from stages import errors, inference, progress
from stages.batching import TokenizedRows
from tools import predict, verify


@pytest.fixture
def refused(refused: Refused) -> Refused:
    """What it says, in a clone, of a file that it does not label."""
    return functools.partial(refused, predict.main)


def test_labels_and_scores_are_those_of_evaluate_in_the_order_of_the_lines(
    pipeline: Path, tmp_path: Path, call: Call
) -> None:
    rows = pq.read_table(pipeline / "data/raw/validation.parquet")
    evaluated = pq.read_table(pipeline / "data/predictions/validation.parquet")
    names = json.loads((pipeline / "models/classifier/config.json").read_text(encoding="utf-8"))["id2label"]
    texts = rows["text"].to_pylist()
    (tmp_path / "texts").write_text("\n".join(texts), encoding="utf-8")
    code, out, err = call(predict.main, pipeline, str(tmp_path / "texts"))
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["text"] for row in found] == texts
    assert [row["label"] for row in found] == [names[str(number)] for number in evaluated["prediction"].to_pylist()]
    highest = [max(row) for row in evaluated["probabilities"].to_pylist()]
    assert [row["score"] for row in found] == pytest.approx(highest, abs=1e-4)


def test_progress_is_told_on_stderr_where_no_prediction_is(
    pipeline: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", -1)  # a line for each batch
    (tmp_path / "texts").write_text("so tired\n", encoding="utf-8")
    code, out, err = call(predict.main, pipeline, str(tmp_path / "texts"))
    assert (code, json.loads(out)["text"]) == (0, "so tired")
    assert err == "predict: 1 of 1 rows (100%)\n"


def test_every_line_has_its_prediction_an_empty_one_too_and_whatever_the_locale(pipeline: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tools.predict"),
        cwd=pipeline,
        input="\ufeffi am fine\r\n\ncaf\u00e9\u2028\n".encode(),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(pipeline.parent), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.decode().removesuffix("\n").split("\n")]
    assert [row["text"] for row in found] == ["i am fine", "", "caf\u00e9\u2028"]


def test_a_line_that_is_typed_is_answered_before_the_next(pipeline: Path) -> None:
    keyboard, terminal = pty.openpty()
    command = (sys.executable, "-m", "tools.predict")
    with subprocess.Popen(command, cwd=pipeline, stdin=terminal, stdout=subprocess.PIPE) as process:
        assert process.stdout
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        for text in ("i am fine", "so tired"):
            os.write(keyboard, f"{text}\n".encode())
            assert json.loads(process.stdout.readline())["text"] == text
        os.write(keyboard, b"\x04")  # Ctrl-D
    patience.cancel()
    assert process.returncode == 0
    os.close(keyboard)
    os.close(terminal)


def test_a_reader_that_has_enough_ends_it_without_a_word(pipeline: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("so tired\n" * 2000, encoding="utf-8")  # of whose labels a pipe holds about half
    predict = shlex.join((sys.executable, "-m", "tools.predict", str(tmp_path / "texts")))
    done = run("bash", "-c", f"set -o pipefail; {predict} | head -n 1", cwd=pipeline, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["text"] == "so tired"


def test_a_line_that_is_no_text_is_named(refused: Refused, pipeline: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes(b"fine\n\xff\n")
    said = refused(pipeline, str(tmp_path / "texts"))
    assert said == f"{tmp_path}/texts, line 2: byte 0xff is not UTF-8: save the file as UTF-8"


def test_a_file_that_is_not_there_is_named(refused: Refused, pipeline: Path) -> None:
    said = refused(pipeline, "nowhere")
    assert said == "nowhere: No such file or directory: check its name, and run from the top of the clone"


def test_more_tokens_than_the_classifier_has_positions_are_an_error(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_params(inside, tokenize__max_length=1000)
    (inside / "dvc.lock").unlink()  # which knows of another length
    label = predict.load_predictor()
    said = "warning: dvc.lock does not exist: neither the classifier nor tokenize.max_length is checked\n"
    assert capsys.readouterr().err.startswith(said)
    with pytest.raises(errors.InputError, match="max_length: texts of 302 tokens, but the model has 256 positions"):
        label(["a " * 300])


def test_a_line_that_is_no_token_is_named(inside: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_json(inside / "models/classifier/tokenizer.json", post_processor=None)  # it puts special tokens around a text
    edit_json(inside / "models/classifier/tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    (inside / "dvc.lock").unlink()  # which knows another tokenizer
    monkeypatch.setattr(predict, "TEXTS", 2)
    (inside / "texts").write_text("a\nb\nc\n\u200b\n", encoding="utf-8")
    code, _, said = call(predict.main, inside, "texts")
    assert code == 1
    assert said.endswith("error: line 4: the tokenizer makes no tokens from '\\u200b': remove that line\n")


def test_texts_are_not_cut_elsewhere_than_where_the_classifier_was_trained(refused: Refused, copy: Path) -> None:
    change_params(copy, tokenize__max_length=6)
    said = refused(copy, "README.md")
    assert said == "params.yaml: tokenize.max_length is 6, but tokenize ran with 128: run `dvc repro`"
    run("dvc", "repro", "--single-item", "tokenize", cwd=copy)
    said = refused(copy, "README.md")
    assert said.startswith("dvc.lock: train did not read the data/tokenized/train.parquet that tokenize wrote: ")


def test_a_longer_text_is_cut_where_the_classifier_was_trained(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)
    lengths: list[int] = []

    def infer(_model: object, _tokenizer: object, rows: TokenizedRows, *_: object) -> np.ndarray:
        lengths.extend(rows.lengths)
        return np.zeros((len(rows), 6))

    monkeypatch.setattr(inference, "infer", infer)
    predict.load_predictor()(["a " * 125, "a " * 126, "a " * 127])
    assert lengths == [127, 128, 128]


def test_a_classifier_of_another_run_labels_nothing(refused: Refused, copy: Path) -> None:
    edit_json(copy / "models/classifier/provenance.json", params={"train.seed": 5})
    assert refused(copy, "README.md") == (
        "models/classifier does not match dvc.lock: delete it and run `dvc checkout`, or run `dvc repro`"
    )


def test_weights_that_are_not_those_of_the_run_label_nothing(refused: Refused, copy: Path) -> None:
    flip(copy / "models/classifier/model.safetensors")
    assert refused(copy, "README.md").startswith("models/classifier does not match dvc.lock: delete it ")


def test_a_pipeline_that_has_not_run_is_named(refused: Refused, pipeline: Path, tmp_path: Path) -> None:
    for name in ("dvc.yaml", "requirements.txt", "params.yaml"):
        (tmp_path / name).symlink_to(pipeline / name)
    said = refused(tmp_path, "params.yaml")
    assert said == "models/classifier does not exist: run `dvc pull`, or `dvc repro`, which makes it first"


def test_lines_are_counted_from_the_top_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "TEXTS", 2)
    (tmp_path / "texts").write_bytes(b"a\nb\n\xef\xbb\xbfc\n\xff\n")
    with (tmp_path / "texts").open("rb") as file:
        parts = predict.read_texts(file)
        assert next(parts) == ["a", "b"]
        with pytest.raises(errors.InputError, match=r"texts, line 4: byte 0xff is not UTF-8"):
            next(parts)


@pytest.mark.parametrize("stage", ["tokenize", "train"])
def test_a_classifier_labels_nothing_where_a_stage_before_it_never_ran(inside: Path, stage: str) -> None:
    with modify_yaml(inside / "dvc.lock") as lock:
        del lock["stages"][stage]
    with pytest.raises(errors.InputError, match=f"^dvc.lock: {stage} is missing: run `dvc repro`$"):
        verify.check_classifier()


def test_a_classifier_labels_texts_whatever_the_params_of_the_next_training(inside: Path) -> None:
    change_params(inside, train__seed=5)
    verify.check_classifier()


@pytest.mark.parametrize("name", ["texts.csv", "texts.CSV.gz", "texts.tsv", "texts.jsonl", "texts.parquet"])
def test_a_table_is_refused_since_each_of_its_lines_would_be_a_text(inside: Path, name: str, refused: Refused) -> None:
    (inside / name).write_bytes(b"text,label\n")
    said = refused(inside, name)
    assert said == f"{name}: a text per line is read, and no columns: write its texts to a .txt file"

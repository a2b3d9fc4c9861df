"""The download stage against a stand-in for the hub: what it fetches, and how it fails."""

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from background import unanswered
from clones import RECIPES, TREE, run, set_params
from hub_server import COMMIT, TOKEN, Files, HubServer, Kind, serve
from own_data import Fail, Workspace, line_of

from stages import tables

LABELS = ["sadness", "joy", "anger"]  # not in alphabetical order: the order is the card's
SPLITS = ("train", "validation", "test")
CARD = """---
configs:
- config_name: split
  data_files:
  - {split: train, path: split/train-*}
  - {split: validation, path: split/validation-*}
  - {split: test, path: split/test-*}
- config_name: unsplit
  data_files:
  - {split: train, path: unsplit/train-*}
dataset_info:
- config_name: split
  features:
  - {name: text, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': sadness, '1': joy, '2': anger}}}
- config_name: unsplit
  features:
  - {name: text, dtype: string}
  - {name: label, dtype: int64}
---
"""

SOURCES = ("dataset", "model")
WHAT = {"dataset": "dataset", "model": "checkpoint"}
REPOSITORY = {"dataset": "emotions", "model": "checkpoint"}


class Run(NamedTuple):
    """A run of the download stage: its folder, with its home folder in it, and what it asked the hub for."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    log: list[str]

    def files(self, *folders: str) -> list[str]:
        """The files and links under these folders, hidden ones too."""
        found = (path for folder in folders for path in (self.folder / folder).rglob("*") if not path.is_dir())
        return sorted(str(path.relative_to(self.folder)) for path in found)


def split_texts(split: str) -> list[str]:
    return [f"{split} text {number}" for number in range(6)]


def dataset_files(*, last: int = 2) -> Files:
    files = {"README.md": CARD.encode()}
    for split in SPLITS:
        table = pa.table({"text": split_texts(split), "label": pa.array([2, 1, 0, 0, 1, last], pa.int64())})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        files[f"split/{split}-00000-of-00001.parquet"] = buffer.getvalue()
    files["unsplit/train-00000-of-00001.parquet"] = files["split/train-00000-of-00001.parquet"]
    return files


@pytest.fixture(scope="module")
def hub(tiny_random_checkpoint: Path) -> Iterator[HubServer]:
    whole = dataset_files()
    decoys = {
        "pytorch_model.bin": b"pickled",
        "modeling_x.py": b"raise SystemExit",
        "deep/model.safetensors": b"unread",
    }
    checkpoint = {file.name: file.read_bytes() for file in tiny_random_checkpoint.iterdir()} | decoys
    repositories: dict[tuple[Kind, str], Files] = {
        ("datasets", "emotions"): whole,
        ("datasets", "emotion"): whole,
        ("datasets", "broken"): whole | {"split/train-00000-of-00001.parquet": b"not parquet"},
        ("datasets", "carded"): whole | {"README.md": b"---\nconfigs: [\n---\n"},
        ("datasets", "unlabelled"): dataset_files(last=-1),
        ("datasets", "unpinned"): whole
        | {"README.md": CARD.replace("path: split", "path: hf://datasets/tiny/unpinned@main/split").encode()},
        ("models", "checkpoint"): checkpoint,
        ("models", "all-MiniLM-L6-v2"): checkpoint,
        ("models", "distilbert-base-uncased"): checkpoint,
        ("models", "empty"): decoys,
        ("models", "pickled"): {name: content for name, content in checkpoint.items() if "safetensors" not in name},
    }
    with pytest.MonkeyPatch.context() as patch, serve(repositories) as server:
        for name in os.environ:  # a developer's own folders and proxies
            if name.startswith("XDG_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield server


def download(folder: Path, hub: HubServer, params: dict[str, Any], **env: str) -> Run:
    for name in ("dvc.yaml", "requirements.txt"):
        (folder / name).write_bytes((TREE / name).read_bytes())
    (folder / "stages").symlink_to(TREE / "stages")
    (folder / "home").mkdir(exist_ok=True)
    changes = {
        "dataset__path": str(TREE / "data/sample"),
        "dataset__labels": None,
        "dataset__hub_name": "tiny/emotions",
        "dataset__hub_revision": COMMIT,
        "model__weights_sha256": None,
        "model__hub_name": "tiny/checkpoint",
        "model__hub_revision": COMMIT,
    }
    set_params(folder, **(changes | params))
    before = len(hub.log)
    env = {"HF_ENDPOINT": hub.url, "HOME": str(folder / "home")} | env
    done = run(sys.executable, "-m", "stages.download", cwd=folder, check=False, env=env)
    return Run(folder, done, hub.log[before:])


def no_waiting(folder: Path) -> str:
    """A folder, beside this one, for PYTHONPATH: the libraries wait for up to 23 seconds between their retries."""
    beside = folder.with_name(f"{folder.name}-no-waiting")
    beside.mkdir()
    (beside / "sitecustomize.py").write_text("import time\ntime.sleep = lambda seconds: None\n", encoding="utf-8")
    return str(beside)


def error_of(
    folder: Path, hub: HubServer, source: str, key: str = "source", value: str | None = "hub", **env: str
) -> str:
    """What the stage says when it fails with ``source`` from the hub, having seen that it fails as it should."""
    params = {f"{source}__source": "hub", f"{source}__{key}": value}
    env = {"PYTHONPATH": no_waiting(folder), "HF_TOKEN": TOKEN} | env
    failed = download(folder, hub, params, **env)
    assert failed.done.returncode == 1
    assert re.fullmatch(r"error: [^\n]+\n([^\n]+\n)?", failed.done.stderr), failed.done.stderr
    assert "Traceback" not in failed.done.stdout + failed.done.stderr
    assert failed.files("data", "models") == []
    written = [failed.folder / file for file in failed.files("home", "data", "models")]
    assert TOKEN not in failed.done.stdout + failed.done.stderr
    assert not any(TOKEN.encode() in file.read_bytes() for file in written)
    return failed.done.stderr


@pytest.fixture(scope="module")
def fetched(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that went well, from locked repositories, in a folder with a decoy of the dataset's name."""
    folder = tmp_path_factory.mktemp("fetched")
    (folder / "locked/emotions").mkdir(parents=True)
    (folder / "locked/emotions/train.csv").write_text("text,label\na decoy,0\n")
    names = {"dataset__hub_name": "locked/emotions", "model__hub_name": "locked/checkpoint"}
    result = download(folder, hub, {"dataset__source": "hub", "model__source": "hub"} | names, HF_TOKEN=TOKEN)
    assert result.done.returncode == 0, result.done.stderr
    return result


def test_the_rows_of_the_hub_are_written(fetched: Run) -> None:
    for split in SPLITS:
        table = pq.read_table(fetched.folder / f"data/raw/{split}.parquet")
        assert table["text"].to_pylist() == split_texts(split)
        assert table["label"].to_pylist() == [2, 1, 0, 0, 1, 2]


def test_the_token_of_the_environment_opens_what_is_locked_and_is_written_nowhere(fetched: Run) -> None:
    assert [line for line in fetched.log if "/locked/" not in line] == []
    assert TOKEN not in fetched.done.stdout + fetched.done.stderr
    written = [fetched.folder / file for file in fetched.files("home", "data", "models")]
    assert not any(TOKEN.encode() in file.read_bytes() for file in written)


def test_the_label_names_are_those_of_the_hub_in_its_order(fetched: Run) -> None:
    for split in SPLITS:
        schema = pq.read_schema(fetched.folder / f"data/raw/{split}.parquet")
        assert tables.label_names(schema) == LABELS


def test_labels_in_another_order_keep_the_names_that_the_hub_gives_them(hub: HubServer, tmp_path: Path) -> None:
    params = {"dataset__source": "hub", "dataset__labels": LABELS[::-1], "model__source": "hub"}
    assert download(tmp_path, hub, params).done.returncode == 0
    table = pq.read_table(tmp_path / "data/raw/train.parquet")
    assert tables.label_names(table.schema) == LABELS[::-1]
    assert table["label"].to_pylist() == [len(LABELS) - 1 - label for label in [2, 1, 0, 0, 1, 2]]


def test_the_checkpoint_of_the_hub_is_written(fetched: Run, tiny_random_checkpoint: Path) -> None:
    for file in fetched.files("models/pretrained"):
        source = tiny_random_checkpoint / Path(file).name
        assert (fetched.folder / file).read_bytes() == source.read_bytes()
    assert fetched.files("models/pretrained/model") == [
        "models/pretrained/model/config.json",
        "models/pretrained/model/model.safetensors",
    ]
    assert "models/pretrained/tokenizer/tokenizer.json" in fetched.files("models/pretrained/tokenizer")


@pytest.mark.parametrize("recipe", ["emotion-minilm", "emotion-distilbert"])
def test_a_recipe_of_the_hub_fetches_what_it_names(hub: HubServer, tmp_path: Path, recipe: str) -> None:
    sections = RECIPES[recipe]
    params = {f"{section}__{key}": value for section in SOURCES for key, value in sections[section].items()}
    del params["dataset__path"]
    done = download(tmp_path, hub, params | {"model__weights_sha256": None})  # not those that the recipe names
    assert done.done.returncode == 0, done.done.stderr
    assert tables.label_names(pq.read_schema(tmp_path / "data/raw/test.parquet")) == LABELS
    assert (tmp_path / "models/pretrained/model/model.safetensors").exists()
    for source, folder in (("dataset", "datasets/"), ("model", "")):
        name, commit = (sections[source][key] for key in ("hub_name", "hub_revision"))
        assert any(f" /{folder}{name}/resolve/{commit}/" in line for line in done.log)


def test_nothing_pickled_no_code_and_nothing_in_a_subfolder_is_asked_for(fetched: Run) -> None:
    checkpoint = [line for line in fetched.log if "/locked/checkpoint/" in line]
    assert any("model.safetensors" in line for line in checkpoint)
    assert not any(".bin" in line or ".py" in line or "/deep/" in line for line in checkpoint)


def test_every_request_is_for_the_commit_hash(fetched: Run) -> None:
    assert fetched.log
    assert [line for line in fetched.log if f"/{COMMIT}" not in line] == []


def test_the_home_folder_holds_the_cache_of_the_hub_and_nothing_else(fetched: Run) -> None:
    assert fetched.files("home")
    assert [file for file in fetched.files("home") if not file.startswith("home/.cache/huggingface/hub/")] == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_commit_that_does_not_exist_is_named(hub: HubServer, tmp_path: Path, source: str) -> None:
    error = error_of(tmp_path, hub, source, "hub_revision", "f" * 40)
    assert error.startswith(f"error: {WHAT[source]} tiny/{REPOSITORY[source]} at ffffffffffff: no such revision:")
    assert f"{source}.hub_revision" in error


@pytest.mark.parametrize("source", SOURCES)
def test_a_repository_that_does_not_exist_is_named(hub: HubServer, tmp_path: Path, source: str) -> None:
    error = error_of(tmp_path, hub, source, "hub_name", "tiny/absent")
    assert error.startswith(f"error: {WHAT[source]} tiny/absent at {COMMIT[:12]}: no such repository, or no access:")
    assert f"{source}.hub_name" in error


@pytest.mark.parametrize(
    ("owner", "token"), [("locked", ""), ("private", TOKEN)], ids=["without a token", "with another's token"]
)
@pytest.mark.parametrize("source", SOURCES)
def test_a_private_repository_asks_for_a_token(
    hub: HubServer, tmp_path: Path, source: str, owner: str, token: str
) -> None:
    name = f"{owner}/{REPOSITORY[source]}"
    error = error_of(tmp_path, hub, source, "hub_name", name, HF_TOKEN=token)
    assert error.startswith(f"error: {WHAT[source]} {name} at {COMMIT[:12]}: no such repository, or no access:")
    assert f"{source}.hub_name" in error
    assert "HF_TOKEN" in error


@pytest.mark.parametrize("source", SOURCES)
def test_a_gated_repository_asks_to_accept_its_terms(hub: HubServer, tmp_path: Path, source: str) -> None:
    name = f"gated/{REPOSITORY[source]}"
    error = error_of(tmp_path, hub, source, "hub_name", name)
    assert error.startswith(f"error: {WHAT[source]} {name} at {COMMIT[:12]}: gated: accept its terms")
    assert f"{source}.hub_name" in error


@pytest.mark.parametrize("source", SOURCES)
def test_a_connection_cut_in_the_middle_of_a_file_is_reported(hub: HubServer, tmp_path: Path, source: str) -> None:
    name = f"cut/{REPOSITORY[source]}"
    error = error_of(tmp_path, hub, source, "hub_name", name)
    host = hub.url.removeprefix("http://")
    assert error.startswith(f"error: {WHAT[source]} {name} at {COMMIT[:12]}: {host} broke off in the middle:")
    assert f"{source}.source" in error


@pytest.mark.parametrize("source", SOURCES)
def test_a_hub_that_cannot_be_reached_is_named_without_its_password(
    hub: HubServer, tmp_path: Path, source: str
) -> None:
    with unanswered() as host:
        error = error_of(tmp_path, hub, source, HF_ENDPOINT=f"http://user:{TOKEN}@{host}")
    assert f"{host} cannot be reached:" in error
    assert f"{source}.source" in error


def test_make_repro_with_a_recipe_of_the_hub_reaches_for_it(copy: Path, hub: HubServer) -> None:  # noqa: ARG001 - its env
    with unanswered() as host:
        env = {"HF_ENDPOINT": f"http://{host}", "PYTHONPATH": no_waiting(copy)}
        done = run(sys.executable, "-m", "tools.repro", "emotion-minilm", cwd=copy, check=False, env=env)
    assert done.returncode == 1
    assert f"{host} cannot be reached: check the network" in done.stdout + done.stderr


def test_a_part_of_a_checkpoint_in_the_cache_is_not_taken_for_the_whole_where_the_hub_is_out_of_reach(
    hub: HubServer, tmp_path: Path
) -> None:
    env = {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path / "home")}
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        run("hf", "download", "tiny/checkpoint", name, "--revision", COMMIT, cwd=tmp_path, env=env)
    error = error_of(tmp_path, hub, "model", HF_HUB_OFFLINE="1")
    assert error.startswith(f"error: checkpoint tiny/checkpoint at {COMMIT[:12]}: HF_HUB_OFFLINE is set: unset it")


def test_offline_mode_is_named_as_the_cause(hub: HubServer, tmp_path: Path) -> None:
    assert "HF_HUB_OFFLINE is set: unset it" in error_of(tmp_path, hub, "dataset", HF_HUB_OFFLINE="1")


@pytest.mark.parametrize("source", SOURCES)
def test_a_branch_is_refused_before_any_request(
    workspace: Workspace, fail: Fail, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a request"))
    workspace(**{f"{source}__source": "hub", f"{source}__hub_revision": "main"})
    said = rf"params\.yaml, line \d+: {source}\.hub_revision: should be a commit hash \(40 [^\n]+\), is 'main'"
    assert re.fullmatch(said, fail())


def test_a_name_without_an_owner_is_refused_and_no_local_file_is_read_for_it(workspace: Workspace, fail: Fail) -> None:
    folder = workspace(dataset__source="hub", dataset__hub_name="csv")
    (folder / "train.csv").write_text("text,label\na decoy,0\na decoy,1\n")
    place = f"params.yaml, line {line_of('dataset.hub_name')}: dataset.hub_name"
    assert fail() == f"{place}: should be owner/name, is 'csv'"


@pytest.mark.parametrize("config", ["nope", None], ids=["a wrong one", "none"])
def test_the_configurations_are_listed_where_none_of_them_is_chosen(
    hub: HubServer, tmp_path: Path, config: str | None
) -> None:
    error = error_of(tmp_path, hub, "dataset", "hub_config", config)
    assert error.endswith("its configurations are 'split', 'unsplit': set dataset.hub_config to one of them\n")


def test_a_broken_file_of_a_data_set_is_reported(hub: HubServer, tmp_path: Path) -> None:
    error = error_of(tmp_path, hub, "dataset", "hub_name", "tiny/broken")
    assert error.startswith(f"error: dataset tiny/broken at {COMMIT[:12]}: ArrowInvalid:")
    assert "dataset.hub_name" in error


def test_a_card_that_cannot_be_read_is_reported(hub: HubServer, tmp_path: Path) -> None:
    error = error_of(tmp_path, hub, "dataset", "hub_name", "tiny/carded")
    assert error.startswith(f"error: dataset tiny/carded at {COMMIT[:12]}: ")
    assert "dataset.hub_name" in error


def test_a_card_that_names_files_of_another_revision_is_refused(hub: HubServer, tmp_path: Path) -> None:
    error = error_of(tmp_path, hub, "dataset", "hub_name", "tiny/unpinned")
    assert error.startswith("error: hf://datasets/tiny/unpinned@")
    assert "is not of dataset.hub_revision" in error


@pytest.mark.parametrize("source", SOURCES)
def test_a_proxy_that_nothing_here_speaks_to_is_reported(hub: HubServer, tmp_path: Path, source: str) -> None:
    error = error_of(tmp_path, hub, source, ALL_PROXY="socks5://127.0.0.1:1")
    assert error.startswith(f"error: {WHAT[source]} tiny/{REPOSITORY[source]} at {COMMIT[:12]}: ImportError: ")
    assert "the network's proxy" in error


def test_a_row_that_the_hub_has_no_label_for_is_named(hub: HubServer, tmp_path: Path) -> None:
    error = error_of(tmp_path, hub, "dataset", "hub_name", "tiny/unlabelled")
    said = "error: tiny/unlabelled, train, row 5 (from 0): an unknown label '-1', known are: sadness, joy, "
    assert error.startswith(said)


def test_a_repository_without_safe_weights_is_refused(hub: HubServer, tmp_path: Path) -> None:
    error = error_of(tmp_path, hub, "model", "hub_name", "tiny/pickled")
    assert "models--tiny--pickled" in error
    assert error.endswith(f"{COMMIT}: no safetensors weights: choose another checkpoint\n")


def test_a_repository_without_any_file_of_a_checkpoint_is_refused(hub: HubServer, tmp_path: Path) -> None:
    error = error_of(tmp_path, hub, "model", "hub_name", "tiny/empty")
    assert error == "error: checkpoint tiny/empty: it has none of a checkpoint's files: fix model.hub_name\n"

"""`tools.publish`: the classifier and its model card, on a stand-in for the hub."""

import errno
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import pytest
import yaml
from clones import SECRETS, git, run
from conftest import Call, Refused
from edits import append, edit_json
from hub_server import COMMIT, HubServer, serve
from stand_ins import read_csv

from stages import paths, tables
from tools import card, publish

TOKEN = SECRETS["HF_TOKEN"]
NAME = "tiny/emotions"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with serve({}) as server:
        yield server


@pytest.fixture
def reached(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The hub, where this process looks for it; by Xet, the other way for large files, the stand-in takes nothing."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, value in {"ENDPOINT": hub.url, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    return hub


@pytest.fixture
def refused(reached: HubServer, refused: Refused) -> Refused:
    """Publish to an error, which holds no token and leaves nothing on the hub, and give that."""

    def refuse(clone: Path, name: str) -> str:
        said = refused(publish.main, clone, name)
        assert TOKEN not in said
        assert reached.repositories == {}
        return said

    return refuse


def header(content: str) -> dict[str, Any]:
    """What the hub reads of a card."""
    return dict(yaml.safe_load(content.split("---\n")[1]))


def test_the_classifier_and_its_card_are_published_in_one_commit_of_a_private_repository(
    pipeline: Path, hub: HubServer, tmp_path: Path
) -> None:
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    done = run(sys.executable, "-m", "tools.publish", NAME, cwd=pipeline, env=env)
    assert (done.stdout, done.stderr) == (f"published: {hub.url}/{NAME}/commit/{COMMIT}\n", "")
    assert [(asked["name"], asked["visibility"]) for asked in hub.created] == [("emotions", "private")]
    assert len([line for line in hub.log if "/commit/" in line]) == 1
    assert set(hub.authorizations) == {f"Bearer {TOKEN}"}
    published = hub.repositories["models", "emotions"]
    classifier = {path.name: path.read_bytes() for path in (pipeline / paths.CLASSIFIER).iterdir()}
    assert published == classifier | {"README.md": published["README.md"]}
    assert not any(tmp_path.iterdir())


def test_a_repository_that_exists_gets_another_commit_and_keeps_its_other_files(
    pipeline: Path, reached: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    reached.repositories["models", "emotions"] = {"NOTES.md": b"by hand", "README.md": b"old"}
    publish.publish(NAME, "new", "Trained at c0ffee")
    published = reached.repositories["models", "emotions"]
    assert reached.created == []
    assert published["NOTES.md"] == b"by hand"
    assert published["README.md"] == b"new"
    assert "model.safetensors" in published


def test_without_a_name_the_card_is_printed(pipeline: Path, call: Call) -> None:
    code, out, error = call(publish.main, pipeline)
    assert (code, error) == (0, "")
    commit = git("rev-parse", "HEAD", cwd=pipeline).strip()
    assert out == card.model_card("OWNER/NAME", commit) + "\n"


def test_the_code_on_the_card_gives_the_labels_of_evaluate(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)
    code = re.findall(r"```python\n(.*?)```", card.model_card(NAME, "c0ffee"), re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code.replace(NAME, paths.CLASSIFIER), names)
    texts, evaluated = tables.read(paths.raw("test")), tables.read(paths.predictions("test"))
    labels = tables.label_names(texts.schema)
    found = names["classify"](texts["text"].to_pylist())
    assert [one["label"] for one in found] == [labels[number] for number in evaluated["prediction"].to_pylist()]


@pytest.fixture
def written(inside: Path) -> Callable[..., str]:
    """The card of a run whose download stage had other params."""

    def write(**params: Any) -> str:
        path = inside / paths.provenance("download")
        stamp = json.loads(path.read_text(encoding="utf-8"))["params"]
        edit_json(path, params=stamp | {name.replace("__", "."): value for name, value in params.items()})
        return card.model_card(NAME, "c0ffee")

    return write


def test_a_card_has_the_figures_of_the_run(pipeline: Path, written: Callable[..., str]) -> None:
    content = written()
    metrics = json.loads((pipeline / paths.METRICS).read_text(encoding="utf-8"))
    for name, value in metrics.items():
        assert f"| {name} | {value:.4f} |" in content
    low, high = map(float, re.findall(r"(\d\.\d{4}) to (\d\.\d{4}) \(Wilson\)", content)[0])
    rows, right, z = 72, round(72 * metrics["accuracy"]), 1.959964
    middle, half = right + z**2 / 2, z * (right * (rows - right) / rows + z**2 / 4) ** 0.5
    assert (low, high) == pytest.approx(((middle - half) / (rows + z**2), (middle + half) / (rows + z**2)), abs=1e-4)
    assert "| majority class |" in content
    assert "**Warning**: the fine-tuned model does not beat" in content  # it is the tiny random checkpoint
    assert "| `joy` | 12 | 12 | 12 |" in content
    assert "| all | 72 | 72 | 72 |" in content
    assert "On the 72 rows of the test split" in content
    assert "Labels a text with one of 6 labels." in content
    assert "truncation=True, max_length=128)" in content
    assert "| `tokenize.max_length` | 128 |" in content
    assert "| `train.learning_rate` | 0.01 |" in content
    assert "commit `c0ffee`" in content
    joy = next(row for row in read_csv(pipeline / paths.PLOTS / "per_class.csv") if row["label"] == "joy")
    assert f"| `joy` | {float(joy['precision']):.4f} | {float(joy['recall']):.4f} | {float(joy['f1']):.4f} |" in content
    made = json.loads((pipeline / paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))["machine"]
    assert f"On `{made['device']}`, in {made['precision']}, with torch {made['versions']['torch']}" in content
    assert "# emotions\n" in content


def test_a_card_names_no_path(written: Callable[..., str]) -> None:
    content = written()
    assert header(content).keys() == {"library_name", "pipeline_tag", "metrics"}
    assert "The texts are from files." in content
    assert "Fine-tuned from a local model." in content
    for path in ("data/small", "models/tiny"):
        assert path not in content


HUB_DATA = {"dataset__source": "hub", "model__source": "hub"}


def test_a_card_of_a_hub_dataset_and_checkpoint_names_both_and_has_the_metrics_in_its_header(
    written: Callable[..., str],
) -> None:
    content = written(**HUB_DATA)
    metrics = json.loads(Path(paths.METRICS).read_text(encoding="utf-8"))
    said = header(content)
    assert said["datasets"] == ["dair-ai/emotion"]
    assert said["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    (result,) = said["model-index"][0]["results"]
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "accuracy": metrics["accuracy"],
        "f1": metrics["f1"],
    }
    assert result["dataset"]["split"] == "test"
    revision = result["dataset"]["revision"]
    assert f"https://huggingface.co/datasets/dair-ai/emotion/tree/{revision}" in content


def test_metrics_of_a_carved_test_split_are_not_called_those_of_the_dataset(
    written: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "metadata", lambda _: {"delivered_as": "train"})
    content = written(**HUB_DATA)
    assert "model-index" not in header(content)
    assert "The test split was carved from train." in content


def test_results_that_are_not_committed_are_not_published(copy: Path, refused: Refused) -> None:
    with (copy / "README.md").open("a") as file:
        file.write("\n")
    assert refused(copy, NAME).startswith("there are uncommitted changes (README.md): commit them")


def test_a_module_of_a_stage_that_git_does_not_have_keeps_results_from_being_published(
    copy: Path, refused: Refused
) -> None:
    (copy / "stages/more.py").touch()
    assert refused(copy, NAME).startswith("there are uncommitted changes (stages/more.py): commit them")


def test_a_file_that_tools_verify_does_not_hash_is_not_published(inside: Path, reached: HubServer) -> None:
    append(inside / ".dvcignore", "\n*.swp\n")
    (inside / paths.CLASSIFIER / "notes.swp").touch()
    publish.publish(NAME, "new", "Trained at c0ffee")
    published = reached.repositories["models", "emotions"]
    assert "model.safetensors" in published
    assert "notes.swp" not in published


def test_results_that_do_not_belong_together_are_not_published(copy: Path, refused: Refused) -> None:
    edit_json(copy / paths.METRICS, accuracy=1.0)
    git("commit", "--quiet", "--all", "--message", "better", cwd=copy)
    assert refused(copy, NAME).startswith("metrics/metrics.json does not match dvc.lock")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("emotions", "emotions: name a repository of the hub as OWNER/NAME"),
        ("tiny/--", "tiny/--: HFValidationError: .*"),
        ("private/emotions", "private/emotions: no access: set HF_TOKEN to a token that may write to it"),
    ],
)
def test_a_name_under_which_nothing_can_be_published_is_named(
    pipeline: Path, refused: Refused, name: str, said: str
) -> None:
    assert re.fullmatch(said, refused(pipeline, name))


def test_a_hub_that_cannot_be_reached_is_named(
    pipeline: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken but not listened on, so that nothing else answers there
        url = f"http://user:{TOKEN}@127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        said = refused(pipeline, NAME)
    assert said == f"{NAME}: 127.0.0.1 cannot be reached: check the network and run again"


def test_offline_mode_is_named(pipeline: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert refused(pipeline, NAME) == f"{NAME}: HF_HUB_OFFLINE is set: unset it and run again"


OUT_OF_ORDER = huggingface_hub.errors.HfHubHTTPError(
    "Service Unavailable", response=httpx2.Response(503, request=httpx2.Request("POST", "https://huggingface.co"))
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OUT_OF_ORDER, "127.0.0.1 answered with status 503: run again"),
        (RuntimeError("Network error"), "RuntimeError: Network error: run again"),
        (PermissionError("Token expired"), "no access: set HF_TOKEN to a token that may write to it"),
    ],
    ids=["out of order", "Xet", "Xet's token"],
)
def test_an_upload_that_breaks_off_is_told(
    pipeline: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", fail)
    assert refused(pipeline, NAME) == f"{NAME}: {said}"


def test_a_weights_file_that_may_not_be_read_is_not_called_the_hubs_fault() -> None:
    with pytest.raises(PermissionError), publish._explained(NAME):  # noqa: SLF001
        raise PermissionError(errno.EACCES, "Permission denied", "models/classifier/model.safetensors")

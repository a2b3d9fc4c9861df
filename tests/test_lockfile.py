"""dvc.lock: what can be one, whether it agrees with itself, and which files it names."""

from pathlib import Path

import pytest

from stages import hashing, provenance
from stages.errors import InputError
from tools import lockfile


def test_a_folder_listed_file_by_file_has_the_same_hash(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline)
    recorded = lockfile.files(lockfile.parse(lockfile.PATH.read_bytes())["train"], "outs")["models/classifier"]
    files = [{"relpath": path.name, "md5": hashing.md5(path)} for path in Path("models/classifier").iterdir()]
    assert lockfile.files({"outs": [{"path": "models/classifier", "files": files}]}, "outs") == {
        "models/classifier": recorded
    }


def test_a_folder_of_which_a_file_has_a_remotes_hash_alone_has_none() -> None:
    listed = [{"relpath": "a", "md5": "0" * 32}, {"relpath": "b", "version_id": "1"}]
    assert lockfile.files({"outs": [{"path": "data", "files": listed}]}, "outs") == {}


NO_YAML = [b"[" * 10_000, b"schema: !!bool x", b"schema: !!float ''", b"schema: !!timestamp x"]


@pytest.mark.parametrize("content", NO_YAML, ids=["too deep", "bool", "float", "timestamp"])
def test_a_lock_that_makes_the_parser_fail_is_named(content: bytes) -> None:
    with pytest.raises(
        InputError, match=r"dvc\.lock: cannot be read \(YAMLError: (Recursion|Key|Index|Attribute)Error"
    ):
        lockfile.parse(content)


@pytest.mark.parametrize("file", ["path: a", "path: a\n      size: 3"])
@pytest.mark.parametrize("kind", ["deps", "outs"])
def test_a_lock_with_a_file_without_a_hash_is_no_lock(file: str, kind: str) -> None:
    text = f"schema: '2.0'\nstages:\n  one:\n    cmd: x\n    {kind}:\n    - {file}\n"
    with pytest.raises(InputError, match="a file has no hash"):
        lockfile.parse(text.encode())


@pytest.mark.parametrize("side", ["HEAD", "Updated upstream", "1a2b3c4 (a run)"])  # of a merge, a stash, a rebase
def test_conflicts_are_known_whatever_git_calls_the_sides(side: str) -> None:
    with pytest.raises(InputError) as error:
        lockfile.parse(f"schema: '2.0'\n<<<<<<< {side}\n=======\n>>>>>>> other\n".encode())
    assert str(error.value) == (
        "dvc.lock has merge conflicts: take one side (`git checkout --ours dvc.lock metrics/metrics.json`, or, where "
        "they are committed, `git checkout COMMIT dvc.lock metrics/metrics.json`, with one from before) and run again"
    )


@pytest.mark.parametrize("name", ["md5", "etag", "checksum"])
def test_a_lock_with_the_hash_that_a_remote_has_for_a_file_is_whole(name: str) -> None:
    text = f"schema: '2.0'\nstages:\n  one:\n    cmd: x\n    deps:\n    - path: a\n      {name}: 1a2b\n"
    assert list(lockfile.parse(text.encode())) == ["one"]


def test_a_lock_with_a_folder_listed_file_by_file_is_whole() -> None:
    listed = f"files:\n      - relpath: a\n        md5: {'1a2b' * 8}\n        size: 1\n"
    text = f"schema: '2.0'\nstages:\n  one:\n    cmd: x\n    outs:\n    - path: data\n      hash: md5\n      {listed}"
    assert list(lockfile.parse(text.encode())) == ["one"]


def test_an_absolute_path_in_the_lock_stays_one_in_another_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = {"stage": "download", "deps": {f"{tmp_path}/own": "0" * 32}, "params": {}, "outs": {}}
    digest = provenance.fingerprint(stamp)
    locked = {
        "deps": [{"path": f"{tmp_path}/own", "md5": "0" * 32}],
        "outs": [{"path": "data/provenance/download.json", "md5": digest}],
    }
    monkeypatch.chdir(tmp_path)  # where the path leads into the clone
    assert lockfile.mixed({"download": locked}) == []

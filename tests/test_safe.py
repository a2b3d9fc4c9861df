"""Nothing that a run writes is a pickle or holds a secret, and nothing that it reads is run."""

import ast
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from clones import SECRETS, TREE

from stages import entry, evaluate

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
PICKLING = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
SOURCES = [*(TREE / "stages").glob("*.py"), *(TREE / "tools").glob("*.py")]


def files(*folders: Path) -> list[Path]:
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert found
    return found


def outputs(clone: Path) -> list[Path]:
    """Every file that a run writes: outputs, and DVC's cache of them and of the runs."""
    return files(*(clone / name for name in ("data", "models", "metrics", ".dvc/cache")))


def test_no_output_is_a_pickle(pipeline: Path) -> None:
    for path in outputs(pipeline):
        assert not path.name.endswith(PICKLED), path
        with path.open("rb") as file:
            assert not file.read(2).startswith(PROTOCOLS), path
        assert not zipfile.is_zipfile(path), path  # torch.save and numpy write these


def test_no_secret_is_written_or_printed(pipeline: Path) -> None:
    written = files(pipeline.parent)
    assert {path.suffix for path in written} >= {".parquet", ".json", ".csv", ".safetensors", ".lock"}
    for secret in SECRETS.values():
        for path in written:
            assert secret.encode() not in path.read_bytes(), path  # what was printed lies among them


class Trap:
    """What, unpickled, leaves a file behind."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.sprung,)  # type: ignore[return-value]


@pytest.mark.usefixtures("put_back")
def test_a_pickle_in_a_model_s_place_is_not_loaded(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sprung = inside / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()
    sprung.unlink()
    (inside / "models/classifier/model.safetensors").unlink()
    for name in ("pytorch_model.bin", "training_args.bin"):
        (inside / "models/classifier" / name).write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(SystemExit):
        entry.run(evaluate.main)
    assert capsys.readouterr().err.startswith("error: models/classifier: damaged (")
    assert not sprung.exists()


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """The calls of a function or method of that name in stages and tools."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name:
                yield source, node


def test_every_from_pretrained_refuses_remote_code_and_pickled_weights() -> None:
    found = list(calls("from_pretrained"))
    assert found
    for source, call in found:
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert settings.get("trust_remote_code") == "False", source
        no_weights = ast.unparse(call.func).startswith(("AutoTokenizer.", "AutoConfig."))
        assert settings.get("use_safetensors") == (None if no_weights else "True"), source


def imported(source: Path) -> set[str]:
    """The packages that a file imports from, within functions too."""
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    "source", sorted([*SOURCES, *(TREE / "benchmarks").glob("*.py")]), ids=lambda source: source.stem
)
def test_no_module_that_pickles_is_imported(source: Path) -> None:
    assert not imported(source) & PICKLING


@pytest.mark.usefixtures("put_back")
def test_torch_unpickles_weights_only_whoever_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD")  # which put_back has set
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    trap = tmp_path / "optimizer.pt"
    trap.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(pickle.UnpicklingError):
        entry.run(lambda: torch.load(trap, weights_only=False))
    assert not (tmp_path / "sprung").exists()

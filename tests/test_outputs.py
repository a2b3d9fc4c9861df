"""A stage's outputs are put in place whole, and only while nobody else writes them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from edits import append
from own_data import Workspace

from stages import evaluate, outputs, paths, provenance
from stages.errors import InputError
from stages.outputs import staged


def test_a_file_of_an_output_that_dvc_would_not_store_is_an_error(entered: Path) -> None:
    append(entered / ".dvcignore", "*.png\n")
    with pytest.raises(InputError, match=r"^metrics/plots/\w+\.png: hidden from DVC, by a pattern"):
        evaluate.main()


def test_what_a_stages_outputs_were_made_from_is_put_in_place_after_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace()
    placed: list[str] = []

    def noted(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def note(path: Path, target: Path) -> Path:
            placed.append(str(target))
            return move(path, target)

        return note

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, noted(getattr(Path, name)))
    with staged(provenance.inputs("audit"), paths.AUDIT, paths.FINDINGS) as files:
        for file in files:
            file.touch()
    assert placed == [paths.AUDIT, paths.FINDINGS, paths.provenance("audit")]


def test_who_finds_outputs_being_written_leaves_them_alone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace()
    monkeypatch.setattr(outputs, "LOCK_TIMEOUT", 0)
    stamp = provenance.inputs("train")
    with staged(stamp, paths.CLASSIFIER) as (partial,):
        partial.mkdir()
        with pytest.raises(InputError, match=r": run again when it has ended$"), staged(stamp, paths.CLASSIFIER):
            pass
        assert partial.exists()


def test_of_a_link_in_an_outputs_place_only_the_link_is_replaced(workspace: Workspace) -> None:
    elsewhere = workspace() / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    Path("models").mkdir()
    Path(paths.CLASSIFIER).symlink_to(elsewhere)
    with staged(provenance.inputs("train"), paths.CLASSIFIER) as (partial,):
        partial.mkdir()
    assert (elsewhere / "kept").exists()
    assert list(Path(paths.CLASSIFIER).iterdir()) == []

"""What git and DVC answer, and what is said where a command fails."""

import re
from pathlib import Path

import pytest
from clones import commit_all, git
from stand_ins import write_program

from stages.errors import InputError
from tools import commands


def test_what_is_committed_is_that_of_this_folder_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/params.yaml").write_text("a: 1\n", encoding="utf-8")
    commit_all(tmp_path)
    monkeypatch.chdir(tmp_path / "project")
    assert commands.committed(Path("params.yaml")) == b"a: 1\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file and a link to it, all committed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("content", encoding="utf-8")
    (tmp_path / "link").symlink_to("file")
    commit_all(tmp_path)
    return tmp_path


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
@pytest.mark.parametrize("name", ["file", "link"])
def test_what_git_is_told_to_take_for_unchanged_and_is_so_is_not_changed(
    repository: Path, name: str, flag: str
) -> None:
    git("update-index", flag, name, cwd=repository)
    assert commands.changed() == []


def test_what_a_sparse_checkout_leaves_out_is_not_changed(repository: Path) -> None:
    git("sparse-checkout", "set", "--no-cone", "/link", cwd=repository)
    assert not (repository / "file").exists()
    assert commands.changed() == []


def test_what_is_changed_is_named_as_it_is_called(repository: Path) -> None:
    (repository / "file").rename(repository / "f\u00e9")
    git("add", "--all", cwd=repository)
    assert commands.changed() == ["file", "f\u00e9"]


def test_a_command_that_fails_without_a_word_is_named_with_its_exit_code() -> None:
    with pytest.raises(InputError, match=r"^`false`: exit code 1: run this at the top of a clone"):
        commands.output("false")


def test_a_clone_that_git_does_not_trust_is_known_in_every_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = r"git config --global --add safe.directory '/a path'"
    write_program(tmp_path / "git", f'printf "Schwerwiegend: zweifelhafter Besitzer\\n\\t{advice}\\n" >&2', "exit 128")
    monkeypatch.setenv("PATH", str(tmp_path))
    said = f"git does not read a clone that another user owns: run `{advice}`"
    for ask in (lambda: commands.committed(Path("dvc.lock")), commands.commit):
        with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
            ask()

"""What git and DVC answer, and what is said where a command fails."""

from pathlib import Path

import pytest
from clones import git

from stages.errors import InputError
from tools import commands


def test_what_is_committed_is_that_of_this_folder_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/params.yaml").write_text("a: 1\n", encoding="utf-8")
    git("init", "--quiet", cwd=tmp_path)
    git("add", "--all", cwd=tmp_path)
    git("commit", "--quiet", "--message", "one of several projects", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "project")
    assert commands.committed(Path("params.yaml")) == b"a: 1\n"


def test_a_command_that_fails_without_a_word_is_named_with_its_exit_code() -> None:
    with pytest.raises(InputError, match=r"^`false`: exit code 1: run this at the top of a clone"):
        commands.output("false")

"""A new user's first hour: a fresh clone, an empty home, and nothing installed but Python, make and git.

The libraries come from PyPI: the test is skipped where that cannot be reached.
"""

import os
import re
from pathlib import Path

import clones
import pytest
from clones import git, make_clone, run


def test_a_project_s_own_params_remote_and_data_are_not_what_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, own = make_clone(tmp_path / "plain"), make_clone(tmp_path / "own")
    run("dvc", "remote", "add", "--default", "store", "s3://bucket/path", cwd=own)
    run("dvc", "remote", "modify", "store", "verify", "true", cwd=own)
    (own / "models/own/mine").mkdir()
    run("dvc", "add", "models/own/mine", cwd=own)
    clones.change_params(own, model__path="models/own/mine")
    monkeypatch.setattr(clones, "TREE", own)
    copy = make_clone(tmp_path / "copy")
    files, expected = (set(git("ls-files", "--stage", cwd=clone).splitlines()) for clone in (copy, plain))
    differ = {line.split("\t")[1] for line in files ^ expected}
    assert differ == {".dvc/config"}  # which DVC writes in its own way
    assert run("dvc", "config", "--list", "--project", cwd=copy).stdout.split() == [
        "core.analytics=false",
        "core.autostage=false",
    ]


@pytest.mark.long
def test_make_repro_sets_itself_up_and_runs_and_does_neither_a_second_time(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "clone")
    (tmp_path / "home").mkdir()
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    env = {"HOME": str(tmp_path / "home"), "VENV": ".venv", "PATH": path}
    first = run("make", "repro", cwd=clone, env=env, needs="PyPI")
    assert re.search(r"^accuracy +0\.\d+", first.stdout, re.MULTILINE)
    assert re.search(r"^ran +download, audit, tokenize, train, evaluate, baselines", first.stdout, re.MULTILINE)
    second = run("make", "repro", cwd=clone, env=env)
    assert "pip install" not in second.stdout
    assert re.search(r"^unchanged +download, audit, tokenize, train, evaluate, baselines", second.stdout, re.MULTILINE)
    assert set(git("status", "--short", cwd=clone).split()) <= {"M", "dvc.lock", "metrics/metrics.json"}

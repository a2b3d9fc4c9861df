"""`make` by itself, and what it hands on."""

import re

import pytest
from clones import TREE, run


def test_make_alone_lists_the_commands() -> None:
    listed = run("make", cwd=TREE).stdout
    commands = re.findall(r"^([a-z-]+):.*##", (TREE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"^  make ([a-z-]+) ", listed, re.MULTILINE) == commands
    assert {"install", "repro", "test", "test-all", "bench", "lint"} <= set(commands)


@pytest.mark.parametrize(
    ("target", "setting", "runs"),
    [("repro", "RECIPE=mine", "-m tools.repro mine"), ("bench", "DATA=my folder", '-m benchmarks "my folder"')],
)
def test_a_setting_reaches_the_command(target: str, setting: str, runs: str) -> None:
    assert run("make", "--dry-run", target, setting, cwd=TREE).stdout.rstrip().endswith(runs)

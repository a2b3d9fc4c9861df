"""`make` by itself."""

from clones import TREE, run


def test_make_alone_lists_the_commands() -> None:
    listed = run("make", cwd=TREE).stdout
    for command in ("install", "repro", "test", "test-all", "bench", "lint"):
        assert f"make {command} " in listed

"""Whether the files of a commit, or of the working tree, are those that a run read, by git and DVC."""

import os
import shutil
from pathlib import Path

import pytest
from clones import change_params, commit, commit_all, git, keep_data_in_dvc, run
from conftest import Refused
from dvc.utils.serialize import modify_yaml
from edits import append
from stand_ins import write_program

from stages import hashing
from stages.errors import InputError
from tools import revisions, trees


def test_a_revision_that_is_not_utf_8_is_no_commit(refused_side: Refused) -> None:
    assert "not a commit of a git repository" in refused_side("\udcff")


@pytest.mark.long
def test_data_behind_links_count_as_changed_only_where_git_sees_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    small = copy / "data/small"
    (small / "train.csv").rename(copy / "kept.csv")
    (small / "train.csv").symlink_to("../../kept.csv")
    append(copy / "kept.csv", "one more,joy\n")
    run("dvc", "repro", cwd=copy)
    git("add", "kept.csv", cwd=copy)
    commit(copy, "a run with a link")
    assert revisions.read("HEAD").test_file
    git("clone", "--quiet", "--depth", "1", copy.as_uri(), "shallow", cwd=copy)
    monkeypatch.chdir(copy / "shallow")
    said = "^HEAD: data/small: a shallow clone cannot tell if it changed: run `git fetch --unshallow`$"
    with pytest.raises(InputError, match=said):
        revisions.read("HEAD")


def test_a_revision_with_a_file_name_that_is_not_utf_8_is_read(inside: Path) -> None:
    Path(os.fsdecode(b"bad\xff.txt")).touch()
    git("add", "--all", cwd=inside)
    git("commit", "--quiet", "--message", "a name", cwd=inside)
    assert revisions.read("HEAD").test_file


@pytest.mark.parametrize("path", ["stages/words.py", "data/small"])
def test_what_git_has_no_more_is_named(copy: Path, refused_side: Refused, path: str) -> None:
    git("rm", "--quiet", "-r", path, cwd=copy)
    assert refused_side("HEAD").startswith(f"workspace: {path} does not match dvc.lock (")
    commit(copy, "gone")
    assert refused_side("HEAD").startswith(f"HEAD: {path} does not match dvc.lock (")


def test_of_what_is_missing_outside_of_the_repository_nothing_is_known(inside: Path) -> None:
    with trees.files_at("HEAD") as files:
        changed_in_git = trees.changed_in_git(files, {})
        for path in ("../nowhere", str(inside.parent / "nowhere"), "/data/small"):
            assert not changed_in_git(path, "another")
            assert not trees.changed_here(files, path, "another")


@pytest.mark.usefixtures("inside")
def test_of_what_is_missing_and_neither_git_nor_dvc_has_had_nothing_is_known() -> None:
    with trees.files_at("workspace") as files:
        assert not trees.changed_here(files, "data/own", "another")


def test_a_folder_whose_files_a_stage_makes_one_by_one_is_known_where_they_are_not(inside: Path) -> None:
    outs = ["data/made/test.csv", "data/made/train.csv"]
    with modify_yaml("dvc.yaml") as definition:
        definition["stages"]["make"] = {"cmd": "mkdir -p data/made; cp data/small/t*.csv data/made", "outs": outs}
    run("dvc", "repro", "make", cwd=inside)
    git("add", "data/made", cwd=inside)
    commit(inside, "files that a stage makes")
    whole = hashing.md5(Path("data/made"))
    for place in ("data/made", ".dvc/cache"):
        shutil.rmtree(place)
    with trees.files_at("HEAD") as files:
        assert not trees.changed_in_git(files, {})("data/made", whole)
        assert trees.changed_in_git(files, {})("data/made", "another")


def test_of_what_a_shallow_clone_lacks_nothing_is_known(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("clone", "--quiet", "--depth", "1", pipeline.as_uri(), "shallow", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "shallow")
    with trees.files_at("HEAD") as files:
        assert not trees.changed_in_git(files, {})("data/own", "another")


def test_a_revision_that_a_shallow_clone_lacks_is_to_be_fetched_in_a_way_that_helps(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("clone", "--quiet", "--depth", "1", pipeline.as_uri(), "shallow", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "shallow")
    said = r"^HEAD~1: .*, after `git fetch --unshallow`, `git fetch origin BRANCH` or `dvc exp pull` if only "
    with pytest.raises(InputError, match=said), trees.files_at("HEAD~1"):
        pass


def test_data_that_went_from_git_to_dvc_and_are_not_here_are_no_change(inside: Path) -> None:
    shutil.copytree(inside / "data/small", inside / "data/kept")
    change_params(inside, dataset__path="data/kept")
    run("dvc", "repro", cwd=inside)
    git("add", "--force", "data/kept", cwd=inside)
    commit(inside, "data in git")
    git("rm", "--quiet", "-r", "--cached", "data/kept", cwd=inside)
    run("dvc", "add", "data/kept", cwd=inside)
    git("add", "data/kept.dvc", "data/.gitignore", cwd=inside)
    commit(inside, "data in DVC")
    shutil.rmtree(inside / "data/kept")
    assert revisions.read("workspace").test_file == revisions.read("HEAD").test_file


def test_a_revision_that_a_partial_clone_lacks_files_of_is_named(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shutil.copytree(pipeline, tmp_path / "source", symlinks=True)
    append(source / "README.md", "more")
    commit(source, "more")
    git("config", "uploadpack.allowFilter", "true", cwd=source)
    git("clone", "--quiet", "--filter=blob:none", source.as_uri(), "partial", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "partial")
    with trees.files_at("HEAD") as files:
        assert files.exists("README.md")
    said = "^HEAD~1: a partial clone lacks files of it: run `git fetch --refetch --no-filter`$"
    with pytest.raises(InputError, match=said), trees.files_at("HEAD~1"):
        pass
    git("fetch", "--quiet", "--refetch", "--no-filter", cwd=tmp_path / "partial")
    with trees.files_at("HEAD~1") as files:
        assert files.exists("README.md")


def test_a_commit_from_before_the_pipeline_is_named(copy: Path, refused_side: Refused) -> None:
    git("checkout", "--quiet", "--orphan", "empty", cwd=copy)
    git("commit", "--quiet", "--allow-empty", "--message", "all gone", "--only", cwd=copy)
    results = "dvc.lock and metrics/metrics.json"
    assert refused_side("empty") == f"empty: has no dvc.lock: run `dvc repro` there and commit {results}"


def test_a_commit_from_before_the_folder_of_the_pipeline_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", cwd=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message", "other projects", cwd=tmp_path)
    (tmp_path / "project/.dvc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(InputError, match=r"^HEAD: has no pipeline here: name a later commit$"):
        revisions.read("HEAD")


def test_a_folder_without_git_is_named(copy: Path, refused_side: Refused) -> None:
    shutil.rmtree(copy / ".git")
    assert refused_side("HEAD").endswith(": run this in a clone of the repository that git may read")


def test_a_pipeline_in_a_folder_of_its_repository_is_read(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(pipeline, tmp_path / "repository/project", symlinks=True)
    shutil.rmtree(folder / ".git")
    commit_all(folder.parent)
    monkeypatch.chdir(folder)
    assert revisions.read("HEAD").params == revisions.read("workspace").params


def test_a_file_with_a_tab_in_its_name_stops_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "docs/a\tb").touch()
    git("add", "docs", cwd=copy)
    git("commit", "--quiet", "--message", "an odd name", cwd=copy)
    monkeypatch.chdir(copy)
    assert revisions.read("HEAD").params == revisions.read("workspace").params


@pytest.mark.parametrize("most", [3, 2])
def test_a_folder_of_many_files_counts_as_changed_where_git_sees_it_since_dvc_lock_got_its_hash(
    copy: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setattr(trees, "MAX_FILES", most)  # data/small has three
    append(copy / "dvc.lock", "\n")
    commit(copy, "a run with other params")
    assert revisions.read("HEAD").test_file
    append(copy / "data/small/train.csv", "one more,joy\n")
    append(copy / "dvc.lock", "\n")
    commit(copy, "data, and a run of others")
    does_not_match("data/small")
    an_edit_without_a_run_is_named(copy)


@pytest.mark.long
def test_edits_behind_a_link_are_named(inside: Path) -> None:
    append(Path(shutil.copytree("data/small", "data/v2/rows"), "train.csv"), "other rows,joy\n")
    Path("data/current").symlink_to("v2")
    change_params(inside, dataset__path="data/current/rows")
    run("dvc", "repro", cwd=inside)
    git("add", "data", cwd=inside)
    commit(inside, "a run")
    assert revisions.read("HEAD").test_file
    an_edit_without_a_run_is_named(inside, "data/current/rows")


def test_links_are_followed_within_the_commit_and_never_for_ever(inside: Path) -> None:
    links = {"a": "b/rows", "b": "c", "c/back": "..", "away": "/tmp", "up": "../.."}
    links |= {"own": "own/v2", "l": "m/x", "m": "l"}  # which lead nowhere
    for link, target in links.items():
        (inside / "links" / link).parent.mkdir(parents=True, exist_ok=True)
        (inside / "links" / link).symlink_to(target)
    (inside / "links/c/rows.dvc").touch()
    git("add", "links", cwd=inside)
    listed = [line.split("\t") for line in git("ls-files", "--stage", cwd=inside).splitlines()]
    names = {Path(name) for _, name in listed}
    kinds = [(Path(name), kind.split()) for kind, name in listed]
    linked = {name: f"{kind[0]} blob {kind[1]}" for name, kind in kinds if kind[0] == "120000"}

    def behind(path: str) -> list[str]:
        return trees.behind(Path(path), names, linked)

    assert behind("links/a/x") == [
        "links/a/x", "links/a", "links/b", "links/b/rows/x", "links/c/rows.dvc", "links/c/rows/x",
    ]  # fmt: skip
    assert behind("links/away/x") == ["links/away/x", "links/away"]
    assert {"links/c/back", "links"} <= set(behind("links/c"))
    assert "links/m" in behind("links/l/rows")
    assert "links/own/v2/rows" in behind("links/own/rows")


@pytest.mark.long
def test_another_commit_of_a_submodule_around_the_data_is_named(inside: Path, tmp_path: Path) -> None:
    vendor = shutil.copytree("data/small", tmp_path / "vendor/rows").parent
    append(vendor / "rows/train.csv", "other rows,joy\n")
    git("init", "--quiet", cwd=vendor)
    git("add", "rows", cwd=vendor)
    commit(vendor, "rows")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(vendor), "vendor", cwd=inside)
    change_params(inside, dataset__path="vendor/rows")
    run("dvc", "repro", cwd=inside)
    commit(inside, "a run")
    assert revisions.read("HEAD").test_file
    append(inside / "vendor/rows/train.csv", "one more,joy\n")
    commit(inside / "vendor", "other rows")
    commit(inside, "the submodule alone")
    does_not_match("vendor/rows")


def test_data_whose_results_alone_were_reverted_are_named(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_FILES", 2)  # data/small has three
    lock = Path("dvc.lock").read_text(encoding="utf-8")
    append(Path("data/small/train.csv"), "one more,joy\n")
    commit(inside, "data")
    with modify_yaml("dvc.lock") as content:
        (dep,) = [dep for dep in content["stages"]["download"]["deps"] if dep["path"] == "data/small"]
        dep["md5"] = f"{'0' * 32}.dir"
    commit(inside, "its results")
    git("revert", "--no-edit", "HEAD", cwd=inside)
    assert Path("dvc.lock").read_text(encoding="utf-8") == lock
    does_not_match("data/small")


@pytest.mark.parametrize("inner", ["", "/rows"])
def test_other_data_in_a_dvc_file_that_are_nowhere_here_are_named(inside: Path, inner: str) -> None:
    keep_data_in_dvc(inside, inner)
    run("dvc", "repro", cwd=inside)
    commit(inside, "a run")
    shutil.rmtree("data/kept")
    assert revisions.read("workspace").test_file == revisions.read("HEAD").test_file
    with modify_yaml("data/kept.dvc") as tracked:
        tracked["outs"][0]["md5"] = f"{'0' * 32}.dir"
    commit(inside, "data alone")
    does_not_match(f"data/kept{inner}", "HEAD" if inner else "workspace")


POINTER = """\
import hashlib, sys
content = sys.stdin.buffer.read()
digest = hashlib.sha256(content).hexdigest()
print(f"version https://git-lfs.github.com/spec/v1\\noid sha256:{digest}\\nsize {len(content)}")
"""


@pytest.mark.long
def test_data_that_git_lfs_has_not_fetched_count_as_changed_where_git_has_another_pointer(inside: Path) -> None:
    """A filter does what git LFS would, but keeps no file: DVC reads those that it has kept by itself."""
    (inside.parent / "clean.py").write_text(POINTER, encoding="utf-8")
    git("config", "filter.lfs.clean", f"python {inside.parent / 'clean.py'}", cwd=inside)
    append(inside / ".gitattributes", "data/small/*.csv filter=lfs\n")
    append(inside / "data/small/train.csv", "one more,joy\n")
    run("dvc", "repro", cwd=inside)
    commit(inside, "a run with data in LFS")
    assert git("show", "HEAD:data/small/train.csv", cwd=inside).startswith("version https://git-lfs")
    assert revisions.read("HEAD").test_file
    an_edit_without_a_run_is_named(inside)


def an_edit_without_a_run_is_named(copy: Path, path: str = "data/small") -> None:
    append(copy / path / "train.csv", "and another,joy\n")
    commit(copy, "data alone")
    does_not_match(path)


def does_not_match(path: str, revision: str = "HEAD") -> None:
    with pytest.raises(InputError, match=rf"^{revision}: {path} does not match dvc\.lock \(download\): "):
        revisions.read(revision)


@pytest.mark.parametrize("path", ["data/small", "data/small/"])
def test_a_folder_of_which_git_has_only_some_files_is_compared_by_what_git_has(inside: Path, path: str) -> None:
    append(inside / ".git/info/exclude", "notes.txt\n")
    (inside / "data/small/notes.txt").touch()
    change_params(inside, dataset__path=path)
    run("dvc", "repro", cwd=inside)
    commit(inside, "a run with a file that git ignores")
    assert revisions.read("HEAD").inputs["data/small"] == hashing.md5(Path("data/small"))
    an_edit_without_a_run_is_named(inside)


def test_signatures_that_git_shows_are_not_taken_for_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").touch()
    commit_all(tmp_path)
    head, message = git("cat-file", "commit", "HEAD", cwd=tmp_path).split("\n\n", 1)
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----"
    Path("signed").write_text(f"{head}\n{signature}\n\n{message}", encoding="utf-8")
    git("reset", "--soft", git("hash-object", "-t", "commit", "-w", "signed", cwd=tmp_path).strip(), cwd=tmp_path)
    write_program(Path("gpg"), "echo 'gpg: Signature made' >&2")
    git("config", "gpg.program", str(tmp_path / "gpg"), cwd=tmp_path)
    git("config", "log.showSignature", "true", cwd=tmp_path)
    assert "gpg: Signature made" in git("log", cwd=tmp_path)
    assert not trees._changed_since_run("HEAD", ["data/own"], "0" * 32)  # noqa: SLF001


def test_where_no_commit_shows_the_hash_an_edit_counts_from_the_last_one_of_dvc_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own.csv", "dvc.lock"):
        Path(name).touch()
    commit_all(tmp_path)
    for name, changed in (("own.csv", True), ("dvc.lock", False)):
        append(Path(name), "\n")
        commit(tmp_path, f"another {name}")
        git("checkout", "--quiet", "--detach", "main~1", cwd=tmp_path)  # the history is that of the commit, not HEAD's
        assert trees._changed_since_run("main", ["own.csv"], "0" * 32) == changed  # noqa: SLF001
        git("checkout", "--quiet", "main", cwd=tmp_path)

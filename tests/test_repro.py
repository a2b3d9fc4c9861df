"""`tools.repro`, behind `make repro`, in this process: what it runs, sums up and records, and what it refuses to do."""

import itertools
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from clones import TREE, change_params, commit, commit_all, git, keep_data_in_dvc, run
from conftest import Call, Refused
from dvc.lock import Lock
from edits import append, substitute, used_by
from rich.console import Console

from stages.errors import InputError
from tools import changes, ladder, repair, repro


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what is read before a run, all committed, where nothing is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(repro, "reproduce", lambda *_: pytest.fail("a run"))
    shutil.copytree(TREE / "recipes", tmp_path / "recipes")
    shutil.copy(TREE / "recipes/default.yaml", tmp_path / "params.yaml")
    for name in ("dvc.yaml", "requirements.txt"):
        shutil.copy(TREE / name, tmp_path)
    for name in ("data/sample", "models/own"):
        (tmp_path / name).mkdir(parents=True)
    commit_all(tmp_path)
    return tmp_path


def test_an_unknown_recipe_is_refused_with_the_known_ones(folder: Path, refused: Refused) -> None:
    said = refused(repro.main, folder, "nope")
    assert said.startswith("RECIPE=nope: no such recipe: take one of default, emotion-distilbert, ")


@pytest.mark.parametrize("edit", ["unseen by git", "staged", "neither"])
def test_a_recipe_never_overwrites_uncommitted_edits(folder: Path, refused: Refused, edit: str) -> None:
    if edit == "unseen by git":
        git("update-index", "--skip-worktree", "params.yaml", cwd=folder)
    append(folder / "params.yaml", "# mine\n")
    edited = (folder / "params.yaml").read_bytes()
    if edit == "staged":
        git("add", "params.yaml", cwd=folder)
    said = refused(repro.main, folder, "emotion-files")
    assert said.startswith(
        "params.yaml has edits that are neither committed nor a recipe's: commit them, or undo them with"
    )
    assert (folder / "params.yaml").read_bytes() == edited


@pytest.mark.parametrize("recipe", [(), ("emotion-files",)])
def test_nothing_starts_beside_another_run(folder: Path, refused: Refused, recipe: tuple[str, ...]) -> None:
    before = (folder / "params.yaml").read_bytes()
    used_by(folder, os.getpid(), "write")
    said = refused(repro.main, folder, *recipe)
    assert said.startswith("DVC is running stages here: wait until it has finished")
    assert (folder / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("before", ["the committed params", "another recipe", "none"])
def test_a_recipe_takes_the_place_of_params_that_can_be_had_again(folder: Path, before: str) -> None:
    params = folder / "params.yaml"
    if before == "another recipe":
        shutil.copy(folder / "recipes/emotion-distilbert.yaml", params)
    elif before == "none":
        params.unlink()
    repro.use_recipe("emotion-files", present=False)
    assert params.read_bytes() == (folder / "recipes/emotion-files.yaml").read_bytes()


def test_a_recipe_is_copied_once_nothing_is_wrong_with_it(folder: Path, refused: Refused) -> None:
    params, recipe = folder / "params.yaml", folder / "recipes/emotion-files.yaml"
    before = params.read_bytes()
    said = refused(repro.main, folder, "emotion-files")
    assert said.startswith("recipes/emotion-files.yaml: dataset.path: ../shared/data/emotion does not exist: ")
    assert params.read_bytes() == before
    (folder / "mine").mkdir()
    substitute(recipe, "../shared/data/emotion", "mine")
    repro.use_recipe("emotion-files", present=True)
    assert params.read_bytes() == recipe.read_bytes()


def test_a_misspelt_key_is_refused_before_any_stage_runs(folder: Path, refused: Refused) -> None:
    substitute(folder / "params.yaml", "  epochs:", "  epoch: 3\n  epochs:")
    said = refused(repro.main, folder)
    assert re.fullmatch(r"params\.yaml, line \d+: train\.epoch: unknown key, did you mean train\.epochs\?", said)


class Runs:
    """Stands in for `dvc repro`: what it answers, call by call, and the options that it was given."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.options: list[tuple[str, ...]] = []

    def __call__(self, *options: str) -> tuple[int, dict[str, str]]:
        self.options.append(options)
        return self.answers[len(self.options) - 1]


@pytest.fixture
def played(pipeline: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`tools.repro` on results that are there, with stand-ins for the runs, the repairs around them, and the clock."""

    def play(runs: Runs, *options: str, repairs: Sequence[list[str]] = ()) -> tuple[int, str, str]:
        found = iter(repairs)
        monkeypatch.setattr(repro, "reproduce", runs)
        monkeypatch.setattr(repair, "repair", lambda: next(found, []))
        seconds = iter((100, 190))
        monkeypatch.setattr(repro, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
        return call(repro.main, pipeline, *options)

    return play


def test_stages_that_ran_and_were_run_again_are_summed_up_and_recorded(played: Call, tmp_path: Path) -> None:
    first = {"download": "pulled", "train": "from cache", "evaluate": "ran"}
    second = {"download": "unchanged", "train": "ran", "evaluate": "unchanged"}
    runs, record = Runs((0, first), (0, second)), tmp_path / "report/run.json"
    repairs = [["a lock cut short"], ["train was made from others"]]
    code, said, _ = played(runs, "--pull", "--record", str(record), repairs=repairs)
    assert code == 0
    assert runs.options == [("--pull",), ()]
    assert said.startswith("a lock cut short\ntrain was made from others\n")
    summed_up = [re.split(r" {2,}", line.rstrip()) for line in said.splitlines()]
    assert [row for row in summed_up if row[0] in {"pulled", "from cache", "ran", "unchanged"}] == [
        ["pulled", "download"],
        ["ran", "train, evaluate"],
    ]
    assert json.loads(record.read_text(encoding="utf-8")) == {
        "seconds": 90,
        "stages": {"download": "pulled", "train": "ran", "evaluate": "ran"},
    }


def test_what_had_finished_before_is_stored_before_a_run(played: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs((0, {}))
    monkeypatch.setattr(repair, "store_finished", lambda: [] if runs.options else ["train had finished"])
    assert played(runs)[1].startswith("train had finished\n")


def test_what_had_finished_with_the_params_of_before_is_stored_before_a_recipe_takes_their_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[bytes] = []

    def store() -> list[str]:
        stored.append((folder / "params.yaml").read_bytes())
        return []

    monkeypatch.setattr(repair, "store_finished", store)
    before = (folder / "params.yaml").read_bytes()
    repro.use_recipe("emotion-files", present=False)
    assert stored == [before]


def test_a_record_in_a_folder_that_cannot_be_made_is_an_error_before_any_run(folder: Path, refused: Refused) -> None:
    (folder / "file").touch()
    assert refused(repro.main, folder, "--record", "file/run.json").startswith("file: File exists: ")


def test_the_summary_of_a_run_shows_the_ladder_and_warns(played: Call) -> None:
    _, said, _ = played(Runs((0, {"train": "ran"})))
    rows = [line.split("  ")[0] for line in said.splitlines()]
    assert {"model", *ladder.NAMES.values(), "fine-tuned"} <= set(rows)
    assert "warning: the fine-tuned model does not beat" in said  # it is the tiny random checkpoint


def test_nothing_in_the_summary_is_cut_short_in_a_narrow_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "metrics").mkdir()
    (folder / "metrics/metrics.json").write_text('{"validation_accuracy": 0.5}', encoding="utf-8")
    Console(width=20).print(repro.summary({f"data/{'a' * 40}.dvc": "unchanged"}, 3))
    assert "…" not in capsys.readouterr().out


def test_the_summary_shows_names_as_they_are(played: Call) -> None:
    _, said, _ = played(Runs((0, {"data/own[v2].dvc:smile:": "unchanged"})))
    assert re.search(r"^unchanged +data/own\[v2\]\.dvc:smile: *$", said, re.MULTILINE)


def test_a_frozen_stage_is_warned_of(played: Call) -> None:
    _, said, _ = played(Runs((0, {"train": "frozen"})))
    assert said.endswith("warning: train is frozen, so that DVC never runs it: run `dvc unfreeze train`\n")


@pytest.mark.parametrize("code", [0, 255])
def test_a_dvc_file_that_was_written_anew_is_told_of(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(repro, "reproduce", Runs(*[(code, {"data/own.dvc": "recorded anew"})] * 2))
    monkeypatch.setattr(changes, "check_data", lambda: None)
    monkeypatch.setattr(repair, "unstored", list)
    (copy / "data/own.dvc").write_text("outs: []\n", encoding="utf-8")
    commit_all(copy, "data")
    _, said, error = call(repro.main, copy)
    assert "data/own.dvc names" not in said + error  # the cache alone lacked the data
    append(copy / "data/own.dvc", "# other data\n")
    _, said, error = call(repro.main, copy)
    assert (error if code else said).endswith("data/own.dvc names the data as they are now: commit it\n")


@pytest.mark.parametrize("again", [False, True])
def test_a_run_that_failed_is_not_summed_up(
    played: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, again: bool
) -> None:
    runs = Runs((0, {"train": "from cache"}), (255, {})) if again else Runs((255, {"train": "ran"}))
    monkeypatch.setattr(repair, "unstored", lambda: ["train"] if runs.options else [])
    repairs = [[], ["made from others"]]
    code, said, error = played(runs, "--record", str(tmp_path / "run.json"), repairs=repairs)
    assert code == 1
    assert len(runs.options) == 1 + again
    assert said == ("made from others\n" if again else "")
    assert error.startswith(
        "train has finished, but DVC did not store it: fix what it reports above and, before you edit "
    )
    assert not list(tmp_path.glob("*.json"))


def test_data_that_is_absent_is_an_error_before_any_run_unless_it_is_to_be_pulled(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs((1, {}))
    monkeypatch.setattr(repro, "reproduce", runs)
    monkeypatch.setattr(repair, "unstored", list)
    shutil.rmtree(copy / "data/small")
    code, _, error = call(repro.main, copy)
    assert (code, runs.options) == (1, [])
    assert error.startswith("error: params.yaml: dataset.path: data/small does not exist: ")
    assert call(repro.main, copy, "--pull") == (1, "", "")
    assert runs.options == [("--pull",)]


def test_a_frozen_stage_is_called_frozen(inside: Path) -> None:
    run("dvc", "freeze", "train", cwd=inside)
    change_params(inside, train__seed=5)
    code, stages = repro.reproduce()
    assert (code, stages["train"], stages["evaluate"]) == (0, "frozen", "unchanged")


@pytest.mark.parametrize("command", ["add", "import-url"])
def test_data_that_were_edited_are_recorded_anew(inside: Path, command: str) -> None:
    keep_data_in_dvc(inside)
    if command == "import-url":
        shutil.rmtree(inside / "data/kept")
        (inside / "data/kept.dvc").unlink()
        run("dvc", "import-url", str(inside / "data/small"), "data/kept", cwd=inside)
        git("add", "data/kept.dvc", cwd=inside)
    commit(inside, "data")
    runs = [repro.reproduce("audit")[1]]
    for _ in range(2):
        append(next((inside / "data/kept").glob("train.*")), "\n")
        changes.check_data()
        runs.append(repro.reproduce("audit")[1])
    assert [stages.get("data/kept.dvc") for stages in runs] == [None, "recorded anew", "recorded anew"]


def test_data_under_a_frozen_dvc_file_are_recorded_anew_too(inside: Path) -> None:
    keep_data_in_dvc(inside)
    run("dvc", "freeze", "data/kept.dvc", cwd=inside)
    commit(inside, "data")
    assert repro.reproduce("audit")[1]["data/kept.dvc"] == "frozen"
    append(next((inside / "data/kept").glob("train.*")), "\n")
    assert repro.reproduce("audit")[1]["data/kept.dvc"] == "recorded anew"


def test_data_that_no_remote_has_are_named_with_what_to_do(inside: Path, tmp_path: Path, call: Call) -> None:
    keep_data_in_dvc(inside)
    run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"), cwd=inside)
    commit(inside, "data that nobody has pushed")
    git("clone", "--quiet", str(inside), "away", cwd=tmp_path)
    code, _, said = call(repro.main, tmp_path / "away", "--pull")
    advice = "data/kept is not here, and no remote has this version of it: run `dvc push` where it was added\n"
    assert (code, said.partition("data/kept is")[1:]) == (1, ("data/kept is", advice.removeprefix("data/kept is")))


def test_a_file_name_that_dvc_cannot_store_is_left_to_dvc(inside: Path) -> None:
    keep_data_in_dvc(inside)
    Path(os.fsdecode(b"data/kept/bad\xff.csv")).touch()
    changes.check_data()


def test_data_that_git_alone_has_given_another_version_are_an_error_before_any_run(
    inside: Path, refused: Refused
) -> None:
    keep_data_in_dvc(inside)
    commit(inside, "data")
    git("switch", "--quiet", "--create", "other", cwd=inside)
    append(next((inside / "data/kept").glob("train.*")), "\n")
    run("dvc", "add", "data/kept", cwd=inside)
    commit(inside, "other data")
    git("checkout", "--quiet", "HEAD^", "data/kept.dvc", cwd=inside)  # as a merge, too, stages it
    named = (inside / "data/kept.dvc").read_bytes()
    assert refused(repro.main, inside) == (
        "data/kept.dvc names another version of data/kept than the one here: if this is right, as after an edit, run "
        "`dvc commit --force data/kept.dvc`; to go to the other, as after a merge, `dvc checkout data/kept.dvc` (`dvc "
        "pull data/kept.dvc` if DVC's cache lacks it)"
    )
    assert (inside / "data/kept.dvc").read_bytes() == named
    run("dvc", "checkout", "data/kept.dvc", cwd=inside)
    changes.check_data()


def test_data_that_are_to_stay_as_they_are_can_be_kept(inside: Path) -> None:
    keep_data_in_dvc(inside)
    commit(inside, "data")
    before = (inside / "data/kept.dvc").read_bytes()
    append(next((inside / "data/kept").glob("train.*")), "\n")
    run("dvc", "add", "data/kept", cwd=inside)
    now = (inside / "data/kept.dvc").read_bytes()
    (inside / "data/kept.dvc").write_bytes(before)
    with pytest.raises(InputError, match=r"run `dvc commit --force data/kept\.dvc`; to go to the other, "):
        changes.check_data()
    run("dvc", "commit", "--force", "data/kept.dvc", cwd=inside)
    changes.check_data()
    assert (inside / "data/kept.dvc").read_bytes() == now != before


@pytest.mark.parametrize("lost", [[".dvc/cache"], [".dvc/cache", "data/kept"]], ids=["cache", "all"])
def test_data_that_are_missing_are_no_other_version(inside: Path, lost: list[str]) -> None:
    keep_data_in_dvc(inside)
    commit(inside, "data")
    for folder in lost:
        shutil.rmtree(inside / folder)
    changes.check_data()
    code, stages = repro.reproduce("audit")
    assert (bool(code), stages["data/kept.dvc"]) == (len(lost) > 1, "recorded anew")


@pytest.mark.usefixtures("inside")
def test_a_run_waits_for_another_dvc_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0)  # in which it is otherwise tried six times more
    held, tries, try_once = Lock(".dvc/tmp/lock"), itertools.count(), Lock._do_lock  # noqa: SLF001

    def try_and_release(lock: Lock) -> None:
        if next(tries) == 10:
            held.unlock()
        try_once(lock)

    held.lock()
    monkeypatch.setattr(Lock, "_do_lock", try_and_release)
    assert repro.reproduce()[0] == 0
    assert next(tries) > 10


def test_a_second_run_in_this_process_changes_nothing_of_what_became_of_the_first(inside: Path) -> None:
    change_params(inside, audit__max_leaked_rows=99)
    runs = [repro.reproduce()[1] for _ in range(2)]
    assert [stages["audit"] for stages in runs] == ["ran", "unchanged"]

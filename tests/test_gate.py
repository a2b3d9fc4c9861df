"""`python -m tools.gate` tells, in a clone without any data, whether a stage has to run; in doubt it says yes."""

import re
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from clones import TREE, change_params, commit, git, keep_data_in_dvc, run
from conftest import Call, Refused
from dvc.lock import make_lock
from dvc.utils.serialize import modify_yaml
from edits import append, substitute

import tools.gate

Gate = Callable[..., tuple[int, str, str]]
Answers = Callable[[Path], dict[str, str]]


SORTING = {
    "matrix": """
  clean:
    matrix: {lang: [de, en]}
    wdir: ${item.lang}
    cmd: cp raw.csv clean.csv
    deps: [raw.csv]
    outs: [clean.csv]
  sort:
    matrix: {lang: [de, en]}
    wdir: ${item.lang}
    cmd: sort clean.csv > sorted.csv
    deps: [clean.csv]
    outs: [sorted.csv]
""",
    "foreach": """
  clean:
    foreach: [de, en]
    do: {wdir: "${item}", cmd: cp raw.csv clean.csv, deps: [raw.csv], outs: [clean.csv]}
  sort:
    foreach: [de, en]
    do: {wdir: "${item}", cmd: sort clean.csv > sorted.csv, deps: [clean.csv], outs: [sorted.csv]}
""",
}


@pytest.fixture
def bare(pipeline: Path, tmp_path: Path) -> Path:
    """A clone of the pipeline without its cache."""
    git("clone", "--quiet", str(pipeline), str(tmp_path / "bare"), cwd=tmp_path)
    return tmp_path / "bare"


@pytest.fixture
def gate(call: Call) -> Gate:
    """The command in a clone: its exit code and what it prints on stdout and stderr."""
    return lambda clone, base="origin/HEAD": call(tools.gate.main, clone, base)


@pytest.fixture
def refused(refused: Refused) -> Refused:
    """What it says in a clone where it has no answer."""
    return lambda clone, base="origin/HEAD": refused(tools.gate.main, clone, base)


@pytest.fixture
def answers(gate: Gate) -> Answers:
    """What the gate answers, by name."""
    return lambda clone: dict(line.split("=") for line in gate(clone)[1].splitlines())


def test_it_stays_shut_where_no_stage_is_touched(bare: Path, answers: Answers) -> None:
    append(bare / "README.md", "More.\n")
    append(bare / "params.yaml", "# a comment\n")
    commit(bare, "words")
    head = git("rev-parse", "HEAD", cwd=bare).strip()
    base = git("rev-parse", "--short=12", "origin/HEAD", cwd=bare).strip()
    assert answers(bare) == {"run": "false", "report": "false", "base": base, "head": head}


CHANGES: dict[str, Callable[[Path], None]] = {
    "param": lambda clone: change_params(clone, train__seed=3),
    "module": lambda clone: append(clone / "stages/plots.py", "# more\n"),
    "source": lambda clone: append(clone / "data/small/test.csv", "one more,joy\n"),
    # `dvc repro --dry --allow-missing` takes it for unchanged
    "source gone": lambda clone: (clone / "data/small/train.csv").unlink(),
    "metrics gone": lambda clone: (clone / "metrics/metrics.json").unlink(),
    "no lock": lambda clone: (clone / "dvc.lock").unlink(),
    "command": lambda clone: substitute(clone / "dvc.yaml", "exec python -m stages.train", "python -m stages.train"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_opens_where_an_input_of_a_stage_is_another(bare: Path, change: str, answers: Answers) -> None:
    CHANGES[change](bare)
    found = answers(bare)
    assert (found["run"], found["report"]) == ("true", "true")


def test_where_there_is_no_lock_that_is_the_one_reason(bare: Path, gate: Gate) -> None:
    CHANGES["no lock"](bare)
    assert gate(bare)[2] == "dvc.lock has no stage: all have to run\n"


def test_it_opens_where_a_stage_is_to_read_another_file_that_a_stage_makes(bare: Path, answers: Answers) -> None:
    with modify_yaml(bare / "dvc.yaml") as definition:
        definition["stages"]["evaluate"]["deps"].append("data/raw/validation.parquet")
    assert answers(bare)["run"] == "true"


def test_it_opens_where_a_stage_is_to_write_another_file(bare: Path, answers: Answers) -> None:
    with modify_yaml(bare / "dvc.yaml") as definition:
        definition["stages"]["audit"]["outs"].append("data/audit/more.csv")
    assert answers(bare)["run"] == "true"


def test_results_that_are_in_the_cache_and_not_checked_out_open_nothing(
    bare: Path, pipeline: Path, answers: Answers
) -> None:
    run("dvc", "config", "--local", "cache.dir", str(pipeline / ".dvc/cache"), cwd=bare)
    assert answers(bare)["run"] == "false"


def test_what_the_lock_keeps_of_a_stage_that_is_no_more_opens_nothing(bare: Path, answers: Answers) -> None:
    with modify_yaml(bare / "dvc.lock") as lock:
        gone = {"path": "models/classifier", "hash": "md5", "md5": "0" * 32}
        lock["stages"]["own"] = {"cmd": "touch own.txt", "deps": [gone]}
    assert answers(bare)["run"] == "false"


def test_a_dvc_command_that_runs_here_is_no_reason_to_undo_an_edit(bare: Path, refused: Refused) -> None:
    (bare / ".dvc/tmp").mkdir(exist_ok=True)
    with make_lock(str(bare / ".dvc/tmp/lock")):
        assert refused(bare) == "another DVC command is running here: wait until it has finished"


def test_it_opens_where_a_merge_has_mixed_two_runs_in_the_lock(bare: Path, gate: Gate) -> None:
    # with the data away, neither `dvc status` nor `dvc repro --dry --allow-missing` sees it
    with modify_yaml(bare / "dvc.lock") as lock:
        next(dep for dep in lock["stages"]["evaluate"]["deps"] if dep["path"] == "models/classifier")["md5"] = "0" * 32
    _, out, error = gate(bare)
    assert "run=true" in out
    assert error.splitlines() == [
        "dvc.lock: evaluate: its inputs and outputs are not of one run, as after a merge: run `make repro`",
        "dvc.lock: evaluate did not read the models/classifier that train wrote: run `dvc repro`",
        "evaluate: changed deps: models/classifier: deleted",
    ]


def test_results_committed_by_hand_are_reported_without_a_run(bare: Path, answers: Answers) -> None:
    git("checkout", "--quiet", "--detach", cwd=bare)
    substitute(bare / "dvc.lock", "schema: '2.0'", "schema:  '2.0'")
    commit(bare, "a run")
    found = answers(bare)
    assert (found["run"], found["report"]) == ("false", "true")


def test_a_wrong_param_fails_on_the_cheap_machine(bare: Path, refused: Refused) -> None:
    change_params(bare, train__epochs=0)
    said = refused(bare)
    assert said.startswith("params.yaml, line ")
    assert "train.epochs: should be greater than or equal to 1" in said


@pytest.mark.parametrize("line", ["stages/carving.py", "stages/hardest.py", "train.seed", "metrics/plots"])
def test_what_dvc_yaml_has_lost_fails_on_the_cheap_machine(bare: Path, refused: Refused, line: str) -> None:
    substitute(bare / "dvc.yaml", f"    - {line}\n", "")
    lost = rf"(download|train|evaluate): {line} is not in dvc\.yaml's (deps|params|outs)"
    assert re.match(rf"dvc\.lock: {lost}: put it back there, ", refused(bare))


def test_it_opens_where_a_stage_that_has_lost_an_input_is_to_run_anyway(bare: Path, answers: Answers) -> None:
    substitute(bare / "dvc.yaml", "    - stages/hardest.py\n", "")
    append(bare / "stages/evaluate.py", "# without it\n")
    assert answers(bare)["run"] == "true"


def test_a_lock_with_the_conflicts_of_a_merge_fails_on_the_cheap_machine(bare: Path, refused: Refused) -> None:
    append(bare / "dvc.lock", "<<<<<<< HEAD\n")
    assert refused(bare).startswith("dvc.lock has merge conflicts: take one side")


def test_news_of_what_was_imported_are_nothing_to_run(bare: Path, tmp_path: Path, answers: Answers) -> None:
    git("init", "--quiet", "upstream", cwd=tmp_path)
    (tmp_path / "upstream/rows.csv").write_text("text,label\n", encoding="utf-8")
    git("add", "rows.csv", cwd=tmp_path / "upstream")
    git("commit", "--quiet", "--message", "rows", cwd=tmp_path / "upstream")
    run("dvc", "import", str(tmp_path / "upstream"), "rows.csv", cwd=bare)
    git("add", "rows.csv.dvc", ".gitignore", cwd=bare)
    git("commit", "--quiet", "--message", "imported", cwd=bare)
    append(tmp_path / "upstream/rows.csv", "one more,joy\n")
    commit(tmp_path / "upstream", "news")
    assert "update available" in run("dvc", "status", cwd=bare, check=False).stdout
    assert answers(bare)["run"] == "false"


def test_an_edit_of_data_that_no_stage_reads_is_nothing_to_run(bare: Path, answers: Answers) -> None:
    (bare / "notes.csv").touch()
    run("dvc", "add", "notes.csv", cwd=bare)
    append(bare / "notes.csv", "one more\n")
    assert answers(bare)["run"] == "false"


def test_absent_data_of_dvc_opens_it_only_where_the_lock_has_another_hash(
    copy: Path, tmp_path: Path, answers: Answers, gate: Gate
) -> None:
    keep_data_in_dvc(copy)
    run("dvc", "repro", "download", cwd=copy)
    commit(copy, "data of dvc")
    git("clone", "--quiet", str(copy), "clone", cwd=tmp_path)
    assert answers(tmp_path / "clone")["run"] == "false"
    tracked = tmp_path / "clone/data/kept.dvc"
    tracked.write_text(re.sub("md5: [0-9a-f]{32}", f"md5: {'0' * 32}", tracked.read_text(encoding="utf-8")))
    _, answer, why = gate(tmp_path / "clone")
    assert answer.startswith("run=true\n")
    assert why == "download: changed deps: data/kept: data/kept.dvc names another version\n"


@pytest.mark.parametrize("inner", ["", "/rows"])
def test_it_opens_where_the_data_at_hand_are_not_those_of_their_dvc_file(copy: Path, gate: Gate, inner: str) -> None:
    keep_data_in_dvc(copy, inner)
    run("dvc", "repro", "download", cwd=copy)
    commit(copy, "data of dvc")
    assert gate(copy, "HEAD")[1].startswith("run=false\n")
    tracked = copy / "data/kept.dvc"
    tracked.write_text(re.sub("md5: [0-9a-f]{32}", f"md5: {'0' * 32}", tracked.read_text(encoding="utf-8")))
    _, answer, why = gate(copy, "HEAD")
    assert answer.startswith("run=true\n")
    assert "data/kept.dvc: changed outs: data/kept: modified\n" in why


@pytest.mark.parametrize(("path", "quoted"), [("data/own", "data/own"), ("data/my own", "'data/my own'")])
def test_data_that_neither_git_nor_dvc_has_fails_on_the_cheap_machine(
    bare: Path, refused: Refused, path: str, quoted: str
) -> None:
    change_params(bare, dataset__path=path)
    said = refused(bare)
    assert said == (
        f"{path} is neither in git nor in DVC: commit it, or run `dvc add {quoted}` and commit what that writes, or, "
        "if nothing needs it, take it out of dvc.yaml"
    )


def test_data_whose_files_a_stage_makes_one_by_one_are_no_error(bare: Path, answers: Answers) -> None:
    change_params(bare, dataset__path="data/own")
    with modify_yaml(bare / "dvc.yaml") as definition:
        definition["stages"]["make"] = {"cmd": "cp data/small/train.csv data/own", "outs": ["data/own/train.csv"]}
    assert answers(bare)["run"] == "true"


def test_a_path_of_the_runners_own_is_no_error_on_the_cheap_machine(bare: Path, answers: Answers) -> None:
    change_params(bare, dataset__path="/nowhere/here")
    assert answers(bare)["run"] == "true"


def test_a_pipeline_beside_it_that_repro_never_runs_is_nothing_to_run(bare: Path, answers: Answers) -> None:
    (bare / "analysis").mkdir()
    (bare / "analysis/dvc.yaml").write_text("stages:\n  count:\n    cmd: echo 1 > n.txt\n    outs: [n.txt]\n")
    assert answers(bare)["run"] == "false"


def test_params_of_another_file_are_no_error_in_a_stage_of_ones_own(copy: Path, gate: Gate) -> None:
    (copy / "own.yaml").write_text("a: 1\n", encoding="utf-8")
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["own"] = {"cmd": "touch own.txt", "params": [{"own.yaml": ["a"]}], "outs": ["own.txt"]}
    run("dvc", "repro", "own", cwd=copy)
    assert gate(copy, "HEAD")[1].startswith("run=false\n")


@pytest.mark.parametrize("each", ["matrix", "foreach"])
def test_it_stays_shut_where_own_stages_have_files_of_one_name_in_their_folders(
    copy: Path, gate: Gate, each: str
) -> None:
    substitute(copy / "dvc.yaml", "stages:\n", f"stages:\n{SORTING[each]}")
    for name in ("de", "en"):
        (copy / name).mkdir()
        (copy / name / "raw.csv").write_text(f"b,{name}\na,{name}\n", encoding="utf-8")
    run("dvc", "repro", "clean", "sort", cwd=copy)
    commit(copy, "stages of one's own")
    assert gate(copy, "HEAD")[1].startswith("run=false\n")


def test_a_frozen_stage_with_other_inputs_fails_on_the_cheap_machine(
    bare: Path, answers: Answers, refused: Refused
) -> None:
    run("dvc", "freeze", "train", cwd=bare)
    assert answers(bare)["run"] == "false"
    change_params(bare, train__seed=3)
    changed = "train: changed deps: params.yaml: train.seed modified"
    assert refused(bare) == (
        f"dvc.yaml: {changed}: train is frozen, so that DVC never runs it: run `dvc unfreeze train`"
    )


def test_a_frozen_stage_without_an_output_is_no_error(bare: Path, answers: Answers) -> None:
    run("dvc", "freeze", "evaluate", cwd=bare)
    (bare / "metrics/metrics.json").unlink()
    assert answers(bare)["run"] == "true"


def test_data_that_cannot_be_read_fails_on_the_cheap_machine(bare: Path, refused: Refused) -> None:
    (bare / "data/small/notes.txt").symlink_to("nowhere")
    assert refused(bare).startswith("DVC cannot read the pipeline or its data (FileNotFoundError")


@pytest.mark.parametrize(
    ("name", "content"), [("more.dvc", b"outs: {"), (".dvcignore", b"\xff\n")], ids=["no YAML", "no text"]
)
def test_a_file_of_dvc_that_cannot_be_read_fails_on_the_cheap_machine(
    bare: Path, refused: Refused, name: str, content: bytes
) -> None:
    (bare / name).write_bytes(content)
    assert refused(bare).startswith("DVC cannot read the pipeline or its data (")


def test_a_clone_without_its_history_is_told_to_fetch_it(bare: Path, tmp_path: Path, refused: Refused) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "more", cwd=bare)
    git("clone", "--quiet", "--depth", "1", bare.as_uri(), "shallow", cwd=tmp_path)
    assert refused(tmp_path / "shallow", "HEAD~1") == (
        "`git merge-base HEAD~1 HEAD`: fatal: Not a valid object name HEAD~1: "
        "name a commit that shares its history with HEAD, and fetch all of that history"
    )


def computing() -> list[str]:
    """The modules of the libraries that requirements.txt pins."""
    texts = [(TREE / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-tools.txt")]
    pinned, tools = (set(re.findall(r"^([\w-]+)==", text, re.MULTILINE)) for text in texts)
    pinned -= tools  # the gate's own
    modules = {module: pinned.intersection(names) for module, names in packages_distributions().items()}
    assert set().union(*modules.values()) == pinned
    return [module for module, names in modules.items() if names]


def test_it_needs_none_of_the_libraries_that_compute(bare: Path) -> None:
    script = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({computing()}));"
        "sys.argv = ['gate', 'origin/HEAD']; runpy.run_module('tools.gate', run_name='__main__')"
    )
    assert "run=false" in run("python", "-c", script, cwd=bare).stdout


def test_a_library_that_is_not_installed_is_a_change_and_no_error(bare: Path) -> None:
    append(bare / "requirements.txt", "no-such-library==1\n")
    assert "run=true" in run("python", "-m", "tools.gate", "origin/HEAD", cwd=bare).stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_no_room_for_the_answers_is_an_error_in_one_line(bare: Path, unbuffered: str) -> None:
    command = ("sh", "-c", "python -m tools.gate origin/HEAD > /dev/full")
    done = run(*command, cwd=bare, check=False, env={"PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert ": No space left on device: make room" in done.stderr


def test_the_base_is_where_the_branch_left_however_far_the_other_has_gone(bare: Path, gate: Gate) -> None:
    left = git("rev-parse", "--short=12", "HEAD", cwd=bare).strip()
    git("checkout", "--quiet", "-b", "other", cwd=bare)
    append(bare / "dvc.lock", "\n")
    commit(bare, "a run of others")
    git("checkout", "--quiet", "-", cwd=bare)
    _, out, _ = gate(bare, "other")
    assert f"\nbase={left}\n" in out
    assert "report=false\n" in out

"""`python -m tools.verify` says where the chain from data to metrics is broken, and by what."""

import functools
import json
from pathlib import Path

import pytest
from clones import change_params, commit, git, run
from conftest import Verify
from dvc.utils.serialize import modify_yaml
from edits import append, edit_json, flip, substitute

import tools.verify
from stages import hashing, paths, provenance, tables
from stages.errors import InputError
from tools import lockfile, repair, revisions, rwlock

PUT_BACK = "put it back there, or, if the stage can do without, run"


def agree(folder: Path, path: str, *, forge: bool = False) -> None:
    """Have dvc.lock name the file or folder as it is, wherever it names it; ``forge``: and have its stage say so."""
    digest = hashing.md5(folder / path)
    with modify_yaml(folder / "dvc.lock") as lock:
        for stage, locked in lock["stages"].items():
            for item in locked["deps"] + locked["outs"]:
                if item["path"] == path:
                    item["md5"] = digest
            if forge:
                text = provenance.text(lockfile.stamp(stage, locked))
                (folder / paths.provenance(stage)).unlink()
                (folder / paths.provenance(stage)).write_text(text, encoding="utf-8")
                own = next(item for item in locked["outs"] if item["path"] == paths.provenance(stage))
                own["md5"] = hashing.md5_of(text.encode())


def test_a_run_is_verified(pipeline: Path, verify: Verify) -> None:
    assert verify(pipeline, "--cache") == ""


def test_a_stage_that_is_frozen_is_named_where_something_does_not_match(copy: Path, verify: Verify) -> None:
    run("dvc", "freeze", "train", cwd=copy)
    assert verify(copy) == ""
    change_params(copy, train__seed=5)
    assert verify(copy).splitlines()[-1] == (
        "error: dvc.yaml: train is frozen, so that DVC never runs it: run `dvc unfreeze train`"
    )


def test_params_of_another_file_are_named(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["train"]["params"].append({"more.yaml": ["a"]})
    assert verify(copy) == "error: dvc.yaml: train: params of more.yaml: list such a file under deps\n"


def test_params_may_be_listed_with_the_name_of_their_file(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["train"]["params"] = [{"params.yaml": definition["stages"]["train"]["params"]}]
    assert verify(copy) == ""
    change_params(copy, train__seed=5)
    assert verify(copy) == "error: params.yaml: train.seed is 5, but train ran with 42: run `dvc repro`\n"


def test_params_without_keys_are_named(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["train"]["params"].append({"params.yaml": None})
    said = "error: dvc.yaml: train: params: params.yaml as a whole: list the keys that the stage reads\n"
    assert verify(copy) == said


def test_edited_metrics_are_named(copy: Path, verify: Verify) -> None:
    edit_json(copy / "metrics/metrics.json", accuracy=0.99)
    assert verify(copy) == (
        "error: metrics/metrics.json does not match dvc.lock (evaluate): "
        "run `git checkout metrics/metrics.json` or `dvc repro`\n"
    )


def test_edited_metrics_that_are_committed_are_not_to_be_taken_from_git(copy: Path, verify: Verify) -> None:
    edit_json(copy / "metrics/metrics.json", accuracy=0.99)
    commit(copy, "edited metrics")
    assert verify(copy) == "error: metrics/metrics.json does not match dvc.lock (evaluate): run `dvc repro`\n"


def test_params_other_than_those_that_ran_are_named(copy: Path, verify: Verify) -> None:
    change_params(copy, train__seed=5)
    assert verify(copy) == "error: params.yaml: train.seed is 5, but train ran with 42: run `dvc repro`\n"


def test_a_hand_edited_lock_is_named(copy: Path, verify: Verify) -> None:
    change_params(copy, train__seed=5)
    with modify_yaml(copy / "dvc.lock") as lock:
        lock["stages"]["train"]["params"]["params.yaml"]["train.seed"] = 5
    assert "error: dvc.lock: train: its inputs and outputs are not of one run" in verify(copy)


def test_a_stage_taken_out_of_the_lock_is_named(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.lock") as lock:
        del lock["stages"]["tokenize"]
    assert "error: dvc.lock: it has no run of tokenize: run `dvc repro`" in verify(copy)


def test_a_stage_of_which_a_repair_has_left_the_command_has_no_run(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.lock") as lock:
        lock["stages"]["evaluate"] = {"cmd": lock["stages"]["evaluate"]["cmd"]}
    assert verify(copy) == "error: dvc.lock: it has no run of evaluate: run `dvc repro`\n"


def test_a_command_with_a_variable_is_to_be_written_out(copy: Path, verify: Verify) -> None:
    substitute(copy / "dvc.yaml", "exec python -m stages.audit", "${how} python -m stages.audit")
    substitute(copy / "dvc.yaml", "stages:\n", "vars: [{how: exec}]\nstages:\n")
    assert run("dvc", "status", "audit", cwd=copy).stdout == "Data and pipelines are up to date.\n"
    assert verify(copy) == (
        "error: dvc.yaml: audit: cmd: it has ${...}, whose value is not known here: write the command out\n"
    )


def test_a_lock_of_another_dvc_yaml_is_named(copy: Path, verify: Verify) -> None:
    substitute(copy / "dvc.yaml", "exec python -m stages.train", "python -m stages.train")
    substitute(copy / "dvc.yaml", "    - stages/hardest.py\n", "")
    assert verify(copy) == (
        "error: dvc.lock: train: its command differs from dvc.yaml's: run `dvc repro`\n"
        "error: dvc.lock: evaluate: stages/hardest.py is not in dvc.yaml's deps: "
        f"{PUT_BACK} `dvc repro -f -s evaluate`\n"
    )


def test_an_input_that_dvc_yaml_has_got_since_is_named(copy: Path, verify: Verify) -> None:
    hardest = "    - stages/hardest.py\n"
    substitute(copy / "dvc.yaml", hardest, f"{hardest}    - README.md\n")
    assert verify(copy) == "error: dvc.lock: evaluate: README.md is in dvc.yaml's deps only: run `dvc repro`\n"


def test_stages_that_a_user_has_added_are_no_mismatch(copy: Path, verify: Verify) -> None:
    own = {"cmd": "touch own.txt", "params": ["train", {"own.yaml": ["a"]}], "outs": ["own.txt"]}
    several = {"foreach": ["x", "y"], "do": {"cmd": "touch ${item}.txt", "outs": ["${item}.txt"]}}
    notify = {
        "cmd": "echo ${train.seed} > seed.txt",
        "wdir": "tests",
        "deps": ["../metrics/metrics.json"],
        "outs": [{"seed.txt": {"cache": False}}],
    }
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"] |= {"own": own, "several": several, "notify": notify}
    (copy / "own.yaml").write_text("a: 1\n", encoding="utf-8")
    run("dvc", "repro", cwd=copy)
    assert verify(copy, "--cache") == ""


def test_a_swapped_model_file_is_named(copy: Path, verify: Verify) -> None:
    flip(copy / "models/classifier/model.safetensors")
    assert "error: models/classifier does not match dvc.lock (train)" in verify(copy)


@pytest.mark.parametrize("split", ["foreach", "matrix"])
def test_a_stage_of_the_pipeline_that_is_split_in_several_is_named(copy: Path, verify: Verify, split: str) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        baselines = definition["stages"]["baselines"]
        by = {"foreach": [1], "do": baselines}
        definition["stages"]["baselines"] = by if split == "foreach" else baselines | {"matrix": {"number": [1]}}
    said = "dvc.yaml: baselines: foreach and matrix are for stages of your own: undo its last edit"
    assert verify(copy) == f"error: {said}\n"


@pytest.mark.long  # in minutes what a lock edited by hand shows at once, above
def test_a_merge_that_pairs_a_model_with_params_that_never_made_it_is_named(copy: Path, verify: Verify) -> None:
    git("checkout", "--quiet", "-b", "param", cwd=copy)
    change_params(copy, train__learning_rate=5e-3)
    run("dvc", "repro", cwd=copy)
    commit(copy, "another learning rate")
    git("checkout", "--quiet", "-", cwd=copy)
    run("dvc", "checkout", cwd=copy)
    append(copy / "stages/callbacks.py", "# no change of what it gives\n")
    run("dvc", "repro", cwd=copy)
    commit(copy, "a comment")

    # Lock lines of the two sides that do not meet are merged without a question: the new param beside the old model.
    # Those of the outputs do meet, because the classifier carries what made it; told to take ours, git is content.
    git("merge", "--quiet", "-X", "ours", "--message", "both", "param", cwd=copy)
    run("dvc", "checkout", cwd=copy)
    assert "up to date" in run("dvc", "status", cwd=copy).stdout
    assert "error: dvc.lock: train: its inputs and outputs are not of one run" in verify(copy)
    run("dvc", "repro", "--force", "--single-item", "train", cwd=copy)
    run("dvc", "repro", cwd=copy)
    assert verify(copy) == ""


def test_params_without_a_key_are_named(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "params.yaml") as params:
        del params["tokenize"]
    assert verify(copy) == "error: params.yaml: section tokenize is missing, or has no keys\n"


def test_params_that_equal_those_that_ran_and_are_invalid_are_named(copy: Path, verify: Verify) -> None:
    change_params(copy, dataset__seed=False)
    assert "up to date" in run("dvc", "status", cwd=copy).stdout
    assert verify(copy).endswith(": dataset.seed: should be a valid integer, is False\n")


def test_a_lock_cut_short_anywhere_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setattr(hashing, "md5", functools.cache(hashing.md5))  # no file changes but the lock
    assert tools.verify.verify(cache=False) == []
    lock = Path("dvc.lock").read_bytes()
    for length in range(0, len(lock) - 40, 211):
        Path("dvc.lock").write_bytes(lock[:length])
        try:
            problems = tools.verify.verify(cache=False)
        except InputError as error:
            problems = [str(error)]
        assert "dvc.lock" in "".join(problems), length


def test_an_output_may_be_listed_as_plots(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        evaluate = definition["stages"]["evaluate"]
        evaluate["outs"].remove("metrics/plots")
        evaluate["plots"] = ["metrics/plots"]
    assert verify(copy) == ""


def test_a_run_of_which_dvc_commit_took_the_record_away_is_none(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        definition["stages"]["train"]["outs"].remove(paths.provenance("train"))
    change_params(copy, train__epochs=7)
    run("dvc", "commit", "--force", "train", cwd=copy)
    assert "error: dvc.lock: train: its inputs and outputs are not of one run" in verify(copy)


@pytest.mark.parametrize("path", ["data/raw/test.parquet", "models/classifier", "data/predictions/test.parquet"])
def test_an_edited_output_is_named_even_where_the_lock_agrees(copy: Path, verify: Verify, path: str) -> None:
    flip(next(file for file in (copy / path, copy / path / "model.safetensors") if file.is_file()))
    agree(copy, path)
    said = verify(copy)
    maker = {"data/raw/test.parquet": "download", "models/classifier": "train"}.get(path, "evaluate")
    assert f"error: dvc.lock: {maker}: its inputs and outputs are not of one run, as after a merge: run " in said
    if path == "models/classifier":  # which evaluate has read
        assert "error: dvc.lock: evaluate: its inputs and outputs are not of one run" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    - metrics/more\n", "metrics/more is in dvc.yaml's outs only: run `dvc repro`"),
        ("", f"metrics/plots is not in dvc.yaml's outs: {PUT_BACK} `dvc repro -f -s evaluate`"),
    ],
)
def test_an_output_that_dvc_yaml_has_got_or_lost_since_is_named(
    copy: Path, verify: Verify, line: str, said: str
) -> None:
    substitute(copy / "dvc.yaml", "    - metrics/plots\n", line)
    lines = verify(copy)
    assert [line for line in lines.splitlines() if "dvc.yaml's" in line] == [f"error: dvc.lock: evaluate: {said}"]


def test_nothing_is_verified_while_dvc_runs_stages(
    pipeline: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rwlock, "running", lambda: True)
    assert verify(pipeline) == "error: DVC is running stages here: wait until it has finished\n"


def test_a_pipeline_that_never_ran_is_to_be_run(copy: Path, verify: Verify) -> None:
    (copy / "dvc.lock").unlink()
    assert verify(copy) == "error: dvc.lock does not exist: run `dvc repro`\n"


def test_the_outputs_of_another_branch_are_to_be_checked_out(copy: Path, verify: Verify) -> None:
    for split in paths.SPLITS:
        for path in (paths.raw(split), paths.tokenized(split)):
            flip(copy / path)
    assert verify(copy) == (
        "error: data/raw/test.parquet does not match dvc.lock (download), nor do 5 more outputs: run `dvc checkout`, "
        "or run `dvc repro`\n"
    )


def test_metrics_that_are_missing_are_in_git(copy: Path, verify: Verify) -> None:
    (copy / paths.METRICS).unlink()
    said = "error: metrics/metrics.json is missing: run `git checkout metrics/metrics.json` or `dvc repro`\n"
    assert verify(copy) == said


def test_a_stage_that_dvc_yaml_has_lost_is_named(copy: Path, verify: Verify) -> None:
    with modify_yaml(copy / "dvc.yaml") as definition:
        del definition["stages"]["download"]
    assert "error: dvc.yaml: download is missing: undo its last edit\n" in verify(copy)


def test_an_edited_output_is_to_be_checked_out_and_an_edited_input_to_be_run(copy: Path, verify: Verify) -> None:
    append(copy / "stages/tables.py", "# more\n")  # which every stage reads
    flip(copy / "data/tokenized/test.parquet")  # which evaluate and baselines read
    assert verify(copy) == (
        "error: stages/tables.py does not match dvc.lock (download): run `dvc repro` "
        "(`dvc repro -f download` if that sees no change)\n"
        "error: data/tokenized/test.parquet does not match dvc.lock (tokenize): "
        "delete it and run `dvc checkout`, or run `dvc repro`\n"
    )


@pytest.mark.parametrize(("name", "value"), [("f1_micro", 0.5), ("accuracy", None), ("accuracy", 0.99)])
def test_metrics_that_the_predictions_do_not_give_are_named_even_where_the_lock_agrees(
    copy: Path, verify: Verify, name: str, value: float | None
) -> None:
    path = copy / "metrics/metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) | {name: value}
    path.write_text(json.dumps({key: given for key, given in metrics.items() if given is not None}), encoding="utf-8")
    agree(copy, "metrics/metrics.json", forge=True)
    assert verify(copy).startswith(f"error: metrics/metrics.json: {name} is {value}, but the predictions give ")


def test_a_name_that_looks_like_a_line_of_its_own_is_shown_in_its_line(copy: Path, verify: Verify) -> None:
    edit_json(copy / "metrics/metrics.json", **{"f1\nverified: all\033[2K": 1})
    agree(copy, "metrics/metrics.json", forge=True)
    assert verify(copy) == (
        "error: metrics/metrics.json: f1\\nverified: all\\x1b[2K is 1, but the predictions give None: run `dvc repro`\n"
    )


def test_rows_that_leak_and_that_the_metrics_do_not_count_are_named(inside: Path, verify: Verify) -> None:
    path = Path(paths.predictions("test"))
    table = tables.read(str(path))
    columns = {name: table[name] for name in table.column_names} | {"leaked": [True] * table.num_rows}
    path.unlink()
    tables.write(path, table.schema, **columns)
    agree(inside, str(path), forge=True)
    said = "metrics/metrics.json: leaked_rows is None, but the predictions give 72: run `dvc repro`"
    assert verify(inside) == f"error: {said}\n"


def test_a_param_without_a_value_that_a_stage_has_got_since_is_named(copy: Path, verify: Verify) -> None:
    seed = "    - train.seed\n"
    substitute(copy / "dvc.yaml", seed, f"{seed}    - audit.max_leaked_rows\n")
    said = "error: dvc.lock: train: audit.max_leaked_rows is in dvc.yaml's params only: run `dvc repro`\n"
    assert verify(copy) == said


def test_a_param_that_dvc_yaml_has_lost_since_is_named(copy: Path, verify: Verify) -> None:
    substitute(copy / "dvc.yaml", "    - train.seed\n", "")
    change_params(copy, train__seed=5)  # of which DVC sees nothing
    said = f"error: dvc.lock: train: train.seed is not in dvc.yaml's params: {PUT_BACK} `dvc repro -f -s train`\n"
    assert verify(copy) == said


@pytest.mark.parametrize("lost", ["    cmd: exec python -m stages.train\n", "    - tokenize.max_length\n"])
def test_a_definition_that_dvc_would_not_take_is_named(inside: Path, verify: Verify, lost: str) -> None:
    substitute(inside / "dvc.yaml", lost, "")
    said = verify(inside)
    assert said.count("\n") == 1
    assert said.startswith("error: dvc.yaml: DVC does not take it (")
    for reads in (repair.unstored, lambda: revisions.read("workspace")):
        with pytest.raises(InputError, match=r"dvc\.yaml: DVC does not take it \("):
            reads()

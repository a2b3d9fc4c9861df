"""`tools.report`: what a pull request is told."""

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clones import commit, git
from conftest import Call, Refused
from edits import edit_json, forget_run

import tools.report
from stages import paths
from stages.errors import InputError
from tools.report import machine_section, metrics_section, readable, run_section

Report = Callable[[Path], str]


@pytest.fixture
def report(call: Call) -> Report:
    """What is reported of a folder against its HEAD, by this process."""
    return lambda folder: call(tools.report.main, folder, "HEAD")[1]


def test_a_report_says_what_ran_how_long_and_on_what(copy: Path, report: Report) -> None:
    (copy / "report").mkdir()
    record = {"seconds": 90, "stages": {"train": "ran", "evaluate": "from cache"}}
    (copy / "report/run.json").write_text(json.dumps(record))
    (copy / "report/verified.txt").write_text("verified: all belongs together\n")
    said = report(copy)
    assert said.startswith(f"### Results at `{git('rev-parse', '--short', 'HEAD', cwd=copy).strip()}`, against ")
    assert "| `train` | ran |\n| `evaluate` | from cache |" in said
    assert "1.5 minutes" in said
    device = json.loads((copy / "models/classifier/provenance.json").read_text())["machine"]["device"]
    assert f"trained on `{device}`" in said
    assert "\n\nverified: all belongs together\n\n" in said


def test_the_base_is_the_revision_that_is_named_and_the_head_is_the_workspace(copy: Path, call: Call) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "more", cwd=copy)
    head, base = (git("rev-parse", "--short", name, cwd=copy).strip() for name in ("HEAD", "HEAD~1"))
    _, said, _ = call(tools.report.main, copy, "HEAD~1")
    assert said.startswith(f"### Results at `{head}`, against `{base}`\n")
    assert "\nbase: `HEAD~1`<br>head: `workspace`\n" in said


def test_a_report_compares_with_the_base_and_shows_every_metric_that_changed(copy: Path, report: Report) -> None:
    edit_json(copy / "metrics/metrics.json", loss=0.5)
    said = report(copy)
    assert re.match(r"### Results at `\w+` and its uncommitted changes, against `\w+`\n", said)
    assert "**within noise**" in said
    before = json.loads(git("show", "HEAD:metrics/metrics.json", cwd=copy))["loss"]
    assert f"| metrics.json | base | head |\n| --- | --: | --: |\n| `loss` | {before:.4f} | 0.5000 |" in said


def test_a_report_shows_the_ladder_and_warns_of_a_model_below_its_top(pipeline: Path, report: Report) -> None:
    said = report(pipeline)
    assert "| majority class |" in said
    rung = json.loads((pipeline / "metrics/baselines.json").read_text())["tfidf"]
    figures = rung["validation"]["f1"], rung["test"]["accuracy"], rung["test"]["f1"]
    assert f"| TF-IDF | {' | '.join(f'{figure:.4f}' for figure in figures)} |" in said
    assert "**Warning**: the fine-tuned model does not beat" in said  # it is the tiny random checkpoint


def test_a_report_without_baselines_says_so(copy: Path, report: Report) -> None:
    (copy / "metrics/baselines.json").unlink()
    said = report(copy)
    assert "\n\n**No baselines**\n\n```text\nmetrics/baselines.json does not exist: " in said
    assert "**within noise**" in said


def test_records_that_are_damaged_are_said_to_be(inside: Path, report: Report) -> None:
    (inside / "report").mkdir()
    unknown = "**What ran is not known**\n\n```text\nreport/run.json: damaged ("
    for content in ('{"seconds": 3', "null", '{"stages": [], "seconds": 3}', '{"stages": {"train": 5}}', "{}"):
        (inside / "report/run.json").write_text(content)
        section = readable("What ran is not known", run_section)
        assert section.startswith(unknown)
        assert section.endswith("): run `python -m tools.repro --record report/run.json`\n```")
    (inside / "report/verified.txt").write_bytes(b"error: data/own/\xff is missing\n")
    nowhere = f"**The machine is not known**\n\n```text\n{paths.CLASSIFIER_PROVENANCE}: damaged ("
    for content in ("[]", "{"):
        (inside / paths.CLASSIFIER_PROVENANCE).write_text(content)
        assert readable("The machine is not known", machine_section).startswith(nowhere)
    said = report(inside)
    assert f"\n\n{unknown}" in said
    assert f"\n\n{nowhere}" in said
    assert "error: data/own/\ufffd is missing" in said


def test_what_does_not_verify_is_said(copy: Path, report: Report) -> None:
    (copy / "report").mkdir()
    (copy / "report/verified.txt").write_text("error: metrics/metrics.json does not match dvc.lock (evaluate)\n")
    said = report(copy)
    assert "**Not verified**\n\n```text\nerror: metrics/metrics.json does not match dvc.lock (evaluate)\n```" in said
    assert said.index("**Not verified**") < said.index("| metric")  # a comment that is too long loses its end
    assert "No run is recorded" in said


@pytest.mark.parametrize(
    "printed", ["", "Traceback (most recent call last):\nKeyError: 'md5'", "verified: all of it\nerror: after all, no"]
)
def test_what_does_not_end_as_verified_is_not_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    monkeypatch.setattr(tools.report, "VERIFIED", tmp_path / "verified.txt")
    (tmp_path / "verified.txt").write_text(printed)
    shown = printed or "error: tools.verify printed nothing"
    assert tools.report.verification_section() == f"**Not verified**\n\n```text\n{shown}\n```"


def test_what_nobody_verified_is_not_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = tools.report.verification_section()
    assert said == "**Not verified**\n\n```text\nerror: tools.verify was not run\n```"


def test_a_warning_does_not_take_the_place_of_what_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.report, "VERIFIED", tmp_path / "verified.txt")
    (tmp_path / "verified.txt").write_text("a library's warning\nverified: all of it\n")
    assert tools.report.verification_section() == "verified: all of it"


def test_a_base_without_results_is_no_error(copy: Path, report: Report) -> None:
    forget_run(copy)
    assert "**not compared**\n\n```text\nHEAD: has no dvc.lock" in report(copy)


def test_a_base_that_git_does_not_know_is_named(pipeline: Path, refused: Refused) -> None:
    assert refused(tools.report.main, pipeline, "nowhere") == (
        "`git rev-parse --short --verify nowhere^{commit}`: fatal: Needed a single revision: "
        "name a branch, tag or commit that git has, or run `git fetch`"
    )


def test_metrics_that_dvc_cannot_compare_are_not_called_unchanged(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    said = "RevError: unknown Git revision 'nowhere': name a branch, tag or commit that git has, or run `git fetch`"
    section = readable("metrics.json: not compared", metrics_section, "nowhere")
    assert section == f"**metrics.json: not compared**\n\n```text\n{said}\n```"


@pytest.mark.parametrize(
    ("path", "error"), [("metrics/metrics.json", "JSONFileCorruptedError"), ("dvc.yaml", "YAMLSyntaxError")]
)
def test_metrics_that_cannot_be_read_at_the_base_are_not_called_new(
    copy: Path, monkeypatch: pytest.MonkeyPatch, path: str, error: str
) -> None:
    good = (copy / path).read_bytes()
    (copy / path).write_text("<<<<<<< HEAD: {\n", encoding="utf-8")
    commit(copy, "a conflict")
    (copy / path).write_bytes(good)
    monkeypatch.chdir(copy)
    with pytest.raises(InputError, match=rf"^HEAD: {path} cannot be read \({error}: "):
        metrics_section("HEAD")


def test_metrics_that_the_base_has_not_are_new(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("rm", "--quiet", "--cached", "metrics/metrics.json", cwd=copy)
    git("commit", "--quiet", "--message", "no metrics", cwd=copy)
    monkeypatch.chdir(copy)
    assert metrics_section("HEAD").splitlines()[2].startswith("| `accuracy` | - | 0.")


def test_a_section_that_cannot_be_read_says_why(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    def failing(*command: str, **_: str) -> str:
        raise InputError(f"{command[0]} has no *metrics*: undo that")

    monkeypatch.setattr(tools.report, "metrics_section", failing)
    said = report(pipeline)
    assert "\n\n**metrics.json: not compared**\n\n```text\nHEAD has no *metrics*: undo that\n```" in said


CHANGED = {"old": 0.5, "new": 0.25}


def find(monkeypatch: pytest.MonkeyPatch, diff: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Have DVC find this difference."""
    repo = SimpleNamespace(metrics=SimpleNamespace(diff=lambda _: {"diff": diff}))
    monkeypatch.setattr(tools.report, "Repo", lambda: nullcontext(repo))


def test_metrics_stand_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    find(monkeypatch, {"metrics/metrics.json": dict.fromkeys(("loss", "accuracy", "f1"), CHANGED)})
    rows = [line.split("`")[1] for line in metrics_section("HEAD").splitlines()[2:]]
    assert rows == ["accuracy", "f1", "loss"]


def test_a_metric_that_is_a_text_is_no_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    find(monkeypatch, {"own.json": {"note": {"old": None, "new": "<img src=x> @someone"}}})
    assert metrics_section("HEAD").splitlines()[2:] == ["| `own.json: note` | - | `<img src=x> @someone` |"]


def test_metrics_of_another_file_bear_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    find(monkeypatch, {"metrics/metrics.json": {"accuracy": CHANGED}, "own.json": {"accuracy": CHANGED}})
    assert metrics_section("HEAD").splitlines()[2:] == [
        "| `accuracy` | 0.5000 | 0.2500 |",
        "| `own.json: accuracy` | 0.5000 | 0.2500 |",
    ]


def test_without_a_classifier_a_report_names_no_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tools.report.machine_section() == ""

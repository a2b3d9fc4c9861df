"""`tools.report` and `tools.pictures`: what a pull request is told and shown."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clones import git
from conftest import Call, Refused
from edits import edit_json, in_cache
from matplotlib.figure import Figure
from matplotlib.image import imread

import tools.report
from stages import paths
from stages.errors import InputError
from tools import pictures
from tools.report import metrics_section

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
    assert said.endswith("verified: all belongs together\n")


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
    assert "\n\n**No baselines**: metrics/baselines.json does not exist: " in said
    assert "**within noise**" in said


def test_records_that_are_damaged_are_said_to_be(inside: Path, report: Report) -> None:
    (inside / "report").mkdir()
    unknown = "**What ran is not known**: report/run.json cannot be read ("
    for content in ('{"seconds": 3', "null", '{"stages": [], "seconds": 3}', "{}"):
        (inside / "report/run.json").write_text(content)
        assert tools.report.run_section().startswith(unknown)
    (inside / "report/verified.txt").write_bytes(b"error: data/own/\xff is missing\n")
    nowhere = f"**The machine is not known**: {paths.CLASSIFIER_PROVENANCE} cannot be read ("
    for content in ("[]", "{"):
        (inside / paths.CLASSIFIER_PROVENANCE).write_text(content)
        assert tools.report.machine_section().startswith(nowhere)
    said = report(inside)
    assert f"\n\n{unknown}" in said
    assert f"\n\n{nowhere}" in said
    assert "error: data/own/\ufffd is missing" in said


def test_what_does_not_verify_is_said(copy: Path, report: Report) -> None:
    (copy / "report").mkdir()
    (copy / "report/verified.txt").write_text("error: metrics/metrics.json does not match dvc.lock (evaluate)\n")
    said = report(copy)
    assert "**Not verified**\n\n```text\nerror: metrics/metrics.json does not match dvc.lock (evaluate)\n```" in said
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


def test_a_warning_does_not_take_the_place_of_what_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.report, "VERIFIED", tmp_path / "verified.txt")
    (tmp_path / "verified.txt").write_text("a library's warning\nverified: all of it\n")
    assert tools.report.verification_section() == "verified: all of it"


def test_a_base_without_results_is_no_error(copy: Path, report: Report, call: Call) -> None:
    git("rm", "--quiet", "dvc.lock", cwd=copy)
    git("commit", "--quiet", "--message", "no run yet", cwd=copy)
    git("checkout", "--quiet", "HEAD~1", "--", "dvc.lock", cwd=copy)
    assert "**not compared**: HEAD: has no dvc.lock" in report(copy)
    drawn(call, copy, sides=1)


def test_a_base_that_git_does_not_know_is_named(pipeline: Path, refused: Refused) -> None:
    assert refused(tools.report.main, pipeline, "nowhere") == (
        "`git rev-parse --short --verify nowhere^{commit}`: fatal: Needed a single revision: "
        "name a branch, tag or commit that git has, or run `git fetch`"
    )


def test_metrics_that_dvc_cannot_compare_are_not_called_unchanged(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    assert metrics_section("nowhere").startswith(
        "metrics.json: **not compared**: `dvc metrics diff --json nowhere`: ERROR: unknown Git revision 'nowhere': "
    )


def test_metrics_stand_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {name: {"old": 0.5, "new": 0.25} for name in ("loss", "accuracy", "f1")}
    monkeypatch.setattr("tools.report.output", lambda *_, **__: json.dumps({"metrics/metrics.json": changed}))
    rows = [line.split("`")[1] for line in metrics_section("HEAD").splitlines()[2:]]
    assert rows == ["accuracy", "f1", "loss"]


def test_metrics_of_another_file_bear_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"accuracy": {"old": 0.5, "new": 0.25}}
    found = json.dumps({"metrics/metrics.json": changed, "own.json": changed})
    monkeypatch.setattr("tools.report.output", lambda *_, **__: found)
    assert metrics_section("HEAD").splitlines()[2:] == [
        "| `accuracy` | 0.5000 | 0.2500 |",
        "| `own.json: accuracy` | 0.5000 | 0.2500 |",
    ]


def test_both_sides_are_drawn_side_by_side(copy: Path, call: Call) -> None:
    drawn(call, copy, sides=2)


def drawn(call: Call, clone: Path, *, sides: int) -> None:
    code, _, error = call(pictures.main, clone, "HEAD")
    assert (code, error) == (0, "")
    for name in ("confusion_matrices.png", "curves.png"):
        height, width, _ = imread(clone / "report" / name).shape
        assert width / height == pytest.approx(sides, rel=0.25)


def test_revisions_that_git_does_not_know_are_named(pipeline: Path, refused: Refused) -> None:
    assert refused(pictures.main, pipeline, "nowhere").startswith("nowhere: ")


def test_long_names_of_labels_move_nothing_out_of_the_picture(
    workspace: Callable[..., Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:02} {'long name ' * 2}" for number in range(20)]
    both = side("one", names, [(name, name) for name in names])
    monkeypatch.setattr(pictures, "read", lambda *_: both)
    monkeypatch.setattr(pictures, "curves", lambda _: Figure())  # of no weight here
    folder = workspace()
    call(pictures.main, folder, "HEAD")
    image = imread(folder / "report/confusion_matrices.png")[..., :3]
    edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (edges == 1).all()  # white


def test_a_confusion_matrix_has_labels_down_and_predictions_across() -> None:
    figure = pictures.confusion([side("one", ["a", "b"], [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")])])
    assert shares(figure.axes[0]) == [[0.5, 0.5], [0.0, 1.0]]
    assert "accuracy 0.7500" in figure.axes[0].get_title()


def test_a_confusion_matrix_has_the_labels_of_both_sides_in_the_order_of_their_numbers() -> None:
    base = side("base", ["z", "a"], [("a", "a"), ("z", "a")])
    head = side("head", ["new", "a", "z"], [("new", "new"), ("z", "z"), ("a", "z"), ("a", "z")])
    figure = pictures.confusion([base, head])
    for axes in figure.axes:
        assert [text.get_text() for text in axes.get_xticklabels()] == ["z", "a", "new"]
    assert shares(figure.axes[0]) == [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert shares(figure.axes[1]) == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def side(title: str, names: list[str], pairs: list[tuple[str, str]]) -> pictures.Side:
    rows = [{"label": label, "prediction": prediction} for label, prediction in pairs]
    return pictures.Side(title, {pictures.CONFUSION: rows, pictures.PER_CLASS: [{"label": name} for name in names]})


def shares(axes: Any) -> Any:
    return axes.images[0].get_array().tolist()


def test_curves_are_of_the_columns_they_are_named_for() -> None:
    validation = [{"epoch": "1", "loss": "0.5", "accuracy": "0.6", "f1": "0.7"}]
    training = [{"epoch": "0.5", "loss": "0.9"}]
    found = {paths.TRAINING_CURVE: training, paths.VALIDATION_CURVE: validation}
    figure = pictures.curves([pictures.Side("one", found)])
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for axes in figure.axes for line in axes.lines}
    assert lines == {
        "training": [[0.5, 0.9]],
        "validation": [[1, 0.5]],
        "accuracy": [[1, 0.6]],
        "weighted F1": [[1, 0.7]],
    }


def test_the_base_is_the_revision_that_is_named_and_the_head_is_the_workspace(copy: Path, call: Call) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "more", cwd=copy)
    head, base = (git("rev-parse", "--short", name, cwd=copy).strip() for name in ("HEAD", "HEAD~1"))
    _, said, _ = call(tools.report.main, copy, "HEAD~1")
    assert said.startswith(f"### Results at `{head}`, against `{base}`\n")
    assert "\nbase: `HEAD~1`<br>head: `workspace`\n" in said


def test_each_side_bears_the_name_of_its_revision_and_is_drawn_again(
    workspace: Callable[..., Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def read(revision: str, title: str) -> pictures.Side:
        asked.append((revision, title))
        return trained(title)

    monkeypatch.setattr(pictures, "read", read)
    folder, drawn = workspace(), "report/confusion_matrices.png\nreport/curves.png\n"
    assert call(pictures.main, folder, "before", "0123456789abcdef") == (0, drawn, "")
    assert call(pictures.main, folder, "before") == (0, drawn, "")
    assert asked == [
        ("before", "base: before"),
        ("0123456789abcdef", "head: 0123456789ab"),
        ("before", "base: before"),
        ("workspace", "head: workspace"),
    ]


def test_two_revisions_without_results_are_an_error(
    workspace: Callable[..., Path], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "read", lambda *_: None)
    said = refused(pictures.main, workspace(), "one", "two")
    assert said == "one, two: neither has results to draw: run `dvc repro`"


def test_a_revision_whose_plots_are_nowhere_is_left_out(inside: Path) -> None:
    in_cache(inside, "metrics/plots").unlink()
    shutil.rmtree(inside / ".dvc/tmp")
    assert pictures.read("HEAD", "base") is None


def test_tables_that_cannot_be_fetched_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfReach:
        def read_text(self, *_: str, **__: str) -> str:
            raise ConnectionError("refused")

    monkeypatch.setattr(pictures, "files_at", lambda _: nullcontext(OutOfReach()))
    with pytest.raises(InputError, match=r"^before: cannot be fetched \(ConnectionError: refused\): run `dvc pull`$"):
        pictures.read("before", "base")


def trained(title: str, last: int = 1, loss: float = 0.5) -> pictures.Side:
    """A side whose training ended after ``last`` epochs, at a loss."""
    row = {"epoch": str(last), "loss": str(loss), "accuracy": str(loss / 2), "f1": str(loss / 3)}
    curves = {paths.TRAINING_CURVE: [row], paths.VALIDATION_CURVE: [row]}
    return pictures.Side(title, side(title, ["a", "b"], [("a", "a"), ("b", "a")]).tables | curves)


def test_the_curves_of_both_sides_have_their_names_one_scale_and_a_legend() -> None:
    figure = pictures.curves([trained("base: one", last=2), trained("head: two", last=6, loss=2.0)])
    losses, others, scores, their_scores = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["base: one", "head: two", "", ""]
    assert (losses.get_ylim(), scores.get_ylim()) == (others.get_ylim(), their_scores.get_ylim())
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert [axes.get_ylabel() for axes in (losses, scores)] == ["loss", "score on validation"]
    legends = [axes.get_legend() for axes in (losses, scores)]
    named = [[text.get_text() for text in legend.get_texts()] for legend in legends if legend]
    assert named == [["training", "validation"], ["accuracy", "weighted F1"]]


def test_without_a_classifier_a_report_names_no_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tools.report.machine_section() == ""

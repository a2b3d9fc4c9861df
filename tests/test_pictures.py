"""`tools.pictures` draws the confusion matrices and curves of two revisions beside each other."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from conftest import Call, Refused
from edits import forget_run, in_cache
from images import white_at_the_edges
from matplotlib.figure import Figure
from matplotlib.image import imread

from stages import paths
from stages.errors import InputError
from tools import pictures, results


def test_both_sides_are_drawn_side_by_side(copy: Path, call: Call) -> None:
    drawn(call, copy, sides=2)


def test_of_a_base_without_results_only_the_other_side_is_drawn(copy: Path, call: Call) -> None:
    forget_run(copy)
    drawn(call, copy, sides=1)


def drawn(call: Call, clone: Path, *, sides: int) -> None:
    code, _, error = call(pictures.main, clone, "HEAD")
    assert (code, error) == (0, "")
    for name in ("confusion_matrices.png", "curves.png"):
        height, width, _ = imread(clone / "report" / name).shape
        assert width / height == pytest.approx(sides, rel=0.25)


def test_revisions_that_git_does_not_know_are_named(pipeline: Path, refused: Refused) -> None:
    assert refused(pictures.main, pipeline, "nowhere").startswith("nowhere: ")


@pytest.mark.parametrize(("labels", "title"), [(20, "one"), (2, "w" * pictures.TITLE)])
def test_long_names_move_nothing_out_of_the_picture(
    workspace: Callable[..., Path], call: Call, monkeypatch: pytest.MonkeyPatch, labels: int, title: str
) -> None:
    names = [f"{number:02} {'long name ' * 2}" for number in range(labels)]
    both = side(title, names, [(name, name) for name in names])
    monkeypatch.setattr(pictures, "read", lambda *_: both)
    monkeypatch.setattr(pictures, "curves", lambda _: Figure())  # of no weight here
    folder = workspace()
    call(pictures.main, folder, "HEAD")
    assert white_at_the_edges(folder / "report/confusion_matrices.png")


def test_a_matplotlibrc_colors_no_picture(
    workspace: Callable[..., Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "read", lambda _, title: trained(title))
    folder = workspace()
    with mpl.rc_context({"figure.facecolor": "red"}):
        call(pictures.main, folder, "HEAD")
    assert (imread(folder / "report/curves.png")[0, 0, :3] == 1).all()  # white


def test_a_long_name_of_a_revision_is_broken_into_lines() -> None:
    sides = [trained(f"{name}: {'a-long-name/' * 4}") for name in ("base", "head")]
    for figure in (pictures.confusion(sides), pictures.curves(sides)):
        lines = [line for axes in figure.axes for line in axes.get_title().splitlines()]
        assert max(map(len, lines)) <= pictures.TITLE


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
    tables = {pictures.CONFUSION: rows, results.PER_CLASS: [{"label": name} for name in names]}
    return pictures.Side(title, tables, "do this")


def shares(axes: Any) -> Any:
    return axes.images[0].get_array().tolist()


def test_curves_are_of_the_columns_they_are_named_for() -> None:
    validation = [{"epoch": "1", "loss": "0.5", "accuracy": "0.6", "f1": "0.7", "f1_macro": "0.8"}]
    training = [{"epoch": "0.5", "loss": "0.9"}]
    found = {paths.TRAINING_CURVE: training, paths.VALIDATION_CURVE: validation}
    figure = pictures.curves([pictures.Side("one", found, "do this")])
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for axes in figure.axes for line in axes.lines}
    assert lines == {
        "training": [[0.5, 0.9]],
        "validation": [[1, 0.5]],
        "accuracy": [[1, 0.6]],
        "weighted F1": [[1, 0.7]],
        "macro F1": [[1, 0.8]],
    }


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
        ("0123456789abcdef", "head: 0123456789abcdef"),
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
    advice = "run `dvc push` where it was made, or check it out (`dvc exp apply` an experiment) and run `dvc repro`"
    with pytest.raises(InputError) as refused:
        pictures.read("before", "base")
    assert str(refused.value) == f"before: cannot be fetched (ConnectionError: refused): {advice}"


def test_a_curve_that_lacks_a_column_is_named() -> None:
    broken = trained("head: two")
    del broken.tables[paths.VALIDATION_CURVE][0]["accuracy"]
    said = rf"^head: two: {paths.VALIDATION_CURVE}: damaged \(KeyError: 'accuracy'\): do this$"
    with pytest.raises(InputError, match=said):
        pictures.curves([trained("base: one"), broken])


@pytest.mark.parametrize(
    ("table", "column"),
    [(pictures.CONFUSION, "label"), (pictures.CONFUSION, "prediction"), (results.PER_CLASS, "label")],
)
def test_a_matrix_that_lacks_a_column_is_named(table: str, column: str) -> None:
    broken = side("head: two", ["a", "b"], [("a", "a"), ("b", "a")])
    del broken.tables[table][0][column]
    with pytest.raises(InputError, match=rf"^head: two: {table}: damaged \(KeyError: '{column}'\): do this$"):
        pictures.confusion([broken])


def trained(title: str, last: int = 1, loss: float = 0.5) -> pictures.Side:
    """A side whose training ended after ``last`` epochs, at a loss."""
    names = ("loss", "accuracy", "f1", "f1_macro")
    row = {"epoch": str(last)} | {name: str(loss / part) for part, name in enumerate(names, 1)}
    curves = {paths.TRAINING_CURVE: [row], paths.VALIDATION_CURVE: [row]}
    return pictures.Side(title, side(title, ["a", "b"], [("a", "a"), ("b", "a")]).tables | curves, "do this")


def test_the_curves_of_both_sides_have_their_names_one_scale_and_a_legend() -> None:
    figure = pictures.curves([trained("base: one", last=2), trained("head: two", last=6, loss=2.0)])
    losses, others, scores, their_scores = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["base: one", "head: two", "", ""]
    assert (losses.get_ylim(), scores.get_ylim()) == (others.get_ylim(), their_scores.get_ylim())
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert [axes.get_ylabel() for axes in (losses, scores)] == ["loss", "score on validation"]
    legends = [axes.get_legend() for axes in (losses, scores)]
    named = [[text.get_text() for text in legend.get_texts()] for legend in legends if legend]
    assert named == [["training", "validation"], ["accuracy", "weighted F1", "macro F1"]]

"""The tables and pictures of the evaluation hold every label, whatever its name."""

import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from images import white_at_the_edges
from matplotlib.figure import Figure
from stand_ins import read_csv

from stages import plots


def draw(folder: Path, names: list[str], spread: float = 1.0) -> None:
    """Draw the plots of 20 made-up rows; a warning, such as that of a missing glyph, is an error."""
    generator = np.random.default_rng(0)
    labels = np.arange(20) % 2
    probabilities = generator.dirichlet([1, 1], 20).astype(np.float32)
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.draw(labels, probabilities, generator.normal(size=(20, 4)).astype(np.float32) * spread, names, folder)


def calibration_curve(folder: Path) -> list[tuple[float, float]]:
    return [(float(row["confidence"]), float(row["accuracy"])) for row in read_csv(folder / "calibration.csv")]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The pictures that are drawn, by their file names, in place of the files."""
    figures: dict[str, Figure] = {}
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.update({path.name: figure}))
    return figures


def test_a_label_with_a_carriage_return_is_one_row(tmp_path: Path) -> None:
    draw(tmp_path / "plots", ["a\rb", "c"])
    assert [row["label"] for row in read_csv(tmp_path / "plots/per_class.csv")] == ["a\rb", "c"]


def test_a_name_that_the_font_lacks_is_a_number_in_pictures_and_a_name_in_tables(tmp_path: Path) -> None:
    figure = Figure()
    plots.show_confusion(figure.add_subplot(), np.eye(3), ["a", "字", "é"], "")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "label 1", "é"]
    draw(tmp_path / "plots", ["a", "字"])
    assert "字" in (tmp_path / "plots/per_class.csv").read_text(encoding="utf-8")


def test_names_that_begin_alike_are_numbers_where_they_are_cut() -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.eye(3), ["a" * 40 + "b", "a" * 40 + "c", "d" * 40], "")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["label 0", "label 1", "d" * 29 + "…"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["字", "label 0", "label 7"], ["label 0", "label 1", "label 7"]),
        (["字", "label 2", "label 0"], ["label 0", "label 1", "label 2"]),
        (["label 1", "label 0", "label 3"], ["label 1", "label 0", "label 3"]),
    ],
)
def test_a_name_that_looks_like_the_number_of_another_is_a_number_too(names: list[str], shown: list[str]) -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.eye(3), names, "")
    assert [text.get_text() for text in axes.get_yticklabels()] == shown


def test_a_share_is_written_where_it_is_not_zero() -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.array([[0.996, 0.004], [0.0, 1.0]]), ["a", "b"], "")
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.00", "1.00"]


def test_axes_of_very_many_labels_have_a_few_numbers_in_place_of_all_names() -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.eye(200), [f"topic {number}" for number in range(200)], "")
    assert axes.get_xlabel() == "prediction, by its number"
    assert "100" in [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(axes.get_xticks()) < 20


@pytest.mark.parametrize(
    ("count", "label", "size"),
    [(40, "label", 9), (41, "label", 5), (100, "label", 5), (101, "label, by its number", 9)],
)
def test_up_to_100_labels_are_named_beside_a_confusion_matrix(count: int, label: str, size: int) -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.eye(count), [*map(str, range(count))], "")
    assert (axes.get_ylabel(), axes.get_xticklabels()[0].get_fontsize()) == (label, size)


def test_the_cells_of_many_labels_have_no_figures() -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.full((41, 41), 1 / 41), [*map(str, range(41))], "")
    assert not axes.texts


def test_a_confusion_matrix_grows_with_its_labels_only_up_to_a_size() -> None:
    assert [plots.confusion_size(labels) for labels in (2, 40, 41, 1000)] == [4.0, 24.0, 14.0, 14.0]


def test_hidden_states_of_too_many_labels_for_a_legend_have_a_scale_of_their_numbers(
    tmp_path: Path, saved: dict[str, Figure]
) -> None:
    labels = np.arange(41)
    plots.draw(labels, np.eye(41, dtype=np.float32), np.eye(41, dtype=np.float32), [*map(str, labels)], tmp_path)
    _, scale = saved["hidden_states.png"].axes
    assert not saved["hidden_states.png"].legends
    assert (scale.get_ylabel(), scale.get_ylim()) == ("label, by its number", (0, 40))


@pytest.mark.parametrize(("count", "legend"), [(10, True), (11, True), (20, True), (21, False)])
def test_each_label_has_a_color_of_its_own_and_up_to_20_a_legend(
    tmp_path: Path, saved: dict[str, Figure], count: int, *, legend: bool
) -> None:
    states = np.eye(count, dtype=np.float32)
    plots.draw(np.arange(count), states, states, [*map(str, range(count))], tmp_path)
    figure = saved["hidden_states.png"]
    assert len({tuple(cloud.get_facecolor()[0]) for cloud in figure.axes[0].collections}) == count
    assert bool(figure.legends) == legend


def test_hidden_states_that_are_all_alike_are_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "plots", ["a", "b"], spread=0.0)
    assert (tmp_path / "plots/hidden_states.png").exists()


def test_hidden_states_of_many_rows_are_drawn_the_same_twice(tmp_path: Path, saved: dict[str, Figure]) -> None:
    labels, hidden = np.arange(600) % 2, np.random.default_rng(0).normal(size=(600, 100)).astype(np.float32)
    points = []
    for _ in range(2):
        plots.draw(labels, np.eye(2, dtype=np.float32)[labels], hidden, ["a", "b"], tmp_path)
        points.append(np.asarray(saved["hidden_states.png"].axes[0].collections[0].get_offsets()))
    assert np.array_equal(points[0], points[1])


def test_a_title_wider_than_its_axes_stays_in_the_picture(tmp_path: Path) -> None:
    draw(tmp_path / "plots", ["a long name " * 2, "b"])
    assert white_at_the_edges(tmp_path / "plots/confusion_matrix.png")


def test_a_matplotlibrc_changes_no_picture(tmp_path: Path) -> None:
    draw(tmp_path / "plain", ["a", "b"])
    with mpl.rc_context({"figure.facecolor": "red", "savefig.dpi": 30}):
        draw(tmp_path / "odd", ["a", "b"])
    pictures = sorted((tmp_path / "plain").glob("*.png"))
    assert pictures
    for picture in pictures:
        assert (tmp_path / "odd" / picture.name).read_bytes() == picture.read_bytes()


def test_the_tables_have_each_rows_label_and_prediction_and_its_confidence(tmp_path: Path) -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.91, 0.09], [0.05, 0.95], [0.3, 0.7], [0.3, 0.7]], dtype=np.float32)
    plots.draw(labels, probabilities, np.eye(4, dtype=np.float32), ["a", "b"], tmp_path)
    pairs = [(row["label"], row["prediction"]) for row in read_csv(tmp_path / "confusion_matrix.csv")]
    assert pairs == [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")]
    assert calibration_curve(tmp_path) == [(0.7, 1.0), (0.93, 0.5)]


def test_the_scores_of_each_label_stand_under_their_names(tmp_path: Path) -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.3, 0.7]], dtype=np.float32)
    plots.draw(labels, probabilities, np.eye(4, dtype=np.float32), ["a", "b"], tmp_path)
    rows = read_csv(tmp_path / "per_class.csv")
    assert [(row["label"], row["precision"], row["recall"]) for row in rows] == [
        ("a", "1.0", "0.3333"),
        ("b", "0.3333", "1.0"),
    ]


@pytest.fixture
def pictures(tmp_path: Path, saved: dict[str, Figure]) -> dict[str, Figure]:
    """The pictures, by their file names, of three rows of one label and one of another."""
    labels = np.array([0, 0, 1, 0])
    probabilities = np.array([[0.91, 0.09], [0.05, 0.95], [0.22, 0.78], [0.37, 0.63]], dtype=np.float32)
    hidden = np.array([[0.0, 1.0], [1.0, 0.0], [9.0, 9.0], [0.0, 0.0]], dtype=np.float32)
    plots.draw(labels, probabilities, hidden, ["a", "b"], tmp_path)
    return saved


def test_each_row_of_the_confusion_matrix_in_the_picture_sums_to_1(pictures: dict[str, Figure]) -> None:
    (image,) = pictures["confusion_matrix.png"].axes[0].images
    np.testing.assert_allclose(np.asarray(image.get_array()), np.array([[1, 2], [0, 3]]) / 3)


def test_a_confusion_matrix_names_its_axes_and_has_one_scale_of_shades_whatever_the_shares() -> None:
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.full((2, 2), 0.5), ["a", "b"], "")
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "prediction")
    assert axes.images[0].get_clim() == (0, 1)


def test_the_calibration_curve_is_drawn_as_it_is_written(pictures: dict[str, Figure], tmp_path: Path) -> None:
    (curve,) = [line for line in pictures["calibration.png"].axes[0].lines if line.get_label() == "classifier"]
    assert list(map(tuple, np.asarray(curve.get_xydata()).round(4).tolist())) == calibration_curve(tmp_path)


def test_the_calibration_curve_has_a_point_for_each_tenth(pictures: dict[str, Figure], tmp_path: Path) -> None:
    assert pictures
    assert calibration_curve(tmp_path) == [(0.63, 0.0), (0.78, 1.0), (0.93, 0.5)]


def test_each_cloud_of_hidden_states_is_of_the_rows_of_the_label_beside_it(pictures: dict[str, Figure]) -> None:
    axes = pictures["hidden_states.png"].axes[0]
    (legend,) = pictures["hidden_states.png"].legends
    names = [text.get_text() for text in legend.get_texts()]
    clouds = dict(zip(names, (np.asarray(cloud.get_offsets()) for cloud in axes.collections), strict=True))
    assert {name: len(points) for name, points in clouds.items()} == {"a": 3, "b": 1}
    assert abs(clouds["b"][0, 0]) > np.abs(clouds["a"][:, 0]).max()  # it lies far from the others


def test_each_of_many_labels_has_a_color_of_its_own(tmp_path: Path, saved: dict[str, Figure]) -> None:
    labels = np.arange(30)
    plots.draw(labels, np.eye(30, dtype=np.float32), np.eye(30, dtype=np.float32), [*map(str, labels)], tmp_path)
    clouds = saved["hidden_states.png"].axes[0].collections
    assert len({tuple(np.asarray(cloud.get_facecolor())[0]) for cloud in clouds}) == 30


def test_a_name_is_drawn_as_it_is_where_it_looks_like_mathematics(tmp_path: Path) -> None:
    names = ["costs $1", r"$\no$ formula"]
    draw(tmp_path / "plots", names)  # where it is read as mathematics, \no is an error
    axes = Figure().add_subplot()
    plots.show_confusion(axes, np.eye(2), names, "")
    assert [text.get_text() for text in axes.get_yticklabels()] == names


def test_a_label_of_no_row_has_scores_of_0(tmp_path: Path) -> None:
    draw(tmp_path / "plots", ["a", "b", "of no row"])
    assert [(row["label"], row["f1"], row["support"]) for row in read_csv(tmp_path / "plots/per_class.csv")][2:] == [
        ("of no row", "0.0", "0")
    ]

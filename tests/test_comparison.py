"""What a comparison finds and how it is written, on runs that stand in for those of the pipeline."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tools import comparison, formatting, rendering
from tools.formatting import signed
from tools.revisions import Run


def stand_in_run(revision: str, classes: int, params: dict[str, Any], inputs: dict[str, str]) -> Run:
    """A run on five rows a label, half of which it gets right."""
    labels = np.repeat(np.arange(classes), 5)
    names = [f"label {number}" for number in range(classes)]
    predictions = np.where(np.arange(labels.size) % 2, labels, 0)
    return Run(revision, names, labels, predictions, "one", params, inputs)


def test_params_and_inputs_that_stand_on_one_side_only_are_named() -> None:
    base = stand_in_run("old", 3, {"train.seed": 1, "train.epochs": 2}, {"same": "1", "edited": "2", "gone": "3"})
    head = stand_in_run("new", 3, {"train.seed": 1, "train.warmup": None}, {"same": "1", "edited": "4", "added": "5"})
    result = comparison.compare([base], [head])
    assert result.inputs == {"added": "only in head", "edited": "changed", "gone": "only in base"}
    assert result.params == {
        "train.epochs": {"base": [2], "head": []},
        "train.warmup": {"base": [], "head": [None]},
    }
    written = rendering.markdown(result)
    assert "| param | base | head |\n| --- | --- | --- |\n| `train.epochs` | `2` | `-` |" in written
    assert "| `train.warmup` | `-` | `null` |" in written
    assert "| `added` | only in head |\n| `edited` | changed |\n| `gone` | only in base |" in written


def test_another_order_of_the_labels_is_not_comparable_and_is_told_from_another_set() -> None:
    base = stand_in_run("old", 3, {}, {})
    head = replace(base, revision="new", names=["label 0", "label 2", "label 1"])
    result = comparison.compare([base], [head])
    assert result.verdict == "not comparable"
    assert result.reason == ("the labels are ordered differently: label 1 is `label 1` at `old`, `label 2` at `new`")


def test_of_many_labels_that_only_one_side_has_a_few_are_named() -> None:
    base = stand_in_run("old", 3, {}, {})
    head = replace(base, revision="new", names=[*base.names, *(f"more {number}" for number in range(9))])
    result = comparison.compare([base], [head])
    assert result.reason == (
        "the label sets differ: only `new` has `more 0`, `more 1`, `more 2`, `more 3`, `more 4` and 4 more"
    )
    head = replace(head, names=head.names[:-4])
    assert comparison.compare([base], [head]).reason == result.reason.removesuffix(" and 4 more")


def test_a_difference_too_small_for_four_digits_is_not_written_as_0() -> None:
    assert [signed(value) for value in (0.1, -0.00004, 2e-5, -1e-12, 0.0)] == [
        "+0.1000", "-4e-05", "+2e-05", "+0.0000", "+0.0000"
    ]  # fmt: skip


@pytest.mark.parametrize(("rows", "folded"), [(12, False), (13, True)])
def test_a_table_of_more_than_a_dozen_rows_is_folded(rows: int, *, folded: bool) -> None:
    assert formatting.markdown_table(("a",), [("b",)] * rows).startswith("<details>") == folded


def test_many_labels_are_folded_in_markdown() -> None:
    runs = [stand_in_run("one", 80, {}, {})]
    assert "<details><summary>80 rows</summary>\n\n| label |" in rendering.markdown(comparison.compare(runs, runs))
    runs = [stand_in_run("one", 6, {}, {})]
    assert "<details>" not in rendering.markdown(comparison.compare(runs, runs))


def test_each_run_of_a_side_is_to_be_of_one_test_file() -> None:
    run = stand_in_run("one", 3, {}, {})
    assert comparison.compare([run], [run, replace(run, test_file="other")]).verdict == "not comparable"


def test_runs_that_do_not_say_what_they_judged_are_not_comparable_even_with_each_other() -> None:
    run = replace(stand_in_run("one", 3, {}, {}), test_file=None)
    result = comparison.compare([run], [run])
    assert result.verdict == "not comparable"
    assert result.reason.startswith("`one` does not say which `data/raw/test.parquet` it was evaluated on: ")


def test_each_run_of_a_side_is_to_have_the_same_labels() -> None:
    run = stand_in_run("one", 3, {}, {})
    other = replace(run, revision="other", names=["label 1", "label 0", "label 2"])
    assert comparison.compare([run, other], [run]).verdict == "not comparable"


def test_the_rows_are_those_of_the_test_split() -> None:
    run = stand_in_run("one", 3, {}, {})
    assert comparison.compare([run], [run]).rows == 15


def test_f1_by_label_of_several_seeds_is_their_mean() -> None:
    one = stand_in_run("one", 3, {}, {})
    two = replace(one, predictions=one.labels)
    alone = [comparison.compare([one], [run]).labels for run in (one, two)]
    together = comparison.compare([one], [one, two]).labels
    assert alone[0] != alone[1]
    assert [label.head for label in together] == [
        (first.head + second.head) / 2 for first, second in zip(*alone, strict=True)
    ]


def test_each_figure_of_a_table_stands_on_its_side() -> None:
    base = stand_in_run("old", 2, {}, {})
    result = comparison.compare([base], [replace(base, revision="new", predictions=base.labels)])
    lines = rendering.markdown(result).splitlines()
    low, high = map(signed, result.metrics["accuracy"].interval or ())
    assert low < high
    assert f"| `accuracy` | 0.8000 | 1.0000 | +0.2000<br>{low} to {high} |" in lines
    assert "| metric | base | head | change<br>95% interval |" in lines
    assert "| label | rows | F1<br>base to head | change |" in lines
    assert "| `label 0` | 5 | 0.8333 to 1.0000 | +0.1667 |" in lines
    assert "| `label 1` | 5 | 0.7500 to 1.0000 | +0.2500 |" in lines


def test_it_is_said_how_many_seeds_each_side_has() -> None:
    run = stand_in_run("one", 2, {}, {})
    assert "(2 seeds against 3, also resampled)" in str(comparison.compare([run] * 2, [run] * 3).interval_covers)


def test_a_small_p_of_mcnemars_test_is_not_written_as_0() -> None:
    base = stand_in_run("old", 6, {}, {})
    result = comparison.compare([base], [replace(base, revision="new", predictions=base.labels)])
    assert "McNemar's exact test: p = 0.000488 (0 rows right only in base, 12 only in head)." in rendering.notes(result)


def test_nothing_is_said_of_intervals_where_the_sides_are_not_comparable() -> None:
    run = stand_in_run("one", 3, {}, {})
    assert list(rendering.notes(comparison.compare([run], [replace(run, test_file="other")]))) == []


def test_a_label_without_a_difference_has_one_of_0() -> None:
    run = stand_in_run("one", 2, {}, {})
    lines = rendering.markdown(comparison.compare([run], [run])).splitlines()
    assert "| `label 1` | 5 | 0.7500 to 0.7500 | +0.0000 |" in lines


@pytest.mark.parametrize(("base", "head"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_mcnemars_test_is_of_one_run_against_one(base: int, head: int) -> None:
    run = stand_in_run("one", 2, {}, {})
    assert (comparison.compare([run] * base, [run] * head).mcnemar is not None) == (base == head == 1)


@pytest.mark.parametrize(
    ("gained", "verdict", "ending"),
    [
        (4, "within noise", "is above 0, but McNemar's exact test does not confirm it: p = 0.125"),
        (5, "within noise", "is above 0, but McNemar's exact test does not confirm it: p = 0.0625"),
        (6, "better", "is above 0"),
    ],
)
def test_a_handful_of_rows_makes_no_model_better(gained: int, verdict: str, ending: str) -> None:
    base = stand_in_run("old", 60, {}, {})
    wrong = np.flatnonzero(base.predictions != base.labels)[:gained]
    predictions = base.predictions.copy()
    predictions[wrong] = base.labels[wrong]
    result = comparison.compare([base], [replace(base, revision="new", predictions=predictions)])
    assert (result.verdict, result.reason.endswith(ending)) == (verdict, True)
    worse = comparison.compare([replace(base, revision="new", predictions=predictions)], [base])
    assert worse.worse_by_more_than(0) == (verdict == "better")


@pytest.mark.parametrize("seeds", [1, 2])
def test_an_interval_that_begins_or_ends_at_0_includes_it(seeds: int) -> None:
    base = stand_in_run("old", 3, {}, {})
    predictions = base.predictions.copy()
    predictions[np.flatnonzero(predictions != base.labels)[0]] += 1  # of the label 1, where 0 was predicted
    head, several = replace(base, predictions=predictions), [base] * seeds
    assert (head.predictions == base.labels).sum() == (base.predictions == base.labels).sum() + 1
    for one, two, ends_at_0 in (
        (several, [head], [True, False]),
        ([head], several, [False, True]),
        (several, [base], [True] * 2),
    ):
        result = comparison.compare(one, two)
        assert [end == 0 for end in result.metrics["accuracy"].interval or ()] == ends_at_0
        assert (result.verdict, result.reason.endswith("includes 0")) == ("within noise", True)


def test_a_name_stays_code_whatever_it_holds() -> None:
    assert formatting.code("a `label`\nof  two lines") == "`a 'label' of two lines`"


def test_the_order_in_which_seeds_are_named_is_no_difference_between_sides() -> None:
    one, two = (stand_in_run(name, 2, {"train.seed": seed}, {}) for name, seed in (("one", 1), ("two", 2)))
    assert comparison.compare([one, two], [two, one]).params == {}


def test_labels_without_a_test_row_are_listed_with_none() -> None:
    run = stand_in_run("one", 3, {}, {})
    run = replace(run, names=[*run.names, "of no row"])
    result = comparison.compare([run], [run])
    last = result.labels[-1]
    assert (last.label, last.rows, last.base, last.head) == ("of no row", 0, 0, 0)
    assert "| `of no row` | 0 | - | - |" in rendering.markdown(result).splitlines()


def test_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(stand_in_run("one", 3, {}, {}), names=["[b]bold", ":joy:", "caf\u00e9"])
    other = replace(run, params={"dataset.labels": run.names})
    rendering.show(comparison.compare([run], [other]))
    said = capsys.readouterr().out
    assert all(said.count(name) == 2 for name in run.names)  # as a label and as a value of a param


def test_a_verdict_is_one_line_however_long_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run, other = (replace(stand_in_run("one", 3, {}, {}), names=[*"abcde", last * 80]) for last in ("f", "g"))
    rendering.show(comparison.compare([run], [other]))
    verdict = capsys.readouterr().out.splitlines()[0]
    assert verdict.startswith("not comparable: the label sets differ: only `one` has")
    assert verdict.count("`") == 8

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.comparison import tables
from baselines.comparison.entries import Group, group_evaluations, read_evaluation
from baselines.comparison.pairs import Pair, compare_pairs
from baselines.comparison.paper import TABLE_4
from baselines.scores import Scores
from baselines.significance import Difference
from bigearthnet.release.nomenclature import CLC_LEVEL1
from bigearthnet.report.page import Table

MakeScores = Callable[..., Scores]
MakeWorkdir = Callable[..., Path]
MakeGroup = Callable[..., Group]

RANDOM = {"config": "s2-random", "split_scheme": "random"}


@pytest.fixture
def make_group(make_workdir: MakeWorkdir) -> MakeGroup:
    """Makes a group of runs, each said as changes of the default."""

    def make(*runs: dict[str, Any]) -> Group:
        workdirs = [make_workdir(str(n), **run) for n, run in enumerate(runs)]
        (group,) = group_evaluations(
            [read_evaluation(workdir, "test") for workdir in workdirs]
        )
        return group

    return make


def find_rows(table: Table, model: str) -> list[dict[str, str]]:
    """The rows of a model, by the titles of columns."""
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    return [row for row in rows if row[table.header[0]] == model]


def test_our_row_stands_below_the_papers(make_group: MakeGroup) -> None:
    """Table 4 has the paper's rows as printed, ours, and the split in each."""
    table = tables.make_headline_table(make_group(RANDOM))
    paper, ours = find_rows(table, "S-CNN-All")

    assert [*(r.title for r in TABLE_4.values()), "S-CNN-All"] == [
        row[0] for row in table.rows
    ]
    assert ("69.93", "77.10", "0.7098", "0.7384") == tuple(
        paper[name] for name in ("P %", "R %", "F1", "F2")
    )
    assert ("paper", "random, the paper's own") == (paper["Source"], paper["Split"])
    assert ("ours, seed 0", "v1.0 random, test", "120") == (
        ours["Source"],
        ours["Split"],
        ours["Patches"],
    )
    assert any("never published" in note for note in table.notes)
    assert any(
        "Patches without a label, which count as 0: 0." in n for n in table.notes
    )


def test_the_official_table_has_no_row_of_the_paper(make_group: MakeGroup) -> None:
    """Of the official split, a note says where the paper's figures stand."""
    table = tables.make_headline_table(make_group({}))

    assert ["S-CNN-All"] == [row[0] for row in table.rows]
    assert any("on another split than this table's" in note for note in table.notes)


def test_seeds_are_mean_and_deviation(make_group: MakeGroup) -> None:
    """Several seeds of a model are one row."""
    group = make_group({}, {"seed": 1}, {"seed": 2})
    (ours,) = find_rows(tables.make_headline_table(group), "S-CNN-All")
    values = [r.result.metrics.per_patch.f1 for r in group.entries[0].runs]

    assert "ours, 3 seeds" == ours["Source"]
    assert tables.format_values(values) == ours["F1"]
    assert tables.format_values([0.25, 0.75]) == "0.5000 ± 0.3536"


def test_what_is_no_result_is_marked_in_its_row(make_group: MakeGroup) -> None:
    """Random weights stand in the remarks of the row they concern."""
    group = make_group({"model": "inception_v2", "weights_source": "random"}, {})
    table = tables.make_headline_table(group)

    assert "RANDOM frozen weights" == find_rows(table, "Inception-v2")[0]["Remarks"]
    assert "" == find_rows(table, "S-CNN-All")[0]["Remarks"]


def test_other_levels_have_no_row_of_the_paper(
    make_group: MakeGroup, make_scores: MakeScores
) -> None:
    """The paper's figures are those of 43 classes."""
    scores = make_scores(num_classes=5)
    group = make_group({**RANDOM, "nomenclature": CLC_LEVEL1, "scores": scores})

    assert 1 == len(tables.make_headline_table(group).rows)


def test_tuned_thresholds_have_a_table_of_their_own(make_group: MakeGroup) -> None:
    """Only models with a tuned threshold are in it, each with its threshold."""
    group = make_group({"tuned_threshold": 0.6}, {"model": "s_cnn_rgb"})
    table = tables.make_tuned_table(group)

    assert table is not None
    assert ["S-CNN-All"] == [row[0] for row in table.rows]
    (row,) = find_rows(table, "S-CNN-All")
    tuned = group.entries[1].runs[0].result.tuned
    assert tuned is not None
    assert ("0.6", "validation", f"{tuned.metrics.per_patch.f1:.4f}") == (
        row["Threshold"],
        row["Tuned on"],
        row["F1"],
    )
    assert tables.make_tuned_table(make_group({"model": "x"})) is None


def test_every_class_and_metric_is_listed(make_group: MakeGroup) -> None:
    """Other metrics have a column, classes two columns for each model."""
    group = make_group({"model": "s_cnn_rgb"}, {})
    metrics = group.entries[1].runs[0].result.metrics
    classes = tables.make_class_table(group)
    others = tables.make_metrics_table(group)

    assert 43 == len(classes.rows)
    assert f"{metrics.classes[2].f1:.3f}" == classes.rows[2][4]
    assert f"{metrics.classes[2].average_precision:.3f}" == classes.rows[2][5]
    assert f"{metrics.classes[2].patches}" == classes.rows[2][1]
    (row,) = find_rows(others, "label ranking average precision")
    assert f"{metrics.ranking.lrap:.4f}" == row["S-CNN-All"]
    (row,) = find_rows(others, "F1, micro")
    assert f"{metrics.micro.f1:.4f}" == row["S-CNN-All"]


def test_absent_classes_have_no_figures(
    make_group: MakeGroup, make_scores: MakeScores
) -> None:
    """What is not defined is a dash."""
    scores = make_scores()
    scores.y_true[:, 42] = 0
    table = tables.make_class_table(make_group({"scores": scores}))

    assert ("Sea and ocean", "–", "–", "–") == table.rows[42]


def test_differences_have_both_tests(make_group: MakeGroup) -> None:
    """A row has interval, both p-values and the t-test, which is labelled."""
    group = make_group({"quality": 0.45}, {"model": "s_cnn_rgb", "quality": 0.3})
    table = tables.make_pairs_table(compare_pairs(group))
    row = dict(zip(table.header, table.rows[2], strict=True))

    assert ("S-CNN-All − S-CNN-RGB", "F1") == (row["Models"], row["Metric"])
    assert "< 1e-5" == row["p"]
    assert "< 4e-5" == row["p, corrected"]
    assert row["95 % interval"].startswith("+0.")
    assert "p of a paired t-test (treats patches as independent)" in row
    assert any("20 products" in note for note in table.notes)
    assert any("Holm for 4 tests" in note for note in table.notes)


def test_few_products_are_said_to_be_few() -> None:
    """Without a p-value there is a dash, and a note why."""
    difference = Difference(0.1, 0.0, 0.2, 30, 14, None, None, 0.0213)
    table = tables.make_pairs_table([Pair("a", "b", "f1", difference)])

    assert ("–", "–", "0.021") == table.rows[0][4:]
    assert any("14 products are fewer than 15" in note for note in table.notes)
    assert not any("Holm" in note for note in table.notes)


@pytest.mark.parametrize(
    ("p_value", "is_bound", "text"),
    [
        (None, False, "–"),
        (1.0, False, "1.000"),
        (0.0123, False, "0.012"),
        (0.00052, False, "5.2e-4"),
        (1 / 100_001, True, "< 1e-5"),
        (4 / 100_001, True, "< 4e-5"),
        (3e-200, False, "3e-200"),
    ],
)
def test_p_values_are_short(p_value: float | None, is_bound: bool, text: str) -> None:
    """Small p-values are powers of ten; the least of a drawn test is a bound."""
    assert text == tables.format_p(p_value, is_bound=is_bound)

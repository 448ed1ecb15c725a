from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.evaluations import Result
from baselines.results import evaluation_folder, read_results
from baselines.results_text import format_results
from bigearthnet.release.nomenclature import CLC_LEVEL1

MakeWorkdir = Callable[..., Path]
MakeScores = Callable[..., object]


@pytest.fixture
def results(make_workdir: MakeWorkdir, make_scores: MakeScores) -> list[Result]:
    """An evaluation with a tuned threshold, and one of a derived level."""
    folder = make_workdir("fine", tuned_threshold=0.25, synthetic_patches=3)
    coarse = make_workdir(
        "coarse",
        nomenclature=CLC_LEVEL1,
        derived_from="clc43",
        scores=make_scores(num_classes=len(CLC_LEVEL1)),
        tuned_threshold=0.4,
    )
    return [
        read_results(evaluation_folder(folder, "test")),
        read_results(evaluation_folder(coarse, "test", CLC_LEVEL1)),
    ]


def test_the_headline_comes_first(results: list[Result]) -> None:
    """P, R, F1, F2 per patch stand in the first row, tuned ones behind them."""
    lines = format_results(results).splitlines()
    header = next(n for n, line in enumerate(lines) if line.startswith("averaged"))
    tuned = results[0].tuned
    assert tuned is not None
    expected = [
        f"{value:.4f}"
        for metrics in (results[0].metrics, tuned.metrics)
        for value in dataclasses.astuple(metrics.per_patch)
    ]

    assert ["P", "R", "F1", "F2", "P*", "R*", "F1*", "F2*"] == lines[header].split()[1:]
    assert ["per", "patch", *expected] == lines[header + 1].split()
    assert any("tuned on validation for F1 per patch: 0.25, 0.4" in x for x in lines)
    assert any(line.startswith("per patch, clc_level1, derived") for line in lines)


def test_what_must_be_said_is_said(results: list[Result]) -> None:
    """Split, number of patches, those without a label, and remarks stand above."""
    metrics = results[0].metrics
    above = format_results(results).partition("averaged")[0]

    assert f"official split test: {metrics.patches:,} patches" in above
    assert f"{metrics.unlabelled_patches} of them without a label" in above
    assert "!! SYNTHETIC patches" in above


def test_classes_are_listed_by_frequency(results: list[Result]) -> None:
    """Classes that are neither present nor predicted are left out; names are whole."""
    classes = list(results[0].metrics.classes)
    classes[5] = dataclasses.replace(classes[5], patches=0, predicted=0)
    classes[6] = dataclasses.replace(classes[6], patches=0, predicted=3)
    metrics = dataclasses.replace(results[0].metrics, classes=tuple(classes))
    changed = dataclasses.replace(results[0], metrics=metrics)
    lines = format_results([changed]).splitlines()
    rows = lines[next(n for n, x in enumerate(lines) if x.startswith("class")) + 1 :]
    counts = [row[48:57].strip() for row in rows if len(row) > 48]
    labels = " ".join(" ".join(row[:48].split()) for row in rows)

    assert 42 == len(counts)
    assert sorted(map(int, counts[:-1]), reverse=True) == [*map(int, counts[:-1])]
    assert ["–", "3", *"–––––"] == rows[-1][48:].split()
    assert all(row.label in labels for row in (*classes[:5], *classes[6:]))
    assert not any(row.startswith("Airports") for row in rows)

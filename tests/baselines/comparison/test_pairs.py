from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.comparison.entries import group_evaluations, read_evaluation
from baselines.comparison.pairs import Pair, compare_pairs
from baselines.decisions import METRICS
from baselines.significance import holm

MakeWorkdir = Callable[..., Path]


@pytest.fixture
def compare(make_workdir: MakeWorkdir) -> Callable[..., list[Pair]]:
    """Compares models of some names and qualities."""

    def compare_models(**models: float) -> list[Pair]:
        runs = [
            read_evaluation(
                make_workdir(
                    model,
                    model=model,
                    quality=quality,
                    weights_source="random" if model == "inception_v2" else "scratch",
                ),
                "test",
            )
            for model, quality in models.items()
        ]
        (group,) = group_evaluations(runs)
        return compare_pairs(group)

    return compare_models


def test_each_pair_and_metric_is_compared(compare: Callable[..., list[Pair]]) -> None:
    """Later models of the paper's order minus earlier ones, in all four metrics."""
    pairs = compare(s_cnn_all=0.45, s_cnn_rgb=0.35, third=0.3)
    names = [("S-CNN-All", "S-CNN-RGB"), ("third", "S-CNN-RGB"), ("third", "S-CNN-All")]

    assert [(*n, metric) for n in names for metric in METRICS] == [
        (p.one, p.other, p.metric) for p in pairs
    ]
    assert all(p.difference.mean > 0 for p in pairs[:4])
    assert all(p.difference.mean < 0 for p in pairs[8:])


def test_all_tests_of_a_group_are_one_family(
    compare: Callable[..., list[Pair]],
) -> None:
    """Holm's correction counts every pair and metric."""
    differences = [p.difference for p in compare(a=0.42, b=0.4, c=0.38)]
    p_values = [d.p_value for d in differences if d.p_value is not None]

    assert 12 == len(p_values)
    assert holm(p_values) == [d.p_holm for d in differences]


def test_random_weights_are_left_out(compare: Callable[..., list[Pair]]) -> None:
    """No statement is made about a model with random frozen weights."""
    pairs = compare(inception_v2=0.1, s_cnn_rgb=0.4, s_cnn_all=0.45)

    assert {("S-CNN-All", "S-CNN-RGB")} == {(p.one, p.other) for p in pairs}
    assert [] == compare(inception_v2=0.1, s_cnn_rgb=0.4)


@pytest.mark.parametrize("use", ["train_split", "chosen_on"])
def test_patches_seen_in_training_are_left_out(
    make_workdir: MakeWorkdir, use: str
) -> None:
    """No statement is made from patches that trained a model or chose its weights."""
    changes = {"split": "excluded", use: "excluded"}
    runs = [
        read_evaluation(make_workdir(model, model=model, **changes), "excluded")
        for model in ("a", "b")
    ]
    (group,) = group_evaluations(runs)

    assert [] == compare_pairs(group)

from __future__ import annotations

import numpy as np
import pytest

from baselines.decisions import (
    METRICS,
    THRESHOLD_GRID,
    patch_scores,
    predict,
    tune_threshold,
)
from baselines.errors import ResultError
from baselines.metrics import compute_metrics


def test_a_probability_of_the_threshold_is_predicted() -> None:
    """The threshold is included, and compared in the precision of the scores."""
    probability = np.array([[0.3, 0.5, np.nextafter(np.float32(0.5), 0)]], np.float32)

    assert [[1, 1, 1]] == predict(probability, 0.3).tolist()
    assert [[0, 1, 0]] == predict(probability, 0.5).tolist()


def test_scores_of_patches_average_to_the_headline() -> None:
    """The mean over patches of each score is scikit-learn's average."""
    random = np.random.default_rng(0)
    y_true = random.integers(0, 2, (50, 4), dtype=np.uint8)
    probability = random.random((50, 4), dtype=np.float32)
    y_true[3], probability[4] = 0, 0
    scores = patch_scores(y_true, predict(probability, 0.6))
    headline = compute_metrics(y_true, probability, 0.6).per_patch

    assert METRICS == tuple(scores)
    for name, values in scores.items():
        assert values.shape == (50,)
        assert values.mean() == pytest.approx(getattr(headline, name), abs=1e-15)


def test_scores_of_a_patch_are_those_of_the_formula() -> None:
    """One of two labels found with three predictions: F2 leans to recall."""
    scores = patch_scores(
        np.array([[1, 1, 0, 0, 0]], np.uint8), np.array([[1, 0, 1, 1, 0]], np.uint8)
    )

    assert {"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5, "f2": 5 / 11} == {
        name: pytest.approx(values[0]) for name, values in scores.items()
    }


def test_the_threshold_with_the_best_f1_is_found() -> None:
    """Labels that score 0.3 and others 0.2 are told apart nearest to 0.5."""
    y_true = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
    probability = np.where(y_true == 1, 0.3, 0.2).astype(np.float32)

    assert 0.3 == tune_threshold(y_true, probability)


def test_equally_good_thresholds_give_the_nearest_to_one_half() -> None:
    """Where the threshold does not matter it stays 0.5."""
    y_true = np.array([[1, 0]], np.uint8)

    assert 0.5 == tune_threshold(y_true, y_true.astype(np.float32))
    assert 0.5 in THRESHOLD_GRID


def test_scores_that_are_no_probabilities_are_not_tuned() -> None:
    """A threshold is not tuned on logits."""
    with pytest.raises(ResultError, match="not logits"):
        tune_threshold(np.ones((1, 2), np.uint8), np.full((1, 2), 7, np.float32))

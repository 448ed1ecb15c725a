from __future__ import annotations

import numpy as np
import pytest

from baselines.errors import ResultError
from baselines.frequency import FrequencyF1, frequency_f1

TRAIN = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 1, 0]], np.uint8)


def test_the_most_frequent_classes_are_predicted() -> None:
    """Classes 0 (3 of 4) and 2 (2 of 4) are predicted, 2 only up to one half."""
    test = np.array([[1, 0, 0], [1, 0, 1]], np.uint8)

    assert FrequencyF1(
        pytest.approx((2 / 3 + 1) / 2), pytest.approx(5 / 6), (0, 2)
    ) == (frequency_f1(TRAIN, test))
    assert frequency_f1(TRAIN, test, 0.6).at_threshold == pytest.approx(5 / 6)


def test_nothing_is_chosen_on_the_test_labels() -> None:
    """Other test labels change the scores but not the classes."""
    found = frequency_f1(TRAIN, np.array([[0, 1, 0]], np.uint8))

    assert FrequencyF1(0.0, 0.0, (0, 2)) == found


def test_no_class_above_the_threshold_predicts_nothing() -> None:
    """Where every class is rare, nothing is predicted and F1 is 0."""
    rare = np.eye(4, dtype=np.uint8)

    assert 0.0 == frequency_f1(rare, rare).at_threshold
    assert frequency_f1(rare, rare).best == pytest.approx(0.4)


def test_labels_of_other_classes_are_refused() -> None:
    """Training and test labels must have the same classes, and patches."""
    with pytest.raises(ResultError, match="the same classes"):
        frequency_f1(TRAIN, TRAIN[:, :2])
    with pytest.raises(ResultError, match="at least one patch"):
        frequency_f1(TRAIN[:0], TRAIN)

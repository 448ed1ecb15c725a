from __future__ import annotations

import numpy as np
import pytest

from baselines.errors import ResultError
from baselines.frequency import balance_classes, frequency_f1

TRAIN = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 1, 0]], np.uint8)


def test_the_most_frequent_classes_are_predicted() -> None:
    """Classes 0 (3 of 4) and 2 (2 of 4) are predicted: F1 is 2/3 and 1."""
    test = np.array([[1, 0, 0], [1, 0, 1]], np.uint8)

    assert frequency_f1(TRAIN, test) == pytest.approx(5 / 6)


def test_nothing_is_chosen_on_the_test_labels() -> None:
    """Other test labels do not change the classes, of which none may be right."""
    assert 0.0 == frequency_f1(TRAIN, np.array([[0, 1, 0]], np.uint8))


def test_as_many_classes_are_predicted_as_are_best_for_training() -> None:
    """With four classes of one patch each, predicting all is best: F1 is 2/5."""
    rare = np.eye(4, dtype=np.uint8)

    assert frequency_f1(rare, rare) == pytest.approx(0.4)


def test_labels_of_other_classes_are_refused() -> None:
    """Training and test labels must have the same classes, and patches."""
    with pytest.raises(ResultError, match="the same classes"):
        frequency_f1(TRAIN, TRAIN[:, :2])
    with pytest.raises(ResultError, match="at least one patch"):
        frequency_f1(TRAIN[:0], TRAIN)


def test_balanced_classes_weigh_as_much_as_their_absence() -> None:
    """The weight is patches without the class by patches with it; 1 if none has it."""
    labels = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]], np.uint8)

    assert pytest.approx([1 / 3, 1, 3]) == balance_classes(labels).tolist()

"""What a model that never looks at a patch would reach: predicting by frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.decisions import DEFAULT_THRESHOLD, Labels, patch_scores
from baselines.errors import ResultError


@dataclass(frozen=True)
class FrequencyF1:
    """F1 per patch of predicting the same classes for every patch.

    Attributes:
        at_threshold: Predicting the classes that at least the threshold's share of the
            training patches have; 0 if there is none.
        best: Predicting the k most frequent classes of the training patches, with the k
            that is best for them.
        best_classes: These classes, the most frequent first.
    """

    at_threshold: float
    best: float
    best_classes: tuple[int, ...]


def frequency_f1(
    train_y: Labels, test_y: Labels, threshold: float = DEFAULT_THRESHOLD
) -> FrequencyF1:
    """Scores the constant predictions that training labels alone suggest.

    Nothing is chosen on the test labels.

    Args:
        train_y: Shape (patch, class), uint8.
        test_y: Shape (patch, class), uint8.
        threshold: Share of training patches from which on a class is predicted.

    Raises:
        ResultError: If one has no patch, or they have other classes.
    """
    if not len(train_y) or not len(test_y) or train_y.shape[1:] != test_y.shape[1:]:
        raise ResultError(
            "expected labels of shape (patch, class) with at least one patch and the "
            f"same classes, got {train_y.shape} and {test_y.shape}."
        )
    frequency = train_y.mean(axis=0)
    order = np.argsort(-frequency, kind="stable")
    sizes = range(1, len(order) + 1)
    size = max(sizes, key=lambda k: _constant_f1(train_y, order[:k]))
    return FrequencyF1(
        at_threshold=_constant_f1(test_y, np.flatnonzero(frequency >= threshold)),
        best=_constant_f1(test_y, order[:size]),
        best_classes=tuple(order[:size].tolist()),
    )


def _constant_f1(y_true: Labels, classes: np.ndarray) -> float:
    predicted = np.zeros_like(y_true)
    predicted[:, classes] = 1
    return float(patch_scores(y_true, predicted)["f1"].mean())

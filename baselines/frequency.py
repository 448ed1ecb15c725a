"""How frequent classes are: weights from it, and what predicting by it would reach."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from baselines.decisions import Labels, patch_scores
from baselines.errors import ResultError


def balance_classes(labels: Labels) -> npt.NDArray[np.float32]:
    """Computes weights of labels with which a class is as heavy as its absence.

    Source: `pos_weight` of PyTorch's BCEWithLogitsLoss, which its documentation sets to
    patches without the class / patches with it.

    Args:
        labels: Shape (patch, class), uint8.

    Returns:
        Shape (class,), float32; 1 for a class that no patch has.
    """
    positive = labels.sum(axis=0, dtype=np.int64)
    weights = (len(labels) - positive) / np.maximum(positive, 1)
    return np.where(positive > 0, weights, 1).astype(np.float32)


def frequency_f1(train_y: Labels, test_y: Labels) -> float:
    """Computes F1 per patch of predicting the same classes for every patch.

    These are the k most frequent classes of the training patches, with the k that is
    best for the training patches: nothing is chosen on the test labels.

    Args:
        train_y: Shape (patch, class), uint8.
        test_y: Shape (patch, class), uint8.

    Raises:
        ResultError: If one has no patch, or they have other classes.
    """
    if not len(train_y) or not len(test_y) or train_y.shape[1:] != test_y.shape[1:]:
        raise ResultError(
            "expected labels of shape (patch, class) with at least one patch and the "
            f"same classes, got {train_y.shape} and {test_y.shape}."
        )
    order = np.argsort(-train_y.mean(axis=0), kind="stable")
    choices = [order[:size] for size in range(1, len(order) + 1)]
    best = max(choices, key=lambda classes: _constant_f1(train_y, classes))
    return _constant_f1(test_y, best)


def _constant_f1(y_true: Labels, classes: np.ndarray) -> float:
    predicted = np.zeros_like(y_true)
    predicted[:, classes] = 1
    return float(patch_scores(y_true, predicted)["f1"].mean())

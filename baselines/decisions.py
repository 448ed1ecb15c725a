"""Scores → decisions, and how good these are for each patch.

A class is predicted where its probability is at least the threshold. Precision, recall,
F1 and F2 of a patch are 0 where a denominator is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from baselines.errors import ResultError
from bigearthnet.errors import OptionError

Labels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

# The threshold of the authors' later code; the paper does not state its own.
DEFAULT_THRESHOLD = 0.5

# The headline metrics, in the order of the paper's Table 4.
METRICS = ("precision", "recall", "f1", "f2")

# What `tune_threshold` tries: 0.01, 0.02, … 0.99.
THRESHOLD_GRID = tuple(number / 100 for number in range(1, 100))


def check_scores(y_true: npt.NDArray[Any], probability: npt.NDArray[Any]) -> None:
    """Refuses labels and scores from which metrics cannot be computed.

    Raises:
        ResultError: If the labels are not uint8 of shape (patch, class), 0 or 1, with
            at least one patch and two classes; or the scores are not float32 of the
            same shape in [0, 1].
    """
    if y_true.dtype != np.uint8 or y_true.ndim != 2 or y_true.shape[1] < 2:
        raise ResultError(
            "labels: expected uint8 of shape (patch, class) with two classes or more, "
            f"got {y_true.dtype} of shape {y_true.shape}."
        )
    if not len(y_true):
        raise ResultError("no patch: expected at least one to compute metrics of.")
    if probability.dtype != np.float32 or probability.shape != y_true.shape:
        raise ResultError(
            f"probabilities: expected float32 of the labels' shape {y_true.shape}, got "
            f"{probability.dtype} of shape {probability.shape}."
        )
    _check_values("labels", y_true, y_true <= 1, "0 or 1")
    within = (probability >= 0) & (probability <= 1)  # False for NaN, too
    _check_values("probabilities", probability, within, "in [0, 1]")


def _check_values(
    what: str, values: npt.NDArray[Any], good: npt.NDArray[np.bool_], expected: str
) -> None:
    if not good.all():
        patch, number = np.argwhere(~good)[0]
        raise ResultError(
            f"{what}: expected {expected}, got {values[patch, number]} for patch "
            f"{patch}, class {number}. Are these probabilities, and not logits?"
        )


def predict(probability: Probabilities, threshold: float) -> Labels:
    """Says which classes are predicted: those with at least the threshold.

    Args:
        probability: Shape (patch, class), float32.
        threshold: In (0, 1]. It is rounded to float32, so that a probability that
            prints as 0.3 is predicted at 0.3.

    Returns:
        Shape (patch, class), uint8.

    Raises:
        OptionError: If the threshold is not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise OptionError(f"threshold: expected in (0, 1], got {threshold!r}.")
    return (probability >= np.float32(threshold)).astype(np.uint8)


def patch_scores(
    y_true: Labels, predicted: Labels
) -> dict[str, npt.NDArray[np.float64]]:
    """Computes the headline metrics of each patch, which comparisons of models need.

    Args:
        y_true: Shape (patch, class), uint8.
        predicted: Shape (patch, class), uint8.

    Returns:
        Each of METRICS → shape (patch,), float64; 0 where a denominator is 0. Their
        means are `Metrics.per_patch`.

    Source: F_b = (1 + b²) · TP / (b² · labels + predictions), van Rijsbergen, 1979.
    """
    found = (y_true & predicted).sum(axis=1, dtype=np.int64)
    labels = y_true.sum(axis=1, dtype=np.int64)
    predictions = predicted.sum(axis=1, dtype=np.int64)
    return {
        "precision": _ratio(found, predictions),
        "recall": _ratio(found, labels),
        "f1": _ratio(2 * found, labels + predictions),
        "f2": _ratio(5 * found, 4 * labels + predictions),
    }


def tune_threshold(y_true: Labels, probability: Probabilities) -> float:
    """Finds the threshold with the highest F1 per patch; for the validation split.

    Args:
        y_true: Shape (patch, class), uint8.
        probability: Shape (patch, class), float32.

    Returns:
        One of THRESHOLD_GRID; of equally good ones the nearest to 0.5.

    Raises:
        ResultError: If labels or scores are not valid; see `check_scores`.
    """
    check_scores(y_true, probability)
    f1 = {
        threshold: patch_scores(y_true, predict(probability, threshold))["f1"].mean()
        for threshold in THRESHOLD_GRID
    }
    return max(f1, key=lambda t: (f1[t], -abs(t - DEFAULT_THRESHOLD)))


def _ratio(
    numerator: npt.NDArray[np.int64], denominator: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    zeros = np.zeros(len(numerator))
    return np.divide(numerator, denominator, out=zeros, where=denominator > 0)

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from baselines.errors import ResultError
from baselines.metrics import Averages, Ranking, compute_metrics
from bigearthnet.errors import OptionError

# Name of a case → seed; what is special is made by `make_case`.
CASES = ("plain", "ties", "empty predictions", "absent class", "unlabelled")


def make_case(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of 60 patches and 7 classes, with one peculiarity."""
    random = np.random.default_rng(CASES.index(name))
    y_true = (random.random((60, 7)) < 0.3).astype(np.uint8)
    y_true[np.arange(60), random.integers(0, 7, 60)] = 1
    probability = random.random((60, 7), dtype=np.float32) * 0.7 + 0.3 * y_true
    if name == "ties":
        probability = np.round(probability * 4) / 4
    elif name == "empty predictions":
        probability[::3] /= 4
    elif name == "absent class":
        y_true[:, 2] = 0
        y_true[:, 3] |= ~y_true.any(axis=1)
    elif name == "unlabelled":
        y_true[5:9] = 0
    return y_true, probability.astype(np.float32)


def divide(numerator: float, denominator: float) -> float:
    """A ratio, 0/0 being 0."""
    return numerator / denominator if denominator else 0.0


def score(true: np.ndarray, said: np.ndarray) -> list[float]:
    """Precision, recall, F1 and F2 of two vectors, from the harmonic means."""
    hits = float((true * said).sum())
    precision, recall = divide(hits, said.sum()), divide(hits, true.sum())
    f1 = divide(2 * precision * recall, precision + recall)
    return [
        precision,
        recall,
        f1,
        divide(5 * precision * recall, 4 * precision + recall),
    ]


def average_precision(true: np.ndarray, scores: np.ndarray) -> float:
    """Mean precision at each label, equal scores being taken at once."""
    cuts = [scores >= s for s in scores[true == 1]]
    return float(np.mean([true[cut].mean() for cut in cuts]))


def rank(y_true: np.ndarray, probability: np.ndarray) -> list[float]:
    """LRAP, ranking loss, coverage and one-error, label by label."""
    lrap, loss, coverage, error = [], [], [], []
    for true, scores in zip(y_true, probability, strict=True):
        if not true.any():
            continue
        labels, others = scores[true == 1], scores[true == 0]
        lrap.append(
            np.mean([(labels >= s).sum() / (scores >= s).sum() for s in labels])
        )
        wrong = sum(int((others >= s).sum()) for s in labels)
        loss.append(divide(wrong, len(labels) * len(others)))
        coverage.append((scores >= labels.min()).sum())
        error.append(not (len(others) == 0 or labels.max() > others.max()))
    return [float(np.mean(values)) for values in (lrap, loss, coverage, error)]


@pytest.mark.parametrize("name", CASES)
def test_averages_are_those_of_the_definitions(name: str) -> None:
    """Per patch, micro and macro agree with a few lines that take no library."""
    y_true, probability = make_case(name)
    metrics = compute_metrics(y_true, probability, 0.5)

    said = (probability >= 0.5).astype(np.uint8)
    patches = [score(t, s) for t, s in zip(y_true, said, strict=True)]
    classes = [score(t, s) for t, s in zip(y_true.T, said.T, strict=True)]
    present = [c for c, t in zip(classes, y_true.T, strict=True) if t.any()]
    for expected, found in (
        (np.mean(patches, axis=0), metrics.per_patch),
        (score(y_true.ravel(), said.ravel()), metrics.micro),
        (np.mean(present, axis=0), metrics.macro_present),
        (np.mean(classes, axis=0), metrics.macro_all),
    ):
        assert asdict(found) == pytest.approx(
            dict(zip(("precision", "recall", "f1", "f2"), expected, strict=True))
        )
    assert metrics.hamming_loss == pytest.approx((y_true != said).mean())
    assert metrics.subset_accuracy == pytest.approx((y_true == said).all(axis=1).mean())


@pytest.mark.parametrize("name", CASES)
def test_rankings_are_those_of_the_definitions(name: str) -> None:
    """Average precision and the ranking metrics agree with their definitions."""
    y_true, probability = make_case(name)
    metrics = compute_metrics(y_true, probability)

    precisions = [
        average_precision(t, s) if t.any() else None
        for t, s in zip(y_true.T, probability.T, strict=True)
    ]
    known = [p for p in precisions if p is not None]
    assert metrics.average_precision_micro == pytest.approx(
        average_precision(y_true.ravel(), probability.ravel())
    )
    assert metrics.average_precision_macro == pytest.approx(np.mean(known))
    assert precisions == [
        pytest.approx(row.average_precision) if row.patches else None
        for row in metrics.classes
    ]
    assert list(asdict(metrics.ranking).values()) == pytest.approx(
        rank(y_true, probability)
    )


def test_each_class_has_a_row() -> None:
    """A class's row counts its patches and predictions, in class order."""
    y_true, probability = make_case("absent class")
    metrics = compute_metrics(y_true, probability, 0.4)

    said = probability >= np.float32(0.4)
    assert y_true.sum(axis=0).tolist() == [row.patches for row in metrics.classes]
    assert said.sum(axis=0).tolist() == [row.predicted for row in metrics.classes]
    assert metrics.present_classes == 6
    absent = metrics.classes[2]
    assert (0, 0.0, 0.0, None) == (
        absent.patches,
        absent.precision,
        absent.f1,
        absent.average_precision,
    )


def test_a_patch_without_a_label_counts_as_zero() -> None:
    """It lowers precision, recall and F, is counted, and stays out of the rankings."""
    y_true = np.array([[1, 0], [0, 0]], np.uint8)
    probability = np.array([[0.9, 0.1], [0.1, 0.1]], np.float32)
    metrics = compute_metrics(y_true, probability)

    assert metrics.unlabelled_patches == 1
    assert Averages(0.5, 0.5, 0.5, 0.5) == metrics.per_patch
    assert Ranking(1.0, 0.0, 1.0, 0.0) == metrics.ranking


def test_without_any_label_what_is_undefined_is_none() -> None:
    """Average precision and rankings are None, not 0 and not a warning."""
    metrics = compute_metrics(
        np.zeros((3, 2), np.uint8), np.full((3, 2), 0.7, np.float32)
    )

    assert Averages(0.0, 0.0, 0.0, 0.0) == metrics.macro_present == metrics.per_patch
    assert metrics.average_precision_micro is metrics.average_precision_macro is None
    assert Ranking(None, None, None, None) == metrics.ranking


def test_perfect_scores_are_perfect() -> None:
    """The labels themselves reach the best of every metric, with one patch too."""
    y_true = np.array([[1, 0, 1]], np.uint8)
    metrics = compute_metrics(y_true, y_true.astype(np.float32))

    ones = Averages(1.0, 1.0, 1.0, 1.0)
    assert ones == metrics.per_patch == metrics.micro == metrics.macro_present
    assert Ranking(1.0, 0.0, 2.0, 0.0) == metrics.ranking
    assert (0.0, 1.0) == (metrics.hamming_loss, metrics.subset_accuracy)


def test_a_tie_with_a_wrong_class_is_an_error() -> None:
    """Equal highest scores of a label and of another class count against the model."""
    y_true = np.array([[0, 1], [1, 0]], np.uint8)
    metrics = compute_metrics(y_true, np.full((2, 2), 0.5, np.float32))

    assert Ranking(0.5, 1.0, 2.0, 1.0) == metrics.ranking


GOOD = np.zeros((2, 3), np.uint8)
SCORES = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("y_true", "probability", "match"),
    [
        (GOOD.astype(np.float32), SCORES, "labels: expected uint8 .* got float32"),
        (GOOD[0], SCORES[0], r"labels: expected .* shape \(3,\)"),
        (GOOD[:, :1], SCORES[:, :1], "two classes or more"),
        (GOOD[:0], SCORES[:0], "no patch"),
        (GOOD + 2, SCORES, "labels: expected 0 or 1, got 2 for patch 0, class 0"),
        (GOOD, SCORES[:1], r"labels' shape \(2, 3\), got float32 of shape \(1, 3\)"),
        (GOOD, SCORES.astype(np.float64), "expected float32 .* got float64"),
        (GOOD, SCORES - 0.5, r"expected in \[0, 1\], got -0.5 for patch 0, class 0"),
        (GOOD, SCORES + 1.5, "got 1.5 .* not logits"),
        (GOOD, SCORES * np.nan, "got nan for patch 0, class 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    y_true: np.ndarray, probability: np.ndarray, match: str
) -> None:
    """Wrong shapes, types and values are one clear error each."""
    with pytest.raises(ResultError, match=match):
        compute_metrics(y_true, probability)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    """A threshold that predicts everything, or is not a probability, is an error."""
    with pytest.raises(OptionError, match="threshold: expected in"):
        compute_metrics(GOOD, SCORES, threshold)

"""Scores and labels → metrics; scikit-learn computes.

The headline is the paper's: precision, recall, F1 and F2 of each patch, 0 where a
denominator is 0, then the mean over patches, which is scikit-learn's
`average="samples", zero_division=0`. A class is predicted where its probability is at
least the threshold.

Patches without a label: nothing can be found in them, so they count as 0 in precision,
recall, F1 and F2. How the classes are ranked means nothing there, and scikit-learn
would count them as perfect, so the ranking metrics leave them out.

Equal scores count against the model: of classes with the same score, those that are not
labels rank first. This is scikit-learn's rule for its ranking metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from baselines.decisions import (
    DEFAULT_THRESHOLD,
    Labels,
    Probabilities,
    check_scores,
    patch_scores,
    predict,
)
from baselines.fields import CONFIG, Count, Share, ShareOrNone


@dataclass(frozen=True, config=CONFIG)
class Averages:
    """The four headline metrics, averaged in one way; each in [0, 1]."""

    precision: Share
    recall: Share
    f1: Share
    f2: Share


@dataclass(frozen=True, config=CONFIG)
class Ranking:
    """How well the scores rank the classes, over the patches with a label.

    None where no patch has one.

    Attributes:
        lrap: Label ranking average precision, in (0, 1]; the best is 1.
        ranking_loss: Share of pairs of a label and another class in wrong order.
        coverage: Classes to go down the ranking, on average, to meet all labels.
        one_error: Share of patches whose highest score is not only that of labels.
    """

    lrap: ShareOrNone
    ranking_loss: ShareOrNone
    coverage: Annotated[float, Field(ge=0)] | None
    one_error: ShareOrNone


@dataclass(frozen=True, config=CONFIG)
class ClassMetrics:
    """Metrics of one class over all patches.

    Attributes:
        label: Name of the class.
        patches: Patches with the label.
        predicted: Patches for which it was predicted.
        precision: 0 where the class was never predicted.
        recall: 0 where no patch has the class.
        f1: F1; 0 where precision and recall are.
        f2: F2; likewise.
        average_precision: None where no patch has the class.
    """

    label: str
    patches: Count
    predicted: Count
    precision: Share
    recall: Share
    f1: Share
    f2: Share
    average_precision: ShareOrNone


@dataclass(frozen=True, config=CONFIG)
class Metrics:
    """Everything that is reported of a model's scores at one threshold.

    Attributes:
        threshold: A class is predicted where its probability is at least this.
        patches: Patches that were scored.
        unlabelled_patches: Those of them without a label.
        present_classes: Classes that some patch has.
        per_patch: Of each patch, then the mean: the headline.
        micro: Over all decisions at once.
        macro_present: Of each class, then the mean over classes that are present.
        macro_all: The mean over all classes, absent ones counting as 0.
        average_precision_micro: None where no patch has a label.
        average_precision_macro: Mean over the classes that are present; likewise.
        ranking: How well the scores rank the classes.
        hamming_loss: Share of wrong decisions.
        subset_accuracy: Share of patches without a wrong decision.
        classes: The metrics of each class, in class order.
    """

    threshold: Annotated[float, Field(gt=0, le=1)]
    patches: Annotated[int, Field(ge=1)]
    unlabelled_patches: Count
    present_classes: Count
    per_patch: Averages
    micro: Averages
    macro_present: Averages
    macro_all: Averages
    average_precision_micro: ShareOrNone
    average_precision_macro: ShareOrNone
    ranking: Ranking
    hamming_loss: Share
    subset_accuracy: Share
    classes: tuple[ClassMetrics, ...]


def compute_metrics(
    y_true: Labels,
    probability: Probabilities,
    threshold: float = DEFAULT_THRESHOLD,
    labels: Sequence[str] | None = None,
) -> Metrics:
    """Computes all metrics of a model's scores.

    Args:
        y_true: Shape (patch, class), uint8: 1 where a patch has a label, else 0.
        probability: Shape (patch, class), float32, in [0, 1].
        threshold: In (0, 1]; compared in float32.
        labels: Names of the classes; None for their numbers.

    Raises:
        ResultError: If labels or scores are not that; see `check_scores`.
        OptionError: If the threshold is not in (0, 1].
    """
    from sklearn import metrics

    check_scores(y_true, probability)
    predicted = predict(probability, threshold)
    names = labels or [str(number) for number in range(y_true.shape[1])]
    classes = _compute_classes(y_true, probability, predicted, names)
    present = [row for row in classes if row.patches]
    known = [p for row in classes if (p := row.average_precision) is not None]
    return Metrics(
        threshold=threshold,
        patches=len(y_true),
        unlabelled_patches=int((~y_true.any(axis=1)).sum()),
        present_classes=len(present),
        per_patch=_average(y_true, predicted, "samples"),
        micro=_average(y_true, predicted, "micro"),
        macro_present=_average_classes(present),
        macro_all=_average_classes(classes),
        average_precision_micro=_rank_decisions(y_true, probability),
        average_precision_macro=float(np.mean(known)) if known else None,
        ranking=_rank(y_true, probability),
        hamming_loss=float(metrics.hamming_loss(y_true, predicted)),
        subset_accuracy=float(metrics.accuracy_score(y_true, predicted)),
        classes=classes,
    )


def compute_epoch_metrics(
    y_true: Labels, probability: Probabilities
) -> dict[str, float | None]:
    """Computes the metrics that are shown after each epoch of a training.

    Args:
        y_true: Shape (patch, class), uint8; see `compute_metrics`.
        probability: Shape (patch, class), float32; likewise.

    Returns:
        `f1` and `f2` per patch at the default threshold, `ap_macro` and `ap_micro`;
        these are None where no patch has a label.

    Raises:
        ResultError: See `compute_metrics`.
    """
    check_scores(y_true, probability)
    scores = patch_scores(y_true, predict(probability, DEFAULT_THRESHOLD))
    known = [p for p in _rank_classes(y_true, probability) if p is not None]
    return {
        **{name: float(scores[name].mean()) for name in ("f1", "f2")},
        "ap_macro": float(np.mean(known)) if known else None,
        "ap_micro": _rank_decisions(y_true, probability),
    }


def _rank_classes(y_true: Labels, probability: Probabilities) -> list[float | None]:
    """Returns the average precision of each class; None where no patch has it."""
    from sklearn.metrics import average_precision_score

    return [
        float(average_precision_score(labels, scores)) if labels.any() else None
        for labels, scores in zip(y_true.T, probability.T, strict=True)
    ]


def _rank_decisions(y_true: Labels, probability: Probabilities) -> float | None:
    """Returns the average precision of all decisions; None where there is no label."""
    from sklearn.metrics import average_precision_score

    if not y_true.any():
        return None
    return float(average_precision_score(y_true, probability, average="micro"))


def _average(y_true: Labels, predicted: Labels, average: str) -> Averages:
    from sklearn.metrics import precision_recall_fscore_support as score

    options = {"average": average, "zero_division": 0}
    precision, recall, f1, _ = score(y_true, predicted, **options)
    f2 = score(y_true, predicted, beta=2, **options)[2]
    return Averages(float(precision), float(recall), float(f1), float(f2))


def _average_classes(classes: Sequence[ClassMetrics]) -> Averages:
    """Returns the mean over classes; 0 if there is none."""
    names = [field.name for field in fields(Averages)]
    rows = [[getattr(row, name) for name in names] for row in classes] or [[0.0] * 4]
    return Averages(*np.mean(rows, axis=0).tolist())


def _compute_classes(
    y_true: Labels, probability: Probabilities, predicted: Labels, labels: Sequence[str]
) -> tuple[ClassMetrics, ...]:
    from sklearn import metrics

    score = metrics.precision_recall_fscore_support
    precision, recall, f1, patches = score(y_true, predicted, zero_division=0)
    f2 = score(y_true, predicted, beta=2, zero_division=0)[2]
    average_precision = _rank_classes(y_true, probability)
    found = predicted.sum(axis=0, dtype=np.int64)
    columns = [c.tolist() for c in (patches, found, precision, recall, f1, f2)]
    rows = zip(labels, *columns, average_precision, strict=True)
    return tuple(ClassMetrics(*row) for row in rows)


def _rank(y_true: Labels, probability: Probabilities) -> Ranking:
    from sklearn import metrics

    labelled = y_true.any(axis=1)
    if not labelled.any():
        return Ranking(None, None, None, None)
    y_true, probability = y_true[labelled], probability[labelled]
    top = probability == probability.max(axis=1, keepdims=True)
    return Ranking(
        lrap=float(metrics.label_ranking_average_precision_score(y_true, probability)),
        ranking_loss=float(metrics.label_ranking_loss(y_true, probability)),
        coverage=float(metrics.coverage_error(y_true, probability)),
        one_error=float((top & (y_true == 0)).any(axis=1).mean()),
    )

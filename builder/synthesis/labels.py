"""Draws label sets with the imbalance of the real archive.

Labels of a patch are drawn independently of its place and of each other: which
classes occur together, and where, says nothing about the real archive.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bigearthnet.release.nomenclature import BEN19, CLC43, PAPER_COUNTS, remap

# Probability of 1, 2, … 12 labels in a patch. Ours, so that the mean is 2.97 and 95 %
# have at most 5 labels (Sumbul et al., 2019, section 3: "95 % of patches have at most
# 5"; Table 2's counts sum to 2.965 a patch).
_NUM_LABELS = (
    *(0.165, 0.245, 0.260, 0.180, 0.103, 0.0343),
    *(0.0095, 0.0027, 0.00046, 0.00002, 0.00001, 0.00001),
)

# Share of each class among all labels, in CLC43 order.
FREQUENCIES: npt.NDArray[np.float64] = np.array(PAPER_COUNTS) / sum(PAPER_COUNTS)

# True for each class of CLC43 that becomes one of BEN19.
IN_BEN19: npt.NDArray[np.bool_] = np.array(
    [target is not None for target in remap(CLC43, BEN19)]
)


def draw_labels(has_ben19: bool, rng: np.random.Generator) -> tuple[int, ...]:
    """Draws the labels of a patch.

    Args:
        has_ben19: True if at least one label must be of BEN19, False if none may be.
        rng: Source of randomness.

    Returns:
        1 to 12 ascending class ids of CLC43. Over many patches with `has_ben19` a
        class appears in proportion to FREQUENCIES.
    """
    num_labels = 1 + int(rng.choice(len(_NUM_LABELS), p=_NUM_LABELS))
    if not has_ben19:
        weights = np.where(IN_BEN19, 0.0, FREQUENCIES)
        return _draw(min(num_labels, int((~IN_BEN19).sum())), weights, rng)
    while True:
        labels = _draw(num_labels, FREQUENCIES, rng)
        if IN_BEN19[list(labels)].any():
            return labels


def _draw(
    num_labels: int, weights: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[int, ...]:
    """Draws classes without repetition, each in proportion to its weight.

    Drawing one after the other would favour rare classes. Systematic sampling does
    not: classes lie on a line in random order, as long as their weights, and evenly
    spaced points pick them. Only a class longer than the spacing is picked twice;
    its second pick goes to another class.
    """
    order = rng.permutation(np.flatnonzero(weights))
    ends = np.cumsum(weights[order])
    points = (rng.random() + np.arange(num_labels)) / num_labels * ends[-1]
    picked = {int(order[i]) for i in np.searchsorted(ends, points, side="right")}
    while len(picked) < num_labels:
        rest = [int(label) for label in order if int(label) not in picked]
        picked.add(int(rng.choice(rest, p=weights[rest] / weights[rest].sum())))
    return tuple(sorted(picked))

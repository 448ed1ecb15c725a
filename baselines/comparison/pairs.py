"""Every pair of models of a group, compared by each headline metric."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from baselines.comparison.entries import Group
from baselines.decisions import METRICS
from baselines.significance import Difference, compare_scores, correct, find_products


@dataclass(frozen=True)
class Pair:
    """Two models, one metric.

    Attributes:
        one: Name of the entry whose scores come first in the difference.
        other: Name of the entry whose scores are subtracted.
        metric: One of METRICS.
        difference: How much they differ.
    """

    one: str
    other: str
    metric: str
    difference: Difference


def compare_pairs(group: Group, *, seed: int = 0) -> list[Pair]:
    """Compares all entries of a group that statements may be made about.

    Several seeds of a model are averaged patch by patch first. Holm's correction takes
    all pairs and metrics of the group as one family.

    Args:
        group: The group; the later entry of a pair comes first in the difference.
        seed: Seed of the draws and flips.
    """
    tested = [entry for entry in group.entries if not entry.untested_because]
    scores = {entry.name: entry.patch_scores() for entry in tested}
    products = find_products(group.result.scores.patch_ids)
    chosen = [
        (one.name, other.name, metric)
        for other, one in itertools.combinations(tested, 2)
        for metric in METRICS
    ]
    differences = [
        compare_scores(scores[one][metric], scores[other][metric], products, seed=seed)
        for one, other, metric in chosen
    ]
    return [
        Pair(*names, difference)
        for names, difference in zip(chosen, correct(differences), strict=True)
    ]

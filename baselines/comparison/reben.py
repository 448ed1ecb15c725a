"""The table of reBEN, and the figures that its authors publish with their models.

Source: cards of the models `BIFOLD-BigEarthNetv2-0/<name>` on Hugging Face: test split
of v2.0, 19 classes; average precision and F1, macro over the classes, and micro. Clasen
et al., 2024, https://arxiv.org/abs/2407.03653.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

from baselines.comparison.entries import Entry, Group
from baselines.comparison.tables import NONE, describe_split, format_values
from baselines.evaluations import Subject
from bigearthnet.release import V2
from bigearthnet.report.page import Table

# Title of each figure, and where it stands in `Metrics`.
FIGURES = {
    "AP macro": "average_precision_macro",
    "AP micro": "average_precision_micro",
    "F1 macro": "macro_all.f1",
    "F1 micro": "micro.f1",
}

# Name of each published model → what is said of it, in the order of FIGURES.
PUBLISHED: Mapping[str, tuple[float, float, float, float]] = {
    "resnet50-all-v0.2.0 (S1 and S2)": (0.7033, 0.8607, 0.6442, 0.7666),
    "resnet50-s1-v0.2.0 (S1)": (0.6284, 0.8007, 0.5761, 0.7020),
    "rdnet_base-s2-v0.2.0 (S2)": (0.6887, 0.8539, 0.6231, 0.7548),
}


def make_reben_table(group: Group) -> Table | None:
    """Makes the table of reBEN; None for another release.

    The published rows stand in that of their own test split and classes alone.

    Args:
        group: The models.
    """
    subject = group.result.subject
    if subject.release != V2.name:
        return None
    rows = [_published_row(name) for name in PUBLISHED if has_published_rows(subject)]
    metrics = group.result.metrics
    return Table(
        f"Macro and micro averages, as reBEN gives them: {describe_split(subject)} "
        f"split, {subject.nomenclature.name}",
        ("Model", *FIGURES, "Source", "Patches", "Remarks"),
        (*rows, *(_our_row(entry) for entry in group.entries)),
        frozenset({1, 2, 3, 4, 6}),
        (
            "AP: average precision; macro: the mean over classes, of AP over the "
            f"present ones ({metrics.present_classes} of {len(subject.nomenclature)}); "
            "micro: over all decisions; F1 from a probability of "
            f"{metrics.threshold:g} on.",
            "Published, other model: by the authors of v2.0 with their models "
            "(BIFOLD-BigEarthNetv2-0 on Hugging Face), other networks, bands and "
            "resampling than ours.",
        )[: 2 if rows else 1],
    )


def has_published_rows(subject: Subject) -> bool:
    """Whether the published figures are of the patches and classes of a table."""
    return (subject.release, subject.split, subject.nomenclature) == (
        V2.name,
        "test",
        V2.nomenclature,
    )


def _published_row(name: str) -> tuple[str, ...]:
    figures = (f"{value:.4f}" for value in PUBLISHED[name])
    return (name, *figures, "published, other model", NONE, "")


def _our_row(entry: Entry) -> tuple[str, ...]:
    count = len(entry.seeds)
    seeds = f"seed {entry.seeds[0]}" if count == 1 else f"{count} seeds"
    return (
        entry.name,
        *(format_values(entry.values(attrgetter(path))) for path in FIGURES.values()),
        f"ours, {seeds}",
        f"{entry.runs[0].result.metrics.patches:,}",
        "; ".join(entry.remarks),
    )

"""Groups of models → the blocks of a comparison's page, and its JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from baselines.comparison import tables
from baselines.comparison.entries import Entry, Evaluation, Group
from baselines.comparison.pairs import Pair
from baselines.comparison.paper import SPLIT, TABLE_4, TITLE
from baselines.comparison.reben import (
    FIGURES,
    PUBLISHED,
    has_published_rows,
    make_reben_table,
)
from baselines.decisions import METRICS
from baselines.input_pipeline import hash_ids
from baselines.remarks import Remark
from baselines.significance import (
    CONFIDENCE,
    MIN_PRODUCTS,
    NUM_DRAWS,
    NUM_FLIPS,
    T_TEST_LABEL,
)
from bigearthnet.report.chart import draw_bars
from bigearthnet.report.page import Block, Cards, Drawing, Heading, Text

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Section:
    """A group of models with what was found out about it.

    Attributes:
        group: The models.
        pairs: Comparisons of every two models by every metric; empty if there are
            fewer than two models.
        examples: Example patches.
    """

    group: Group
    pairs: Sequence[Pair]
    examples: Cards


def make_blocks(sections: Sequence[Section]) -> list[Block]:
    """Makes the blocks of a comparison, a heading for each group."""
    blocks: list[Block] = []
    if len(sections) > 1:
        blocks.append(
            Text(
                "Releases, and the official and the random split, hold different "
                "patches: figures from one must not be set against figures from "
                "another."
            )
        )
    for section in sections:
        blocks += _make_section(section)
    return blocks


def _make_section(section: Section) -> list[Block]:
    group, subject = section.group, section.group.result.subject
    blocks: list[Block] = [
        Heading(f"{subject.release}, {subject.split_scheme} split: {subject.split}"),
        *(Text(warning, is_warning=True) for warning in _find_warnings(group)),
        tables.make_headline_table(group),
    ]
    others = (make_reben_table(group), tables.make_tuned_table(group))
    blocks += [table for table in others if table]
    blocks.append(Heading("Are the differences real?", 3))
    if section.pairs:
        blocks.append(tables.make_pairs_table(section.pairs))
    else:
        blocks.append(Text("Fewer than two models that may be compared."))
    left_out = [
        f"{entry.name} ({entry.untested_because})"
        for entry in group.entries
        if entry.untested_because
    ]
    if left_out:
        blocks.append(Text(f"Left out: {', '.join(left_out)}."))
    if section.examples.cards:
        blocks += [Heading("Examples", 3), section.examples]
    return [
        *blocks,
        Heading("Classes", 3),
        _draw_classes(group),
        tables.make_class_table(group),
        Heading("Other metrics", 3),
        tables.make_metrics_table(group),
    ]


def _find_warnings(group: Group) -> list[str]:
    """Lists what must not be overlooked, each with the models that it is about."""
    models: dict[Remark, list[str]] = {}
    for entry in group.entries:
        for remark in entry.subject.findings:
            models.setdefault(remark, []).append(entry.name)
    warnings = [f"{r.text}: {r.meaning} ({', '.join(n)})" for r, n in models.items()]
    subject = group.result.subject
    if subject.synthetic_patches and tables.has_paper_rows(subject):
        warnings.append("The paper's rows show the form of the table alone.")
    if subject.synthetic_patches and has_published_rows(subject):
        warnings.append("Published rows show the form of the table alone.")
    return warnings


def _draw_classes(group: Group) -> Drawing:
    """Draws F1 of each class that is present, the most frequent first."""
    classes = group.result.metrics.classes
    present = [number for number, row in enumerate(classes) if row.patches]
    present.sort(key=lambda number: -classes[number].patches)
    labels = group.result.subject.nomenclature.labels
    caption = "F1 of each class, the most frequent first, with its number of patches"
    pieces = draw_bars(
        [f"{labels[number]} ({classes[number].patches:,})" for number in present],
        {
            entry.name: [
                statistics.fmean(entry.class_values(number, "f1") or [0.0])
                for number in present
            ]
            for entry in group.entries
        },
    )
    subject = group.result.subject
    name = f"classes-{subject.release}-{subject.split_scheme}"
    return Drawing(name, caption, pieces)


def make_json(sections: Sequence[Section]) -> dict[str, Any]:
    """Returns all figures of a comparison as plain values, without times."""
    return {
        "schema_version": SCHEMA_VERSION,
        "paper": {
            "source": TITLE,
            "split": SPLIT,
            "rows": {name: asdict(row) for name, row in TABLE_4.items()},
        },
        "significance": {
            "interval": f"{CONFIDENCE:.0%}, paired bootstrap over products",
            "draws": NUM_DRAWS,
            "p_value": "two-sided paired sign-flip test over products; (k+1)/(B+1), or "
            "the share of all flips where these are no more than B",
            "flips": NUM_FLIPS,
            "p_holm": "corrected after Holm over all pairs and metrics of the group",
            "p_t_test": f"paired t-test over patches; {T_TEST_LABEL}",
            "min_products": MIN_PRODUCTS,
        },
        "reben": {"figures": list(FIGURES), "rows": PUBLISHED},
        "groups": [_encode_section(section) for section in sections],
    }


def _encode_section(section: Section) -> dict[str, Any]:
    result = section.group.result
    metrics, subject = result.metrics, result.subject
    return {
        "release": subject.release,
        "split_scheme": subject.split_scheme,
        "split": subject.split,
        "config": subject.config,
        "nomenclature": subject.nomenclature.name,
        "classes": list(subject.nomenclature.labels),
        "threshold": metrics.threshold,
        "patches": metrics.patches,
        "ids_sha256": hash_ids(result.scores.patch_ids),
        "unlabelled_patches": metrics.unlabelled_patches,
        "synthetic_patches": subject.synthetic_patches,
        "present_classes": metrics.present_classes,
        "models": [_encode_entry(entry) for entry in section.group.entries],
        "differences": [
            {
                "one": pair.one,
                "other": pair.other,
                "metric": pair.metric,
                **asdict(pair.difference),
            }
            for pair in section.pairs
        ],
        "examples": [card.title for card in section.examples.cards],
    }


def _encode_entry(entry: Entry) -> dict[str, Any]:
    subject = entry.subject
    headline = [asdict(run.result.metrics.per_patch) for run in entry.runs]
    return {
        "name": entry.name,
        "model": subject.model,
        "settings_sha256": subject.settings_sha256,
        "config": subject.config,
        "bands": list(subject.bands),
        "weights_source": subject.weights_source,
        "train_split": subject.train_split,
        "derived_from": subject.derived_from,
        "remarks": list(entry.remarks),
        "untested_because": entry.untested_because,
        "mean": {name: float(np.mean([h[name] for h in headline])) for name in METRICS},
        "sd": {name: statistics.stdev([h[name] for h in headline]) for name in METRICS}
        if len(headline) > 1
        else None,
        "seeds": [_encode_run(run) for run in entry.runs],
    }


def _encode_run(run: Evaluation) -> dict[str, Any]:
    result = run.result
    return {
        "seed": result.subject.seed,
        "weights_sha256": result.subject.weights_sha256,
        "metrics": asdict(result.metrics),
        "tuned": asdict(result.tuned) if result.tuned else None,
    }

"""Counts of patches by split, class, season, country, flag, date and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bigearthnet.errors import LabelError
from bigearthnet.release import Release
from bigearthnet.release.nomenclature import (
    BEN19,
    CLC_LEVEL1,
    CLC_LEVEL2,
    Nomenclature,
    remap,
)
from builder.card.patches import count_classes
from builder.figures.tables import Patches

# Stands beside the splits for all patches of a table.
ALL = "all"
# Column of a table → what counts of its values are called.
_COLUMNS = {"season": "seasons", "country": "countries", "date": "dates"}
_FLAGS = {"contains_seasonal_snow": "snow", "contains_cloud_or_shadow": "cloud"}

# Name → count, name → counts, and so on.
Figures = Mapping[str, Any]


def count_figures(patches: Patches) -> dict[str, Any]:
    """Counts all that a table says.

    Returns:
        JSON: `patches`, `snow` and `cloud`, by split; `seasons`, `countries` and
        `dates` (days of sensing), by split and value; `classes`, by nomenclature, split
        and name; `labels_per_patch`, by split and number; `labels`: the fewest and most
        labels of a patch, different sets of them, patches with more than nine, and the
        percentage with at most five. Besides the splits stands `all`. What the table
        has no column for is missing.
    """
    groups = _split_rows(patches)
    figures: dict[str, Any] = {
        "patches": {name: len(rows) for name, rows in groups.items()}
    }
    columns = patches.table.column_names
    for column, name in _COLUMNS.items():
        if column in columns:
            values = patches.table[column].combine_chunks()
            figures[name] = {
                g: _count_values(values.take(pa.array(r))) for g, r in groups.items()
            }
    for column, name in _FLAGS.items():
        if column in columns:
            flag = patches.table[column].to_numpy().astype(bool)
            figures[name] = {g: int(flag[r].sum()) for g, r in groups.items()}
    source = patches.release.nomenclature
    figures["classes"] = {
        target.name: {
            g: dict(
                zip(
                    target.labels,
                    count_classes(patches.masks[r], source, target),
                    strict=True,
                )
            )
            for g, r in groups.items()
        }
        for target in list_nomenclatures(patches.release)
    }
    numbers = np.bitwise_count(patches.masks)
    figures["labels_per_patch"] = {
        g: _count_values(pa.array(numbers[r])) for g, r in groups.items()
    }
    figures["labels"] = {
        "fewest": int(numbers.min()),
        "most": int(numbers.max()),
        "different sets": len(np.unique(patches.masks)),
        "patches with more than 9": int((numbers > 9).sum()),
        "percent with at most 5": round(100 * float((numbers <= 5).mean()), 3),
    }
    return figures


def _split_rows(patches: Patches) -> dict[str, npt.NDArray[np.int64]]:
    splits = patches.splits
    groups = {ALL: np.arange(len(patches))}
    for split in patches.release.splits:
        rows = np.flatnonzero(splits == split)
        groups |= {split: rows} if len(rows) else {}
    return groups


def _count_values(values: pa.Array) -> dict[str, int]:
    """Counts the patches of each value, in ascending order; null is no value."""
    counted = pc.value_counts(values.drop_null()).flatten()
    pairs = zip(*(column.to_pylist() for column in counted), strict=True)
    return {str(value): count for value, count in sorted(pairs)}


def list_nomenclatures(release: Release) -> list[Nomenclature]:
    """Returns that of a release, and those that its classes can be counted in."""
    found = {release.nomenclature.name: release.nomenclature}
    for target in (BEN19, CLC_LEVEL2, CLC_LEVEL1):
        try:
            remap(release.nomenclature, target)
        except LabelError:
            continue
        found.setdefault(target.name, target)
    return list(found.values())


def walk_figures(
    figures: Figures, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yields every single figure, with the names that lead to it."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from walk_figures(value, (*path, name))
        else:
            yield (*path, name), value


def find_figure(figures: Figures, path: tuple[str, ...]) -> float | None:
    """Returns the figure that names lead to; 0 for a value that no patch has.

    Returns:
        The figure, or None if nothing of its kind was counted.
    """
    first, *names = path
    if first not in figures:
        return None
    value = figures[first]
    for name in names:
        if name not in value:
            return 0
        value = value[name]
    return float(value) if isinstance(value, float) else int(value)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bigearthnet.release import V1, splits
from builder.figures.tables import Patches
from builder.reporting.choice import (
    MOST_PATCHES,
    PER_CLASS,
    PER_VALUE,
    choose_patches,
    list_values,
)


@pytest.fixture(scope="module")
def patches() -> Patches:
    """A thousand official patches with labels that are drawn, rare ones seldom."""
    rng = np.random.default_rng(0)
    table = splits.load_table(V1, "official")
    table = table.take(np.sort(rng.choice(len(table), 1000, replace=False)))
    columns = {
        name: table[name].cast(pa.string())
        if pa.types.is_dictionary(table[name].type)
        else table[name]
        for name in table.column_names
    }
    has = rng.uniform(size=(len(table), 43)) < np.geomspace(0.3, 0.001, 43)
    masks = has.astype(np.uint64) @ (np.uint64(1) << np.arange(43, dtype=np.uint64))
    return Patches(V1, Path("patches.parquet"), pa.table(columns), masks)


def test_every_value_is_shown_often_enough(patches: Patches) -> None:
    """Five of each class and twenty of each other value, or all that there are."""
    values = list_values(patches)

    chosen = choose_patches(values, np.ones(len(patches), bool))

    assert len(set(chosen)) == len(chosen) <= MOST_PATCHES
    assert {"class", "split", "country", "season", "flag"} == set(values)
    for kind, found in values.items():
        needed = PER_CLASS if kind == "class" else PER_VALUE
        for value, rows in found.items():
            assert min(needed, rows.sum()) <= rows[chosen].sum(), value


def test_the_same_patches_are_chosen_again(patches: Patches) -> None:
    """And none that the store does not have."""
    values, stored = list_values(patches), np.arange(len(patches)) % 3 > 0

    chosen = choose_patches(values, stored)

    assert stored[chosen].all()
    assert choose_patches(values, stored) == chosen

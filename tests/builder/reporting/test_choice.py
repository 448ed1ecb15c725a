from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.figures.tables import Patches, choose_stores, read_store_patches
from builder.reporting.choice import (
    MOST_PATCHES,
    PER_CLASS,
    PER_VALUE,
    choose_patches,
    list_values,
)


@pytest.fixture(scope="module")
def patches(thousand_patches: Path) -> Patches:
    """The table of 1,000 synthetic patches."""
    return read_store_patches(choose_stores(thousand_patches)[0])


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

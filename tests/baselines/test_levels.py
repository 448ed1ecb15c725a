from __future__ import annotations

import numpy as np
import pytest

from baselines.errors import ResultError
from baselines.levels import derive_level
from bigearthnet.errors import LabelError
from bigearthnet.release.nomenclature import (
    BEN19,
    CLC43,
    CLC43_ALPHABETICAL,
    CLC_LEVEL1,
    CLC_LEVEL2,
    Nomenclature,
    remap_ids,
)


@pytest.mark.parametrize("target", [CLC_LEVEL1, CLC_LEVEL2])
@pytest.mark.parametrize("source", [CLC43, CLC43_ALPHABETICAL])
def test_labels_become_their_union(target: Nomenclature, source: Nomenclature) -> None:
    """A coarser label is there where one of its level-3 classes is."""
    random = np.random.default_rng(len(target))
    y_true = (random.random((20, 43)) < 0.05).astype(np.uint8)
    derived = derive_level(y_true, target, source)

    expected = [
        target.multi_hot(remap_ids(np.flatnonzero(row).tolist(), source, target))
        for row in y_true
    ]
    assert np.array_equal(expected, derived)
    assert derived.dtype == np.uint8


def test_scores_become_the_highest_of_their_classes() -> None:
    """A coarser class has the best score of its level-3 classes, in float32."""
    probability = np.zeros((1, 43), np.float32)
    names = ("Broad-leaved forest", "Coniferous forest", "Water bodies")
    probability[0, [CLC43.ids[name] for name in names]] = 0.25, 0.75, 0.5
    derived = derive_level(probability, CLC_LEVEL2)

    assert (np.float32, (1, 15)) == (derived.dtype, derived.shape)
    assert 0.75 == derived[0, CLC_LEVEL2.ids["Forest"]]
    assert 0.5 == derived[0, CLC_LEVEL2.ids["Inland waters"]]
    assert 2 == np.count_nonzero(derived)


def test_level_3_is_the_order_of_clc43() -> None:
    """Level 3 of another order of the same classes only changes their order."""
    values = np.arange(43, dtype=np.float32)[None] / 43
    derived = derive_level(values, CLC43, CLC43_ALPHABETICAL)

    assert (
        values[0, CLC43_ALPHABETICAL.ids["Airports"]]
        == (derived[0, CLC43.ids["Airports"]])
    )


def test_what_cannot_be_derived_is_refused() -> None:
    """Other numbers of classes, and 19 classes, are errors."""
    with pytest.raises(ResultError, match=r"expected shape \(patch, 43\)"):
        derive_level(np.zeros((1, 19), np.uint8), CLC_LEVEL1)
    with pytest.raises(LabelError, match="no map from ben19"):
        derive_level(np.zeros((1, 19), np.uint8), CLC_LEVEL1, BEN19)

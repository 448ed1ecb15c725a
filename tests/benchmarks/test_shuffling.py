from __future__ import annotations

import numpy as np
import pytest

from benchmarks.shuffling import WAYS, Way, draw, measure


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_every_patch_once(way: Way) -> None:
    """An order, however it is drawn, has each patch once."""
    rows = np.arange(9_000)
    assert sorted(draw(rows, way, np.random.default_rng(0)).tolist()) == rows.tolist()


@pytest.mark.parametrize(
    ("way", "tiles", "again"),
    [(Way("names", 0, 1), 1.0, 127.0), (Way("names", 0, 0), 9.99, 12.6)],
)
def test_mixing_is_measured(way: Way, tiles: float, again: float) -> None:
    """Unmixed, a batch has one tile and stays together; mixed, it meets by chance."""
    rows = np.arange(1_280)
    found = measure(rows, rows // 128, np.zeros_like(rows), way)
    assert found.tiles == pytest.approx(tiles, abs=0.02)
    assert found.met_again == pytest.approx(again, abs=0.5)
    assert found.dates == 1

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from builder.reporting.charts import (
    count_pairs,
    draw_dates,
    draw_histograms,
    draw_map,
    draw_pairs,
)
from builder.reporting.outlines import WINDOW, make_outlines, read_outlines
from builder.reporting.pixels import Histogram


def read_texts(svg: bytes) -> list[str]:
    """The texts of a drawing."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [text.text or "" for text in texts]


def test_pairs_are_counted_once_a_patch() -> None:
    """The diagonal has the patches of each class, the rest those with both."""
    masks = np.array([0b011, 0b001, 0b110, 0b000], np.uint64)

    assert [[2, 1, 0], [1, 2, 1], [0, 1, 1]] == count_pairs(masks, 3).tolist()


def test_drawings_name_what_they_show() -> None:
    """Bands, classes, splits and months are texts, and the same bytes come again."""
    histogram = Histogram(np.arange(4.0))
    drawn = {
        "B04": draw_histograms({"B04": histogram}, "DN"),
        "Airports": draw_pairs(np.ones((2, 2), int), ["Airports", "Salines"]),
        "Jul": draw_dates({"2017-06-13": 3, "2017-08-01": 1}),
        "train: 2": draw_map(
            np.array([10.0, 20.0]), np.array([50.0, 60.0]), {"train": np.ones(2, bool)}
        ),
    }

    for text, svg in drawn.items():
        assert text in read_texts(svg)
    assert draw_histograms({"B04": histogram}, "DN") == drawn["B04"]


def test_many_patches_are_binned() -> None:
    """A map of a hundred thousand patches is hardly larger than one of a few."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 30, 100_000), rng.uniform(40, 65, 100_000)

    assert len(draw_map(x, y, {"train": np.ones(len(x), bool)})) < 500_000


def test_outlines_are_cut_out_and_thinned() -> None:
    """Arcs are sums of differences; points outside, or close together, are left out."""
    arc = [[0, 0], [1000, 0], [1, 0], [1000, 0], [90_000, 0], [0, 1]]
    topology = {
        "arcs": [arc],
        "transform": {"scale": [0.001, 0.001], "translate": [8.0, 50.0]},
    }

    assert [[(8, 50), (9, 50), (10, 50)]] == make_outlines(topology)
    lines = read_outlines()
    west, east, south, north = WINDOW
    points = np.concatenate([np.array(line) for line in lines])
    assert len(points) > 5_000
    assert (points >= [west, south]).all()
    assert (points <= [east, north]).all()

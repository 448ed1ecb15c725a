from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bigearthnet
from bigearthnet.release.bands import BANDS
from bigearthnet.report.composites import make_picture
from bigearthnet.report.given import take_patch
from bigearthnet.schema.rgb import decode_image
from builder.figures.tables import choose_stores
from builder.reporting.pixels import read_pixels


@pytest.fixture(scope="module")
def data_dir(all_stores: Path) -> Path:
    """The six real patches."""
    return all_stores


def test_histograms_count_every_fourth_pixel(data_dir: Path) -> None:
    """Those of rows and columns 0, 2, …, as numpy counts them."""
    found = read_pixels(choose_stores(data_dir)[0], (), quiet=True)

    assert [band.name for band in BANDS] == list(found.histograms)
    bands = [
        take_patch(patch).bands for patch in bigearthnet.open_reader("all", data_dir)
    ]
    for name, histogram in found.histograms.items():
        pixels = np.concatenate([one[name][::2, ::2].ravel() for one in bands])
        inside = np.minimum(pixels, histogram.edges[-1])
        expected, _ = np.histogram(inside, histogram.edges)
        np.testing.assert_array_equal(expected, histogram.counts)
    assert ({}, 6) == (found.pictures, found.num_patches)


def test_pictures_are_the_composites(data_dir: Path) -> None:
    """Of the patches that are wanted alone; JPEG changes them little."""
    patch = bigearthnet.open_reader("test", data_dir)[0]
    store = choose_stores(data_dir)[0]

    pictures = read_pixels(store, {patch["patch_id"]}, quiet=True).pictures

    assert [patch["patch_id"]] == list(pictures)
    for kind, content in pictures[patch["patch_id"]].items():
        expected = make_picture(take_patch(patch).bands, kind)
        error = np.abs(decode_image(content).astype(int) - expected)
        assert error.mean() < 8, kind

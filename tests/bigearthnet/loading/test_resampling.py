"""Ways to resample, against Pillow, and PyTorch where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import bigearthnet
from bigearthnet.errors import OptionError
from bigearthnet.loading.images import make_images as make_tensors
from bigearthnet.reading.images import KERNELS, make_images, resampling_matrix
from bigearthnet.release.bands import GROUPS

BANDS = ("B8A", "B03", "B09", "B12", "B01")
SIZES = (20, 60)


@pytest.fixture(scope="module")
def groups() -> dict[str, npt.NDArray[np.uint16]]:
    """Random pixels of two patches."""
    random = np.random.default_rng(2)
    return {
        group.name: random.integers(0, 2**14, (2, *group.shape), np.uint16)
        for group in GROUPS
    }


def resize(pixels: npt.NDArray[Any], resampling: str) -> npt.NDArray[Any]:
    """Resamples a band slowly and obviously."""
    from PIL import Image

    image = Image.fromarray(pixels.astype(np.float32))
    return np.asarray(image.resize((120, 120), Image.Resampling[resampling.upper()]))


@pytest.mark.parametrize("resampling", KERNELS)
def test_images_are_those_of_pillow(
    resampling: str, groups: dict[str, npt.NDArray[np.uint16]]
) -> None:
    """NumPy and TensorFlow make of each band what Pillow makes; nearest is exact."""
    tolerance = 0 if resampling == "nearest" else 0.05
    for make in (make_images, make_tensors):
        images = np.asarray(make(groups, GROUPS, BANDS, resampling))
        for channel, band in enumerate(BANDS):
            for group in GROUPS:
                names = [one.name for one in group.bands]
                if band not in names:
                    continue
                for patch in range(2):
                    pixels = groups[group.name][patch, names.index(band)]
                    expected = resize(pixels, resampling)
                    found = images[patch, ..., channel]
                    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
def test_nearest_repeats_pixels(size: int) -> None:
    """Each pixel becomes a square of itself, as in ConfigILM."""
    pixels = np.random.default_rng(1).integers(0, 2**16, (size, size), np.uint16)
    weights = resampling_matrix(size, "nearest")
    repeats = 120 // size
    expected = pixels.repeat(repeats, axis=0).repeat(repeats, axis=1)

    np.testing.assert_array_equal(expected, weights @ pixels @ weights.T)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", SIZES)
def test_weights_are_those_of_pytorch(size: int, resampling: str) -> None:
    """The same images as torch's interpolate, without aligned corners."""
    torch = pytest.importorskip("torch")
    pixels = np.random.default_rng(1).integers(0, 10_000, (size, size), np.uint16)
    tensor = torch.from_numpy(pixels.astype(np.float32))[None, None]
    expected = torch.nn.functional.interpolate(tensor, (120, 120), mode=resampling)
    weights = resampling_matrix(size, resampling)

    np.testing.assert_allclose(
        expected[0, 0], weights @ pixels @ weights.T, rtol=0, atol=0.05
    )


@pytest.mark.parametrize("store", ["tfrecord", "arrow", "parquet"])
def test_load_and_readers_resample_alike(store: str, all_stores: Path) -> None:
    """`load` and `images` of a reader take the name, in upper or lower case."""
    reader = bigearthnet.open_reader("train", all_stores, store=store)
    stored = reader.gather(range(4), ["B11", "B01"])
    expected = [
        stored[b].repeat(n, 1).repeat(n, 2) for b, n in (("B11", 2), ("B01", 6))
    ]
    loaded = bigearthnet.load(
        "train", all_stores, bands=["B11", "B01"], store=store, resampling="Nearest"
    )
    ((images, _),) = loaded.as_numpy_iterator()

    np.testing.assert_array_equal(np.stack(expected, axis=-1), images)
    found = reader.images(slice(None), ["B11", "B01"], resampling="nearest")
    np.testing.assert_array_equal(images, found)


def test_an_unknown_way_is_refused(all_stores: Path) -> None:
    """The error lists the ways that there are."""
    with pytest.raises(OptionError, match="bicubic, bilinear, nearest, got 'area'"):
        bigearthnet.load("train", all_stores, resampling="area")

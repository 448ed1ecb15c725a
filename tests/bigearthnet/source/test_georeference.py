from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS, BY_NAME, Band
from bigearthnet.source import geotiff
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.layout import find_layout

Patches = dict[str, dict[str, bytes]]

ARCHIVE = V1.archive("s2")
B01 = BY_NAME["B01"]
PLACE = Georeference(32633, 331_200, 5_331_600, 332_400, 5_330_400)
TRANSFORM = rasterio.Affine(60, 0, PLACE.ulx, 0, -60, PLACE.uly)


def read(tiff: bytes, band: Band = B01) -> Georeference | None:
    """Where a band lies by our reader."""
    _, place = geotiff.read_band(tiff, band, "uint16", "P", "F.tif")
    return place


def read_with_rasterio(tiff: bytes) -> Georeference:
    """Where a band lies by rasterio."""
    with MemoryFile(tiff) as memory, memory.open() as dataset:
        bounds = dataset.bounds
        epsg = dataset.crs.to_epsg() if dataset.crs else None
        return Georeference(epsg, bounds.left, bounds.top, bounds.right, bounds.bottom)


def write(**options: Any) -> bytes:
    """Writes a band B01 with rasterio; by default where PLACE is."""
    tags = options.pop("tags", {})
    options = {"crs": "EPSG:32633", "transform": TRANSFORM, **options}
    shape = {"count": 1, "height": 20, "width": 20, "dtype": "uint16"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **options) as dataset:
            dataset.write(np.arange(400, dtype=np.uint16).reshape(20, 20), 1)
            dataset.update_tags(**tags)
        content: bytes = memory.read()
        return content


def change(tiff: bytes, tag: int, form: str, *values: float) -> bytes:
    """Writes other values at the place of a tag's values."""
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    entries = struct.iter_unpack("<HHII", tiff[first + 2 : first + 2 + 12 * count])
    offsets = {found: offset for found, _, _, offset in entries}
    changed = bytearray(tiff)
    struct.pack_into(form, changed, offsets[tag], *values)
    return bytes(changed)


def test_real_bands_lie_where_rasterio_says(sample_patches: Patches) -> None:
    """All 72 real bands give the place that rasterio gives, without GDAL."""
    for patch_id, files in sample_patches.items():
        for band in BANDS:
            tiff = files[ARCHIVE.band_file(patch_id, band)]
            layout = find_layout(tiff, len(tiff), band.size_px, "uint16")

            assert layout is not None
            assert layout.geo_tags is not None
            assert read_with_rasterio(tiff) == read(tiff, band)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compress": "deflate"},
        {"ENDIANNESS": "BIG"},
        {"BIGTIFF": "YES"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"tags": {"AREA_OR_POINT": "Point"}},
        {"transform": rasterio.Affine(60, 0, 500_003.5, 0, -60, 42)},
    ],
    ids=str,
)
def test_any_layout_gives_the_place(options: dict[str, Any]) -> None:
    """What GDAL may write, the fast path or GDAL reads; pixels as points, too."""
    tiff = write(**options)

    assert read_with_rasterio(tiff) == read(tiff)


def test_a_rotated_band_has_the_corners_of_its_pixels() -> None:
    """A band that was turned by a right angle lies elsewhere than one that was not."""
    turned = rasterio.Affine(0, -60, PLACE.lrx, -60, 0, PLACE.uly)
    place = read(write(transform=turned))

    assert place is not None
    assert place.distance(PLACE) == pytest.approx(1200)


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")
def test_a_band_may_not_say_where_it_lies() -> None:
    """Without a place there is none; without a system there are its corners."""
    nowhere = write(crs=None, transform=rasterio.Affine.identity())

    assert read(nowhere) is None
    assert PLACE._replace(epsg=None) == read(write(crs=None))


@pytest.mark.parametrize(
    ("tag", "form", "values"),
    [
        (33922, "<6d", (0, 0, 0, math.nan, 5_331_600, 0)),
        (33922, "<6d", (0, 0, 0, math.inf, 5_331_600, 0)),
        (33550, "<3d", (math.nan, 60, 0)),
        (34735, "<4H", (9, 9, 9, 65535)),
        (34735, "<4H", (1, 1, 0, 65535)),
        (34735, "<4H", (1, 1, 0, 0)),
    ],
)
def test_damaged_places_are_never_taken_for_right_ones(
    tag: int, form: str, values: tuple[float, ...]
) -> None:
    """Whatever stands there, the place is the right one, none, or far away."""
    place = read(change(write(), tag, form, *values))

    assert place is None or PLACE[1:] == place[1:] or place.distance(PLACE) >= 10


def test_distances_are_of_the_farthest_coordinate() -> None:
    """Two places are apart by their largest difference; unlike systems, infinitely."""
    other = PLACE._replace(ulx=PLACE.ulx + 3, lry=PLACE.lry - 4)

    assert PLACE.distance(PLACE) == 0
    assert PLACE.distance(other) == other.distance(PLACE) == 4
    assert PLACE.distance(PLACE._replace(epsg=32634)) == math.inf
    assert PLACE.distance(other._replace(epsg=None)) == 4
    assert PLACE.distance(PLACE._replace(uly=math.nan)) == math.inf

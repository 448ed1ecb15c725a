"""Target `tiff`: the reader of GeoTIFFs, against rasterio.

GDAL is slow, and no code of ours: of the inputs that the fast path does not understand
it gets one in SLOW_PART, chosen by their checksum so that every run is alike. Inputs
that differ in pixels alone ask the oracle once.
"""

from __future__ import annotations

import functools
import warnings
import zlib
from typing import Any

import numpy as np

from benchmarks.fuzzing import Finding, expect_equal
from benchmarks.fuzzing.sample import read_sample
from bigearthnet.errors import PatchError
from bigearthnet.release.bands import BY_NAME
from bigearthnet.source import gdal, geotiff
from bigearthnet.source.layout import find_layout

TOKENS = [
    *[b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"\0\1\4\0\1\0\0\0", b"\1\1\3\0\1\0\0\0"],
    *[
        b"\x11\1\4\0",
        b"\x17\1\4\0",
        b"\x53\1\3\0",
        b"\x80\xa4\2\0",
        b"\xff\xff\xff\xff",
    ],
]

# One in so many of the inputs that need GDAL gets it.
SLOW_PART = 16

_BAND = BY_NAME["B01"]
_asked: set[int] = set()


def check(data: bytes, slow_part: int = SLOW_PART) -> bool:
    """Reads a TIFF as band B01; returns whether it was accepted as one.

    Raises:
        Finding: If rasterio reads other pixels, or none.
    """
    layout = find_layout(data, len(data), _BAND.size_px, "uint16")
    checksum = zlib.crc32(data)
    if layout is None and checksum % slow_part:
        return gdal._find_problem(data, _BAND) is None
    try:
        found = geotiff.decode_band(data, _BAND, "uint16", "P", "F.tif")
    except PatchError:
        if layout is not None and not layout.strips:
            raise Finding(f"the fast path refuses {layout}") from None
        return False
    if layout is not None and not layout.strips:
        checksum = zlib.crc32(data[: layout[0]] + data[layout[1] :])
        if checksum in _asked:
            return True
        _asked.add(checksum)
    expected = _read_with_rasterio(data)
    if expected is not None:
        expect_equal(expected, found.tolist(), "pixels")
    return True


def _read_with_rasterio(tiff: bytes) -> list[list[int]] | str | None:
    """The oracle: the rows of the first band, or why it cannot be read.

    None where rasterio has no answer: it cannot open a file in which the name of the
    coordinate system is not UTF-8, whatever its pixels are.
    """
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    try:
        with MemoryFile(tiff) as memory, memory.open(driver="GTiff") as dataset:
            rows: list[list[int]] = dataset.read(1).tolist()
            return rows
    except UnicodeDecodeError:
        return None
    except (RasterioError, ValueError) as cause:
        return str(cause)


@functools.cache
def make_seeds() -> tuple[bytes, ...]:
    """Returns the real bands B01, and one band in every layout that GDAL writes."""
    real = [tiff for name, tiff in read_sample().items() if name.endswith("_B01.tif")]
    layouts: list[dict[str, Any]] = [
        {},
        {"blockysize": 3},
        {"ENDIANNESS": "BIG"},
        {"BIGTIFF": "YES"},
        {"BIGTIFF": "YES", "ENDIANNESS": "BIG"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"compress": "deflate"},
        {"compress": "lzw", "predictor": 2},
        {"nodata": 0},
        {"crs": "EPSG:32633"},
    ]
    return (*real, *map(_write, layouts))


def _write(options: dict[str, Any]) -> bytes:
    from rasterio.io import MemoryFile

    pixels = np.add.outer(100 * np.arange(20), np.arange(20)).astype(np.uint16)
    shape = {"count": 1, "height": 20, "width": 20, "dtype": "uint16"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **options) as dataset:
            dataset.write(pixels, 1)
        content: bytes = memory.read()
        return content

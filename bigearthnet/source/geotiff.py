"""Bytes of a single-band GeoTIFF → its pixels, exactly, and where they lie.

The fast path understands what the archives hold: little-endian classic TIFF, one
image, uncompressed contiguous strips, or the compressed ones of maps (`inflate.py`).
Whatever it does not fully understand goes to GDAL (`gdal.py`), never to a guess;
rasterio is also its oracle in the tests.

Source: TIFF Revision 6.0 (Adobe, 1992), sections 2 and 8.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release.bands import Band
from bigearthnet.source.gdal import read_georeference, read_with_gdal
from bigearthnet.source.georeference import Georeference, parse_georeference
from bigearthnet.source.inflate import inflate
from bigearthnet.source.layout import Layout, find_layout

# Bytes that hold the whole structure of the archives' files: header, up to 16 tags and,
# in 10 m bands, the positions of four strips, in those of Sentinel-1 of eight. What
# follows differs from patch to patch (tie points), so that this many bytes have few
# distinct values and can be cached.
_STRUCTURE_NBYTES: Final = 230
_FLOAT_STRUCTURE_NBYTES: Final = 258
_cached_layout = functools.lru_cache(maxsize=256)(find_layout)

# What the magnitude of floats must be below, so that their statistics are exact; see
# `store.statistics`. Backscatter of Sentinel-1 lies between -100 and 100 dB.
MAX_FLOAT: Final = 2**15


def read_band(
    tiff: bytes, band: Band, dtype: str, patch_id: str, file: str
) -> tuple[memoryview, Georeference | None]:
    """Returns the pixels of one band, as bytes, and where they lie.

    Args:
        tiff: Content of one `<patch id>_<band>.tif`.
        band: The band that the file holds; sets the expected shape.
        dtype: NumPy name of the pixels' type.
        patch_id: The patch, for error messages.
        file: The file's name, for error messages.

    Returns:
        Little-endian pixels of axes (y, x) and shape `band.shape`, row 0 the north
        edge. Where they lie; None if the file does not say it.

    Raises:
        PatchError: If the bytes are not a GeoTIFF of one band of that type and shape,
            or its floats are not finite, MAX_FLOAT and above, or all whole numbers.
    """
    is_float = dtype.startswith("float")
    nbytes = _FLOAT_STRUCTURE_NBYTES if is_float else _STRUCTURE_NBYTES
    layout = _cached_layout(tiff[:nbytes], len(tiff), band.size_px, dtype)
    if layout is None:
        layout = find_layout(tiff, len(tiff), band.size_px, dtype)
    pixels = None if layout is None else _take_pixels(tiff, layout, band, dtype)
    if layout is None or pixels is None:
        decoded, place = read_with_gdal(tiff, band, dtype, patch_id=patch_id, file=file)
        pixels = memoryview(decoded.tobytes())
    else:
        place = _find_place(tiff, layout, band)
    problem = _find_float_problem(pixels, dtype) if is_float else None
    if problem is not None:
        raise PatchError(
            f"{band.name}: {problem}. Check that the archive is complete and of the "
            "right release.",
            patch_id=patch_id,
            file=file,
        )
    return pixels, place


def _take_pixels(
    tiff: bytes, layout: Layout, band: Band, dtype: str
) -> memoryview | None:
    """Returns the pixels of a file; None if they are compressed and damaged."""
    if not layout.strips:
        return memoryview(tiff)[layout.start : layout.end]
    inflated = inflate(tiff, layout.strips, band.shape, dtype)
    return None if inflated is None else memoryview(inflated)


def _find_float_problem(pixels: memoryview, dtype: str) -> str | None:
    """Returns what is wrong with measured values, or None."""
    values = np.frombuffer(pixels, np.dtype(dtype).newbyteorder("<"))
    if not (np.abs(values) < MAX_FLOAT).all():  # which NaN is not, either
        return f"expected finite values under {MAX_FLOAT}, got some that are not"
    # The first decides almost always.
    if values[0].is_integer() and (values == np.trunc(values)).all():
        return "expected measured values, got whole numbers alone: they were truncated"
    return None


def _find_place(tiff: bytes, layout: Layout, band: Band) -> Georeference | None:
    """Returns where a band lies; None if its file does not say it."""
    if not layout.has_place:
        return None
    tags, place = layout.geo_tags, None
    if tags is not None:
        place = parse_georeference(tiff[tags.start : tags.end], tags)
    return read_georeference(tiff, band) if place is None else place


def decode_band(
    tiff: bytes, band: Band, dtype: str, patch_id: str, file: str
) -> npt.NDArray[Any]:
    """Decodes one band; arguments and errors as in `read_band`.

    Returns:
        Read-only array of axes (y, x), shape `band.shape`, of the type asked for.
    """
    pixels, _ = read_band(tiff, band, dtype, patch_id, file)
    return np.frombuffer(pixels, np.dtype(dtype).newbyteorder("<")).reshape(band.shape)

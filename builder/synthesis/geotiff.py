"""Encodes one band of a synthetic patch as GDAL encoded those of the real archives."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import Band
from builder.synthesis.files import Place


def encode_tiff(
    pixels: npt.NDArray[Any], band: Band, place: Place, nodata: int | None = None
) -> bytes:
    """Encodes one band of a patch, laid out like the files of the real archives.

    Args:
        pixels: Shape (y, x) == `band.shape`, uint16 or float32.
        band: The band.
        place: Where the patch lies.
        nodata: What the file says that a pixel without data would be, if it says it.

    Returns:
        Content of a little-endian classic GeoTIFF: a header, then uncompressed pixels.
    """
    shape = band.size_px, band.resolution_m
    header = _make_header(*shape, pixels.dtype.name, place, nodata)
    little_endian = pixels.dtype.newbyteorder("<")
    return header + pixels.astype(little_endian, copy=False).tobytes()


def encode_map(codes: npt.NDArray[np.uint16], band: Band, place: Place) -> bytes:
    """Encodes a reference map: deflated, with differences along rows.

    Args:
        codes: Codes of land cover, shape (y, x) == `band.shape`, uint16.
        band: Its only band.
        place: Where the patch lies.
    """
    options = {"nodata": 0, "compress": "deflate", "predictor": 2}
    return _write(codes, band.resolution_m, place, options)


@functools.lru_cache(maxsize=16)
def _make_header(
    size_px: int, resolution_m: int, dtype: str, place: Place, nodata: int | None
) -> bytes:
    """Makes all bytes before the pixels, which bands of one size share."""
    pixels = np.ones((size_px, size_px), dtype)
    options = {} if nodata is None else {"nodata": nodata}
    return _write(pixels, resolution_m, place, options)[: -pixels.nbytes]


def _write(
    pixels: npt.NDArray[Any], resolution_m: int, place: Place, options: dict[str, Any]
) -> bytes:
    from rasterio import Affine
    from rasterio.io import MemoryFile

    height, width = pixels.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            dtype=pixels.dtype,
            count=1,
            height=height,
            width=width,
            crs=f"EPSG:{32_600 + place.zone}",
            transform=Affine(resolution_m, 0, place.ulx, 0, -resolution_m, place.uly),
            **options,
        ) as dataset:
            dataset.write(pixels, 1)
        content: bytes = memory.read()
    return content

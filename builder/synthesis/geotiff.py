"""Encodes one band of a synthetic patch as GDAL encoded those of the real archive."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import Band
from builder.synthesis.files import Place


def encode_tiff(pixels: npt.NDArray[np.uint16], band: Band, place: Place) -> bytes:
    """Encodes one band of a patch, laid out like the files of the real archive.

    Args:
        pixels: Digital numbers, shape (y, x) == `band.shape`, uint16.
        band: The band.
        place: Where the patch lies.

    Returns:
        Content of a little-endian classic GeoTIFF: a header, then uncompressed pixels.
    """
    header = _make_header(band.size_px, band.resolution_m, place)
    return header + pixels.astype("<u2", copy=False).tobytes()


@functools.lru_cache(maxsize=16)
def _make_header(size_px: int, resolution_m: int, place: Place) -> bytes:
    """Makes all bytes before the pixels, which bands of one size share."""
    from rasterio import Affine
    from rasterio.io import MemoryFile

    pixels = np.ones((size_px, size_px), np.uint16)
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            dtype=pixels.dtype,
            count=1,
            height=size_px,
            width=size_px,
            crs=f"EPSG:{32_600 + place.zone}",
            transform=Affine(resolution_m, 0, place.ulx, 0, -resolution_m, place.uly),
        ) as dataset:
            dataset.write(pixels, 1)
        content: bytes = memory.read()
    return content[: -pixels.nbytes]

"""Bytes of a single-band GeoTIFF → its pixels, exactly, and where they lie.

The fast path understands what the archives hold: little-endian classic TIFF, one
image, uncompressed contiguous strips. Whatever it does not fully understand
goes to GDAL (`gdal.py`), never to a guess; rasterio is also its oracle in the tests.

Source: TIFF Revision 6.0 (Adobe, 1992), sections 2 and 8.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release.bands import Band
from bigearthnet.source.gdal import read_georeference, read_with_gdal
from bigearthnet.source.georeference import (
    GEO_TAGS,
    Georeference,
    GeoTags,
    find_geo_tags,
    parse_georeference,
)

# Bytes that hold the whole structure of the archive's files: header, 15 tags and, in
# 10 m bands, the positions of four strips. What follows differs from patch to patch
# (tie points), so that this many bytes have few distinct values and can be cached.
_STRUCTURE_NBYTES: Final = 226

# What the magnitude of floats must be below, so that their statistics are exact; see
# `store.statistics`. Backscatter of Sentinel-1 lies between -100 and 100 dB.
MAX_FLOAT: Final = 2**15

_LITTLE_ENDIAN_CLASSIC: Final = b"II*\0"
_ENTRY = struct.Struct("<HHII")
_SHORT, _LONG = 3, 4

_WIDTH, _HEIGHT = 256, 257
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTE_COUNTS = 273, 278, 279

# Tags whose value must be this one for the fast path; absent means the default.
_REQUIRED: Final[Mapping[int, int]] = {
    259: 1,  # Compression: none
    277: 1,  # SamplesPerPixel
}
_ALLOWED: Final[Mapping[int, int]] = {
    254: 0,  # NewSubfileType: a full image
    262: 1,  # PhotometricInterpretation: black is zero
    266: 1,  # FillOrder
    274: 1,  # Orientation: row 0 is the top
    284: 1,  # PlanarConfiguration
}
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339
# SampleFormat of numpy's kinds of types; unsigned integers are its default.
_SAMPLE_FORMATS: Final[Mapping[str, int]] = {"u": 1, "i": 2, "f": 3}
# Tags that say nothing of how pixels are stored: resolution, software and date, and
# the GeoTIFF and GDAL tags.
_IGNORED: Final = GEO_TAGS | {282, 283, 296, 305, 306, 34736, 34737, 42113}


class _Layout(NamedTuple):
    """Where things are in a TIFF that the fast path understands, in bytes.

    Attributes:
        start: Begin of the pixels.
        end: Their end.
        has_place: Whether the file says where its pixels lie.
        geo_tags: Where it does so; None if it does not, or not in the usual form.
    """

    start: int
    end: int
    has_place: bool
    geo_tags: GeoTags | None


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
            or one of its floats is not finite or MAX_FLOAT and above.
    """
    layout = _cached_layout(tiff[:_STRUCTURE_NBYTES], len(tiff), band.size_px, dtype)
    if layout is None:
        layout = _find_layout(tiff, len(tiff), band.size_px, dtype)
    if layout is None:
        decoded, place = read_with_gdal(tiff, band, dtype, patch_id=patch_id, file=file)
        pixels = memoryview(decoded.tobytes())
    else:
        pixels = memoryview(tiff)[layout.start : layout.end]
        place = _find_place(tiff, layout, band)
    if dtype.startswith("float"):
        values = np.frombuffer(pixels, np.dtype(dtype).newbyteorder("<"))
        if not (np.abs(values) < MAX_FLOAT).all():  # which NaN is not, either
            raise PatchError(
                f"{band.name}: expected finite values under {MAX_FLOAT}, got some that "
                "are not. Check that the archive is complete and of the right release.",
                patch_id=patch_id,
                file=file,
            )
    return pixels, place


def _find_place(tiff: bytes, layout: _Layout, band: Band) -> Georeference | None:
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


def _find_layout(
    structure: bytes, nbytes: int, size_px: int, dtype: str
) -> _Layout | None:
    """Finds where things are in a TIFF that the fast path understands.

    Args:
        structure: The file, or as many of its first bytes as hold its structure.
        nbytes: Size of the whole file.
        size_px: Expected width and height.
        dtype: NumPy name of the expected type.

    Returns:
        None if anything at all is out of the ordinary.
    """
    if structure[:4] != _LITTLE_ENDIAN_CLASSIC:
        return None
    try:
        tags = _read_tags(structure)
        if tags is None:
            return None
        starts = _read_numbers(structure, *tags.pop(_STRIP_OFFSETS))
        counts = _read_numbers(structure, *tags.pop(_STRIP_BYTE_COUNTS))
        rows = _read_numbers(structure, *tags.pop(_ROWS_PER_STRIP))
    except (struct.error, KeyError):
        return None
    if not starts or not rows or not _is_plain(tags, size_px, np.dtype(dtype)):
        return None
    if len(rows) != 1 or rows[0] == 0:
        return None
    if counts != _count_strips(size_px, rows[0], np.dtype(dtype).itemsize):
        return None
    if len(starts) != len(counts):
        return None
    end = starts[0]
    for start, count in zip(starts, counts, strict=True):
        if start != end:
            return None
        end += count
    if end > nbytes:
        return None
    has_place = not GEO_TAGS.isdisjoint(tags)
    return _Layout(starts[0], end, has_place, find_geo_tags(tags, nbytes, size_px))


def _count_strips(
    size_px: int, rows_per_strip: int, pixel_nbytes: int
) -> tuple[int, ...]:
    """Returns the bytes of each strip of an uncompressed band."""
    step = min(rows_per_strip, size_px)
    return tuple(
        pixel_nbytes * size_px * min(step, size_px - row)
        for row in range(0, size_px, step)
    )


_cached_layout = functools.lru_cache(maxsize=256)(_find_layout)


def _read_tags(structure: bytes) -> dict[int, tuple[int, int, int]] | None:
    """Returns tag → (type, count, value or offset); None if not a single plain IFD."""
    (position,) = struct.unpack_from("<I", structure, 4)
    (num_tags,) = struct.unpack_from("<H", structure, position)
    start, end = position + 2, position + 2 + num_tags * _ENTRY.size
    (next_ifd,) = struct.unpack_from("<I", structure, end)
    entries = list(_ENTRY.iter_unpack(structure[start:end]))
    tags = {tag: (kind, count, value) for tag, kind, count, value in entries}
    if next_ifd != 0 or len(tags) != num_tags:
        return None
    return tags


def _read_numbers(
    structure: bytes, kind: int, count: int, value: int
) -> tuple[int, ...] | None:
    """Reads a list of SHORT or LONG; one LONG, or up to two SHORT, stand inline."""
    if kind == _SHORT and count in (1, 2):
        return (value & 0xFFFF, value >> 16)[:count]
    if kind == _LONG and count == 1:
        return (value,)
    if kind not in (_SHORT, _LONG) or not 0 < count <= len(structure):
        return None
    return struct.unpack_from(
        f"<{count}{'H' if kind == _SHORT else 'I'}", structure, value
    )


def _is_plain(
    tags: Mapping[int, tuple[int, int, int]], size_px: int, dtype: np.dtype[Any]
) -> bool:
    """Whether the tags say: one uncompressed band of the expected size and type."""
    expected = {**_REQUIRED, _WIDTH: size_px, _HEIGHT: size_px}
    expected[_BITS_PER_SAMPLE] = 8 * dtype.itemsize
    allowed = dict(_ALLOWED)
    # May be left out if it is the default.
    kinds = allowed if dtype.kind == "u" else expected
    kinds[_SAMPLE_FORMAT] = _SAMPLE_FORMATS[dtype.kind]
    if not expected.keys() <= tags.keys():
        return False
    for tag, (kind, count, value) in tags.items():
        if tag in _IGNORED:
            continue
        wanted = expected.get(tag, allowed.get(tag))
        if wanted is None or kind not in (_SHORT, _LONG) or count != 1:
            return False
        if value != wanted:
            return False
    return True

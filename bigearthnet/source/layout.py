"""Where the pixels of a single-band TIFF are, and its place; nothing is decoded here.

Source: TIFF Revision 6.0 (Adobe, 1992), sections 2, 8, 14 and 15.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from bigearthnet.source.georeference import GEO_TAGS, GeoTags, find_geo_tags
from bigearthnet.source.inflate import Strip

_LITTLE_ENDIAN_CLASSIC: Final = b"II*\0"
_ENTRY = struct.Struct("<HHII")
_SHORT, _LONG = 3, 4

_WIDTH, _HEIGHT = 256, 257
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTE_COUNTS = 273, 278, 279

_COMPRESSION, _PREDICTOR = 259, 317
# Compression: none, DEFLATE. Predictor: differences along rows.
_NONE, _DEFLATE, _DIFFERENCES = 1, 8, 2
_SAMPLES_PER_PIXEL: Final = 277
# Tags whose value must be this one, which is the default.
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


class Layout(NamedTuple):
    """Where things are in a TIFF that the fast path understands, in bytes.

    Attributes:
        start: Begin of the pixels; not if they are compressed.
        end: Their end.
        strips: Of compressed pixels begin and bytes of each strip, and its pixels'.
        has_place: Whether the file says where its pixels lie.
        geo_tags: Where it does so; None if it does not, or not in the usual form.
    """

    start: int
    end: int
    strips: tuple[Strip, ...]
    has_place: bool
    geo_tags: GeoTags | None


def find_layout(
    structure: bytes, nbytes: int, size_px: int, dtype: str
) -> Layout | None:
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
    is_deflated = tags.get(_COMPRESSION, (0, 0, _NONE))[2] == _DEFLATE
    kind = np.dtype(dtype)
    if is_deflated and kind.kind != "u":
        return None
    if not _is_plain(tags, size_px, kind, is_deflated):
        return None
    if not starts or not counts or not rows or len(rows) != 1 or rows[0] == 0:
        return None
    lengths = _count_strips(size_px, rows[0], kind.itemsize)
    if not len(starts) == len(counts) == len(lengths):
        return None
    strips = tuple(map(Strip, starts, counts, lengths))
    end = max(strip.start + strip.nbytes for strip in strips)
    if end > nbytes or not (is_deflated or _are_contiguous(strips)):
        return None
    has_place = not GEO_TAGS.isdisjoint(tags)
    geo_tags = find_geo_tags(tags, nbytes, size_px)
    return Layout(starts[0], end, strips if is_deflated else (), has_place, geo_tags)


def _are_contiguous(strips: tuple[Strip, ...]) -> bool:
    """Whether strips hold all pixels, uncompressed, one after another."""
    end = strips[0].start
    for start, nbytes, pixel_nbytes in strips:
        if start != end or nbytes != pixel_nbytes:
            return False
        end += nbytes
    return True


def _count_strips(
    size_px: int, rows_per_strip: int, pixel_nbytes: int
) -> tuple[int, ...]:
    """Returns the bytes of the pixels of each strip."""
    step = min(rows_per_strip, size_px)
    return tuple(
        pixel_nbytes * size_px * min(step, size_px - row)
        for row in range(0, size_px, step)
    )


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
    tags: Mapping[int, tuple[int, int, int]],
    size_px: int,
    dtype: np.dtype[Any],
    is_deflated: bool,
) -> bool:
    """Whether the tags say: one band of the expected size and type, and no more."""
    expected = {_WIDTH: size_px, _HEIGHT: size_px, _SAMPLES_PER_PIXEL: 1}
    expected[_BITS_PER_SAMPLE] = 8 * dtype.itemsize
    expected[_COMPRESSION] = _DEFLATE if is_deflated else _NONE
    if is_deflated:
        expected[_PREDICTOR] = _DIFFERENCES
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

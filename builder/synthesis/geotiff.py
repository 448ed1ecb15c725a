"""Writes one band of a synthetic patch as GDAL wrote those of the real archive."""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import Band
from builder.synthesis.files import Place


class _Field(NamedTuple):
    """One entry of a TIFF directory; `kind` is the type of its `length` values."""

    tag: int
    kind: int
    length: int
    values: bytes

    @property
    def is_long(self) -> bool:
        """Whether the values are stored behind the directory."""
        return len(self.values) > _INLINE_NBYTES


# TIFF types of values.
_ASCII, _SHORT, _LONG, _DOUBLE = 2, 3, 4, 12
_FORMATS = {_SHORT: "H", _LONG: "I", _DOUBLE: "d"}

# Directory: number of entries (2 bytes), entries, offset of the next one (4 bytes).
_DIRECTORY_OFFSET = 8
_ENTRY_NBYTES = 12
_VALUES_OFFSET = _DIRECTORY_OFFSET + 2 + 4  # and the entries
# Longer values are stored behind the directory, lengths of strips before the others.
_INLINE_NBYTES = 4
_STRIP_LENGTHS = 279
# Strips are as many whole rows as fit (GDAL's default).
_STRIP_NBYTES = 8192


def encode_tiff(pixels: npt.NDArray[np.uint16], band: Band, place: Place) -> bytes:
    """Encodes one band of a patch, byte for byte as the real archive does.

    Args:
        pixels: Digital numbers, shape (y, x) == `band.shape`, uint16.
        band: The band.
        place: Where the patch lies.

    Returns:
        Content of a little-endian classic GeoTIFF, uncompressed.

    Source: the 72 files of the six real sample patches.
    """
    header = _header(band.size_px, band.resolution_m, place)
    return header + pixels.astype("<u2", copy=False).tobytes()


@functools.lru_cache(maxsize=16)
def _header(size_px: int, resolution_m: int, place: Place) -> bytes:
    """All bytes before the pixels."""
    rows = min(size_px, _STRIP_NBYTES // (2 * size_px))
    lengths = [2 * size_px * min(rows, size_px - y) for y in range(0, size_px, rows)]
    geo_fields = _geo_fields(resolution_m, place)
    start = _directory_nbytes(_fields(size_px, rows, lengths, lengths) + geo_fields)
    offsets = [start + sum(lengths[:strip]) for strip in range(len(lengths))]
    return _encode_directory(_fields(size_px, rows, offsets, lengths) + geo_fields)


def _numbers(tag: int, kind: int, *values: float) -> _Field:
    packed = struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
    return _Field(tag, kind, len(values), packed)


def _fields(
    size_px: int, rows: int, offsets: list[int], lengths: list[int]
) -> list[_Field]:
    return [
        _numbers(256, _SHORT, size_px),  # ImageWidth
        _numbers(257, _SHORT, size_px),  # ImageLength
        _numbers(258, _SHORT, 16),  # BitsPerSample
        _numbers(259, _SHORT, 1),  # Compression: none
        _numbers(262, _SHORT, 1),  # PhotometricInterpretation: black is zero
        _numbers(273, _LONG, *offsets),  # StripOffsets
        _numbers(277, _SHORT, 1),  # SamplesPerPixel
        _numbers(278, _SHORT, rows),  # RowsPerStrip
        _numbers(_STRIP_LENGTHS, _LONG, *lengths),  # StripByteCounts
        _numbers(284, _SHORT, 1),  # PlanarConfiguration: contiguous
        _numbers(339, _SHORT, 1),  # SampleFormat: unsigned integer
    ]


def _geo_fields(resolution_m: int, place: Place) -> list[_Field]:
    name, datum = f"WGS 84 / UTM zone {place.zone}N|", "WGS 84|"
    keys = (
        (1, 1, 0, 7),  # Version, and the number of keys
        (1024, 0, 1, 1),  # GTModelType: projected
        (1025, 0, 1, 1),  # GTRasterType: pixel is area
        (1026, 34737, len(name), 0),  # GTCitation
        (2049, 34737, len(datum), len(name)),  # GeogCitation
        (2054, 0, 1, 9102),  # GeogAngularUnits: degree
        (3072, 0, 1, 32_600 + place.zone),  # ProjectedCSType: EPSG code
        (3076, 0, 1, 9001),  # ProjLinearUnits: metre
    )
    text = f"{name}{datum}\0".encode("ascii")
    return [
        _numbers(33550, _DOUBLE, resolution_m, resolution_m, 0),  # ModelPixelScale
        _numbers(33922, _DOUBLE, 0, 0, 0, place.ulx, place.uly, 0),  # ModelTiepoint
        _numbers(34735, _SHORT, *(n for key in keys for n in key)),  # GeoKeyDirectory
        _Field(34737, _ASCII, len(text), text),  # GeoAsciiParams
    ]


def _directory_nbytes(fields: list[_Field]) -> int:
    """Bytes of the file's head, its directory, and the values stored behind it."""
    behind = sum(len(field.values) for field in fields if field.is_long)
    return _VALUES_OFFSET + _ENTRY_NBYTES * len(fields) + behind


def _encode_directory(fields: list[_Field]) -> bytes:
    long = [field for field in fields if field.is_long]
    long.sort(key=lambda field: field.tag != _STRIP_LENGTHS)
    offset = _VALUES_OFFSET + _ENTRY_NBYTES * len(fields)
    offsets = {}
    for field in long:
        offsets[field.tag] = struct.pack("<I", offset)
        offset += len(field.values)
    entries = [
        struct.pack("<HHI", field.tag, field.kind, field.length)
        + offsets.get(field.tag, field.values).ljust(_INLINE_NBYTES, b"\0")
        for field in fields
    ]
    head = struct.pack("<2sHIH", b"II", 42, _DIRECTORY_OFFSET, len(fields))
    behind = [field.values for field in long]
    return b"".join([head, *entries, bytes(4), *behind])

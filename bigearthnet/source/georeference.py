"""Where a band lies, as its GeoTIFF says it, and whether that is where its patch lies.

Only the form that the archives have is understood here: one tie point at the corner of
the first pixel, a pixel size, and the EPSG code of the projected system. Any other is
left to GDAL.

Source: OGC GeoTIFF Standard 1.1 (OGC 19-008r4), section 7 and annex B.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

_PIXEL_SCALE: Final = 33550
_TIE_POINT: Final = 33922
_TRANSFORMATION: Final = 34264
_GEO_KEYS: Final = 34735
# Tags that say where pixels lie: ModelPixelScale, ModelTiepoint, ModelTransformation
# and GeoKeyDirectory.
GEO_TAGS: Final = frozenset({_PIXEL_SCALE, _TIE_POINT, _TRANSFORMATION, _GEO_KEYS})

_SHORT, _DOUBLE = 3, 12
_SCALE = struct.Struct("<3d")
_TIE = struct.Struct("<6d")

# GTModelTypeGeoKey: projected; GTRasterTypeGeoKey: pixels are areas.
_REQUIRED_KEYS: Final = {1024: 1, 1025: 1}
_PROJECTED_CRS: Final = 3072
# Codes of the EPSG registry; 32767 means a system that the file describes itself.
_EPSG_CODES: Final = range(1024, 32767)


class Georeference(NamedTuple):
    """Where a band lies.

    Attributes:
        epsg: EPSG code of the projected system; None if the file names none.
        ulx: Easting of the outer corner of the first pixel, in metres.
        uly: Its northing.
        lrx: Easting of the outer corner of the last pixel, in metres.
        lry: Its northing.
    """

    epsg: int | None
    ulx: float
    uly: float
    lrx: float
    lry: float

    def __str__(self) -> str:
        corners = ", ".join(f"{value:.12g}" for value in self[1:])
        return f"EPSG:{self.epsg} ({corners})"

    def distance(self, other: Georeference) -> float:
        """Returns how far two corners of the same name are apart, in metres.

        The largest difference of a coordinate; infinite if one is not a number, or the
        systems are not the same.
        """
        if self.epsg != other.epsg and None not in (self.epsg, other.epsg):
            return float("inf")
        differences = [abs(a - b) for a, b in zip(self[1:], other[1:], strict=True)]
        largest = max(differences)
        # Not a number: neither `max` nor a comparison would notice.
        return largest if sum(differences) < float("inf") else float("inf")


class GeoTags(NamedTuple):
    """Where a file says where its pixels lie; offsets in bytes.

    Attributes:
        start: Begin of the part of the file that holds all the values.
        end: Its end.
        scale: Where ModelPixelScale is in this part.
        tie_point: Where ModelTiepoint is.
        keys: Where GeoKeyDirectory is.
        num_shorts: Numbers in GeoKeyDirectory.
        size_px: Height and width of the image.
    """

    start: int
    end: int
    scale: int
    tie_point: int
    keys: int
    num_shorts: int
    size_px: int


def find_geo_tags(
    tags: Mapping[int, tuple[int, int, int]], nbytes: int, size_px: int
) -> GeoTags | None:
    """Finds the values that say where pixels lie.

    Args:
        tags: Tag of the first image → (type, count, offset of its values).
        nbytes: Size of the file.
        size_px: Height and width of the image.

    Returns:
        Where they are; None if they have another form than in the archives.
    """
    scale, tie = tags.get(_PIXEL_SCALE), tags.get(_TIE_POINT)
    keys = tags.get(_GEO_KEYS)
    if scale is None or tie is None or keys is None or _TRANSFORMATION in tags:
        return None
    is_usual = scale[:2] == (_DOUBLE, 3) and tie[:2] == (_DOUBLE, 6)
    if not is_usual or keys[0] != _SHORT or keys[1] < 4:
        return None
    start = min(scale[2], tie[2], keys[2])
    end = max(scale[2] + _SCALE.size, tie[2] + _TIE.size, keys[2] + 2 * keys[1])
    if end > nbytes:
        return None
    offsets = (scale[2] - start, tie[2] - start, keys[2] - start)
    return GeoTags(start, end, *offsets, keys[1], size_px)


@functools.lru_cache(maxsize=256)
def parse_georeference(part: bytes, tags: GeoTags) -> Georeference | None:
    """Parses the values that say where pixels lie.

    Cached: the bands of one size of a patch have the same.

    Args:
        part: The part of the file that `tags` names.
        tags: Where the values are in it.

    Returns:
        Where the band lies; None if it is said in another form than in the archives.
    """
    width, height, _ = _SCALE.unpack_from(part, tags.scale)
    column, row, _, x, y, _ = _TIE.unpack_from(part, tags.tie_point)
    epsg = _parse_epsg(part[tags.keys : tags.keys + 2 * tags.num_shorts])
    if epsg is None or column or row or not (width > 0 and height > 0):
        return None
    size = tags.size_px
    return Georeference(epsg, x, y, x + width * size, y - height * size)


@functools.lru_cache(maxsize=256)
def _parse_epsg(directory: bytes) -> int | None:
    """Returns the code that a GeoKeyDirectory names, if it has the usual keys."""
    shorts = struct.unpack(f"<{len(directory) // 2}H", directory)
    keys: dict[int, int] = {}
    for first in range(4, min(4 + 4 * shorts[3], len(shorts) - 3), 4):
        key, location, _, value = shorts[first : first + 4]
        if location == 0:  # the value stands here, not in another tag
            keys[key] = value
    epsg = keys.get(_PROJECTED_CRS, 0)
    is_usual = shorts[0] == 1 and keys.items() >= _REQUIRED_KEYS.items()
    return epsg if is_usual and epsg in _EPSG_CODES else None

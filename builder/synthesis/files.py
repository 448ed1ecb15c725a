"""Place, metadata and tar members of a patch, in the form of the real archive."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass

from bigearthnet.release.bands import PATCH_SIZE_M
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.source.metadata import SYNTHETIC

# Modification time of every member: 1 January 2019, 00:00 UTC.
_MEMBER_TIME = 1_546_300_800

# Letters of the Military Grid Reference System: latitude bands of 8° from 80° S, and
# northings of 100 km squares, which repeat every 2,000 km.
_LATITUDE_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_EASTINGS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_NORTHINGS = "ABCDEFGHJKLMNPQRSTUV"
_SQUARE_M = 100_000
_CYCLE_M = len(_NORTHINGS) * _SQUARE_M
_DEGREE_M = 110_600  # A degree of latitude, about.
# Corners of tiles lie on the grid of the coarsest bands.
_TILE_GRID_M = 60

_WKT = (
    'PROJCS["WGS 84 / UTM zone {zone}N",GEOGCS["WGS 84",DATUM["WGS_1984",'
    'SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],'
    'AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",{meridian}],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],'
    'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],'
    'AXIS["Northing",NORTH],AUTHORITY["EPSG","326{zone:02d}"]]'
)


@dataclass(frozen=True)
class Place:
    """Where a patch lies.

    Attributes:
        tile: MGRS cell, for example `33UUP`; northern hemisphere.
        zone: Number of the UTM zone.
        ulx: Easting of the upper left corner in metres.
        uly: Northing of the upper left corner in metres.
    """

    tile: str
    zone: int
    ulx: int
    uly: int


def find_place(tile: str, column: int, row: int) -> Place:
    """Works out where a patch lies from its tile and its place in the tile.

    Args:
        tile: MGRS cell, for example `33UUP`.
        column: Horizontal order of the patch in the tile.
        row: Vertical order.

    Returns:
        The place; exact for the real patches of both releases that were tried.
    """
    zone = int(tile[:2])
    first_letter = (zone - 1) % 3 * 8
    easting = (_EASTINGS.index(tile[3]) - first_letter + 1) * _SQUARE_M
    # Rows are lettered from A in odd zones and from F in even ones.
    letter = _NORTHINGS.index(tile[4]) - (5 if zone % 2 == 0 else 0)
    northing = letter % len(_NORTHINGS) * _SQUARE_M
    south = (_LATITUDE_BANDS.index(tile[2]) * 8 - 80) * _DEGREE_M - _SQUARE_M
    northing += -((northing - south) // _CYCLE_M) * _CYCLE_M
    left = easting // _TILE_GRID_M * _TILE_GRID_M
    top = -(-(northing + _SQUARE_M) // _TILE_GRID_M) * _TILE_GRID_M
    return Place(
        tile=tile,
        zone=zone,
        ulx=left + column * PATCH_SIZE_M,
        uly=top - row * PATCH_SIZE_M,
    )


def encode_metadata(labels: tuple[int, ...], patch: PatchId, place: Place) -> bytes:
    """Encodes the JSON of a patch as the real archive does.

    Args:
        labels: Ascending class ids of CLC43.
        patch: The patch id.
        place: Where the patch lies.

    Returns:
        Content of `<patch id>_labels_metadata.json`. Its `tile_source` contains
        SYNTHETIC; processing baseline and orbit in it are made up.
    """
    content = {
        "labels": CLC43.decode(labels),
        "coordinates": {
            "ulx": place.ulx,
            "uly": place.uly,
            "lrx": place.ulx + PATCH_SIZE_M,
            "lry": place.uly - PATCH_SIZE_M,
        },
        "projection": _WKT.format(zone=place.zone, meridian=6 * place.zone - 183),
        "tile_source": (
            f"{patch.satellite}_MSIL1C_{patch.date:%Y%m%d}T{patch.time}_N0205_R022_"
            f"T{place.tile}_{SYNTHETIC}.SAFE"
        ),
        "acquisition_date": f"{patch.date} {_valid_time(patch.time)}",
    }
    return json.dumps(content).encode("ascii")


def _valid_time(text: str) -> str:
    """Makes `HH:MM:SS` of the time in a patch id, which may be impossible."""
    parts = zip((text[:-4], text[-4:-2], text[-2:]), (23, 59, 59), strict=True)
    return ":".join(f"{min(int(part), most):02d}" for part, most in parts)


def encode_member(name: str, content: bytes | None) -> bytes:
    """Encodes one member of a tar archive in GNU format.

    Args:
        name: Path in the archive, without a slash at the end.
        content: Content of the file; None for a folder.

    Returns:
        Header (with a long-name header before it where the name needs one) and
        content, padded to whole blocks.
    """
    info = tarfile.TarInfo(name)
    info.mtime = _MEMBER_TIME
    info.mode = 0o664 if content is not None else 0o775
    info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    content = content or b""
    info.size = len(content)
    header = info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")
    return header + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def encode_end(nbytes: int) -> bytes:
    """Encodes the end of a tar archive of `nbytes` so far: zeros to a whole record."""
    end = 2 * tarfile.BLOCKSIZE
    return bytes(end + -(nbytes + end) % tarfile.RECORDSIZE)

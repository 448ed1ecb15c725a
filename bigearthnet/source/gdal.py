"""Bytes of an unusual GeoTIFF → its pixels and place, by GDAL, after a check.

GDAL reads what the archive does not hold but a re-encoded copy may: other byte order,
BigTIFF, tiles, lossless compression. Before it sees a byte, the structure is read here:
only a TIFF of the band's size, with blocks that fit in little memory, goes further, and
only GDAL's GTiff driver may open it, so that no other file is ever read.

Source: TIFF Revision 6.0 (Adobe, 1992), section 2; the BigTIFF design (libtiff).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release.bands import Band
from bigearthnet.source.georeference import Georeference

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

# struct's code of the types in which a number may stand: SHORT, LONG, LONG8.
_FORMS: Final[Mapping[int, str]] = {3: "H", 4: "I", 16: "Q"}

_WIDTH, _HEIGHT, _COMPRESSION = 256, 257, 259
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_NUMBERS: Final = (_WIDTH, _HEIGHT, _COMPRESSION, _TILE_WIDTH, _TILE_HEIGHT)
_GDAL_METADATA: Final = 42112

# Lossless, and of bounded memory: none, LZW, deflate (two codes), PackBits, zstd.
_COMPRESSIONS: Final = (1, 5, 8, 32946, 32773, 50000)

# Largest width and height of a tile, in pixels: a tile is decoded whole. The usual ones
# are 256 and 512.
_MAX_TILE: Final = 1024

# Longest XML of GDAL's metadata, in bytes: the time it takes grows with the square.
_MAX_METADATA_NBYTES: Final = 2**16

# The loggers to which rasterio sends what GDAL and libtiff say of a file.
_LOGGERS: Final = ("rasterio._env", "rasterio._err")

# The random name that rasterio gives a file in memory, and what it puts after it.
_MEMORY_NAME: Final = re.compile(r"(/vsimem/)?[0-9a-f-]{36}[\w./:-]*,? *")


@contextlib.contextmanager
def quiet_gdal() -> Iterator[None]:
    """Keeps off the user's terminal what GDAL says of a file: our error tells it."""
    from rasterio.errors import NotGeoreferencedWarning

    def drop(_: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(drop)
    try:
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)


def explain(error: Exception) -> str:
    """Returns what GDAL said when rasterio raised an error, without random names."""
    return _MEMORY_NAME.sub("", str(error.__cause__ or error)).rstrip(".")[:120]


def read_with_gdal(
    tiff: bytes, band: Band, dtype: str, *, patch_id: str, file: str
) -> tuple[npt.NDArray[Any], Georeference | None]:
    """Reads any valid GeoTIFF of one band of the expected type and shape.

    Args:
        tiff: Content of the file.
        band: The band that it holds; sets the expected shape.
        dtype: NumPy name of the expected type.
        patch_id: The patch, for error messages.
        file: The file's name, for error messages.

    Returns:
        Array of axes (y, x), shape `band.shape`, little-endian; where it lies, None if
        the file does not say it.

    Raises:
        PatchError: If the bytes are not such a file, or need too much to find out.
    """

    def error(problem: str) -> PatchError:
        return PatchError(
            f"{problem}. Check that the archive is complete and of the right release.",
            patch_id=patch_id,
            file=file,
        )

    problem = _find_problem(tiff, band)
    if problem is not None:
        raise error(problem)
    from rasterio.errors import RasterioError

    try:
        with _open(tiff) as dataset:
            little_endian = np.dtype(dtype).newbyteorder("<")
            pixels = _read_checked(tiff, dataset, band, dtype)
            place = _find_place(dataset)
            return pixels.astype(little_endian, copy=False), place
    except ValueError as cause:
        raise error(str(cause)[:200]) from None
    except RasterioError as cause:
        raise error(f"damaged TIFF: {explain(cause)}") from None


def read_georeference(tiff: bytes, band: Band) -> Georeference | None:
    """Reads where a band lies.

    Args:
        tiff: Content of the file, whose pixels are good.
        band: The band that it holds; sets the expected shape.

    Returns:
        None if the file does not say it, or not in a way that GDAL understands.
    """
    if _find_problem(tiff, band) is not None:
        return None
    from rasterio.errors import RasterioError

    try:
        with _open(tiff) as dataset:
            return _find_place(dataset)
    except (RasterioError, ValueError):
        return None


@contextlib.contextmanager
def _open(tiff: bytes) -> Iterator[DatasetReader]:
    import rasterio
    from rasterio.io import MemoryFile

    with (
        quiet_gdal(),
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
        MemoryFile(tiff) as memory,
        memory.open(driver="GTiff", sharing=False) as dataset,
    ):
        yield dataset


def _find_place(dataset: DatasetReader) -> Georeference | None:
    to_place, crs = dataset.transform, dataset.crs
    if to_place.is_identity:
        return None
    epsg = None if crs is None else _find_epsg(crs.to_wkt())
    lrx = to_place.c + to_place.a * dataset.width + to_place.b * dataset.height
    lry = to_place.f + to_place.d * dataset.width + to_place.e * dataset.height
    return Georeference(epsg, to_place.c, to_place.f, lrx, lry)


@functools.lru_cache(maxsize=256)
def _find_epsg(wkt: str) -> int | None:
    """Returns the code of a system; PROJ takes its time to look it up."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        epsg: int | None = CRS.from_wkt(wkt).to_epsg()
    except CRSError:
        return None
    return epsg


def _read_checked(
    tiff: bytes, dataset: DatasetReader, band: Band, dtype: str
) -> npt.NDArray[Any]:
    kinds, shape = dataset.dtypes, dataset.shape
    if kinds != (dtype,) or shape != band.shape:
        raise ValueError(
            f"{band.name}: expected one {dtype} band of {band.shape}, got "
            f"{len(kinds)} of {'/'.join(sorted(set(kinds)))} and {shape}"
        )
    is_deflate = dataset.profile.get("compress") == "deflate"
    most = math.prod(dataset.block_shapes[0]) * np.dtype(dtype).itemsize
    for (row, column), _ in dataset.block_windows(1):
        # GDAL makes up pixels of blocks that a sparse file leaves out.
        start = dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", 1)
        if start is None:
            raise ValueError(f"{band.name}: the file leaves out some of its pixels")
        if is_deflate:
            nbytes = int(dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1))
            _check_deflate(tiff[int(start) : int(start) + nbytes], band, most)
    return dataset.read(1)


def _check_deflate(block: bytes, band: Band, most: int) -> None:
    """Checks length and checksum of a compressed block, which GDAL does not.

    Args:
        block: A strip or tile, as it is in the file.
        band: The band, for the error.
        most: Bytes of a whole block; the last strip has fewer.

    Raises:
        ValueError: If the block is damaged.
    """
    decoder = zlib.decompressobj()
    try:
        decoder.decompress(block, most)
        more = decoder.decompress(decoder.unconsumed_tail, 1)  # and the checksum
    except zlib.error as cause:
        raise ValueError(
            f"{band.name}: compressed pixels are damaged: {cause}"
        ) from None
    if more or not decoder.eof:
        raise ValueError(f"{band.name}: compressed pixels do not end where they should")


def _find_problem(tiff: bytes, band: Band) -> str | None:
    """Returns why GDAL should not see a file, or None."""
    numbers = _read_numbers(tiff)
    if numbers is None or _WIDTH not in numbers or _HEIGHT not in numbers:
        return f"not a readable TIFF ({len(tiff)} bytes, begins {tiff[:8]!r})"
    size = numbers[_HEIGHT], numbers[_WIDTH]
    if size != band.shape:
        return f"{band.name} has the wrong shape: expected {band.shape}, got {size}"
    tile = numbers.get(_TILE_HEIGHT, 1), numbers.get(_TILE_WIDTH, 1)
    if max(tile) > _MAX_TILE:
        return f"tiles of {tile} pixels: expected up to {_MAX_TILE}"
    compression = numbers.get(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        return f"compression {compression}: expected one of {_COMPRESSIONS}"
    if numbers.get(_GDAL_METADATA, 0) > _MAX_METADATA_NBYTES:
        return f"{numbers[_GDAL_METADATA]} bytes of metadata"
    return None


def _read_numbers(tiff: bytes) -> dict[int, int] | None:
    """Reads the numbers that decide what reading the first image takes.

    Returns:
        Tag → number, of _NUMBERS; of _GDAL_METADATA its length in bytes. None if there
        is no first image, or it gives one of them twice, or in a strange form.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
    version = tiff[2:4] if order == "<" else tiff[3:1:-1]
    is_big = version == b"+\0"
    if not order or version not in (b"*\0", b"+\0"):
        return None
    word, head = order + ("Q" if is_big else "I"), order + ("Q" if is_big else "H")
    entry, value_at = (20, 12) if is_big else (12, 8)
    numbers: dict[int, int] = {}
    try:
        (first,) = struct.unpack_from(word, tiff, 8 if is_big else 4)
        (num_tags,) = struct.unpack_from(head, tiff, first)
        start = first + struct.calcsize(head)
        for position in range(start, min(start + num_tags * entry, len(tiff)), entry):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, position)
            if tag in numbers:
                return None
            if tag == _GDAL_METADATA:
                (numbers[tag],) = struct.unpack_from(word, tiff, position + 4)
            elif tag in _NUMBERS:
                form = order + _FORMS[kind]
                (numbers[tag],) = struct.unpack_from(form, tiff, position + value_at)
    except (struct.error, OverflowError, KeyError):  # an offset of 2**63 or more
        return None
    return numbers

from __future__ import annotations

import random
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS, BY_NAME
from bigearthnet.source import geotiff
from bigearthnet.source.layout import find_layout

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Patches = dict[str, dict[str, bytes]]

ARCHIVE = V1.archive("s2")

B01 = BY_NAME["B01"]
# 20 × 20, no two pixels alike, rows and columns apart.
PIXELS = np.add.outer(100 * np.arange(20), np.arange(60_000, 60_020)).astype("<u2")


@pytest.fixture
def real_tiff(sample_patches: Patches) -> bytes:
    """The first real band B01."""
    patch_id = next(iter(sample_patches))
    return sample_patches[patch_id][ARCHIVE.band_file(patch_id, B01)]


def decode(tiff: bytes) -> npt.NDArray[np.uint16]:
    """Decodes bytes as band B01 of the patch `P`, file `F.tif`."""
    return geotiff.decode_band(tiff, B01, "uint16", "P", "F.tif")


def is_fast(tiff: bytes) -> bool:
    """Whether the fast path understands the bytes as band B01."""
    return find_layout(tiff, len(tiff), 20, "uint16") is not None


def read_with_rasterio(tiff: bytes) -> npt.NDArray[np.generic] | None:
    """The oracle: the first band, or None if rasterio cannot read it."""
    try:
        with MemoryFile(tiff) as memory, memory.open(driver="GTiff") as dataset:
            return dataset.read(1)
    except (RasterioError, ValueError):
        return None


def is_right(tiff: bytes) -> bool:
    """Whether the bytes are refused with a PatchError, or read as rasterio does."""
    try:
        ours = decode(tiff)
    except PatchError as error:
        return ("P", "F.tif") == (error.patch_id, error.file)
    theirs = read_with_rasterio(tiff)
    return theirs is not None and np.array_equal(theirs, ours)


def write(
    pixels: npt.NDArray[np.generic] = PIXELS, *, overviews: bool = False, **options: Any
) -> bytes:
    """Writes a TIFF with rasterio; axes (y, x) or (band, y, x)."""
    bands = pixels.reshape(-1, *pixels.shape[-2:])
    count, height, width = bands.shape
    shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    tags = options.pop("tags", {})
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **options) as dataset:
            dataset.write(bands)
            dataset.update_tags(**tags)
        if overviews:
            with rasterio.open(memory.name, "r+") as dataset:
                dataset.build_overviews([2])
        return memory.read()


def retag(tiff: bytes, tag: int, value: int | None) -> bytes:
    """Sets a tag of a TIFF to one LONG, in place of PlanarConfiguration if it is new.

    The value None takes the tag away.
    """
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    entries = [tiff[p : p + 12] for p in range(first + 2, first + 2 + 12 * count, 12)]
    tags = [int.from_bytes(entry[:2], "little") for entry in entries]
    new = (65000, 4, 1, 0) if value is None else (tag, 4, 1, value)
    entries[tags.index(tag if tag in tags else 284)] = struct.pack("<HHII", *new)
    return tiff[: first + 2] + b"".join(entries) + tiff[first + 2 + 12 * count :]


def test_real_bands_equal_rasterio(sample_patches: Patches) -> None:
    """All 72 real bands take the fast path and equal what rasterio reads."""
    tiffs = [
        (files[ARCHIVE.band_file(patch_id, band)], band)
        for patch_id, files in sample_patches.items()
        for band in BANDS
    ]

    assert 72 == len(tiffs)
    for tiff, band in tiffs:
        begin = tiff[: geotiff._STRUCTURE_NBYTES]
        pixels = geotiff.decode_band(tiff, band, "uint16", "P", "F.tif")

        assert find_layout(begin, len(tiff), band.size_px, "uint16") is not None
        assert np.array_equal(read_with_rasterio(tiff), pixels)


def test_pixels_are_little_endian_rows(fake_patches: Patches) -> None:
    """A TIFF without the tag SampleFormat gives its pixels row by row, read-only."""
    patch_id, files = list(fake_patches.items())[1]
    tiff = files[ARCHIVE.band_file(patch_id, B01)]
    expected = [5000 + 2 * y + x for y in range(20) for x in range(20)]

    found, _ = geotiff.read_band(tiff, B01, "uint16", patch_id, "x")

    assert struct.pack("<400H", *expected) == bytes(found)
    assert is_fast(tiff)
    assert np.array_equal(read_with_rasterio(tiff), decode(tiff))
    assert not decode(tiff).flags.writeable


# What rasterio is told, whether the fast path understands the result.
VARIANTS: dict[str, tuple[dict[str, Any], bool]] = {
    "plain": ({}, True),
    "georeferenced": ({"crs": "EPSG:32634"}, True),
    "nodata": ({"nodata": 60_000}, True),
    "rows": ({"blockysize": 1}, True),
    "min is white": ({"photometric": "MINISWHITE"}, False),
    "big-endian": ({"ENDIANNESS": "BIG"}, False),
    "BigTIFF": ({"BIGTIFF": "YES"}, False),
    "big-endian BigTIFF": ({"BIGTIFF": "YES", "ENDIANNESS": "BIG"}, False),
    "tiled": ({"tiled": True, "blockxsize": 16, "blockysize": 16}, False),
    "deflate": ({"compress": "deflate"}, False),
    "LZW": ({"compress": "lzw"}, False),
    "predictor": ({"compress": "deflate", "predictor": 2}, True),
    "planar": ({"interleave": "band"}, False),
    "overviews": ({"overviews": True}, False),
    "more metadata": ({"tags": {"key": "value"}}, False),
    "software": ({"tags": {"TIFFTAG_SOFTWARE": "x" * 300}}, True),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_equal_pixels(variant: str) -> None:
    """However a TIFF is laid out, its pixels are the ones that were written."""
    options, fast = VARIANTS[variant]
    tiff = write(**options)

    assert PIXELS.tolist() == decode(tiff).tolist()
    assert fast == is_fast(tiff)


def test_strips_out_of_order_go_to_rasterio() -> None:
    """Strips that are not stored one after another are put in order."""
    tiff = write(blockysize=10)
    start = tiff.index(PIXELS.tobytes())
    middle, end = start + 400, start + 800
    swapped = tiff[:start] + tiff[middle:end] + tiff[start:middle] + tiff[end:]
    offsets = (start, middle), (middle, start)
    mixed = swapped.replace(*[struct.pack("<2I", *pair) for pair in offsets])

    assert (True, False) == (is_fast(tiff), is_fast(mixed))
    assert PIXELS.tolist() == decode(mixed).tolist()


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        *[(254, 1), (266, 2), (274, 2), (274, 6), (317, 2), (322, 16), (65001, 7)],
        *[(258, n) for n in (1, 8, 15, 32, None)],
        *[(259, n) for n in (0, 2, 5, 8, 32773, None)],
        *[(262, n) for n in (0, 2, 3, 32845, None)],
        *[(273, n) for n in (0, 8, 200, 10**6, None)],
        *[(277, n) for n in (0, 2, 3, None)],
        *[(278, n) for n in (0, 1, 8, 11, 13, 19, 20, 40, 2**32 - 1, None)],
        *[(279, n) for n in (0, 1, 799, 800, 10**6, None)],
        *[(284, n) for n in (1, 2, 3, None)],
        *[(339, n) for n in (0, 1, 2, 3, 4, 5, None)],
    ],
)
@pytest.mark.parametrize("rows", [12, 20])
def test_a_tag_is_understood_or_refused(tag: int, value: int | None, rows: int) -> None:
    """An odd value of a tag is refused, or means to us what it means to rasterio."""
    assert is_right(retag(write(blockysize=rows), tag, value))


@pytest.mark.parametrize(
    ("dtype", "count"),
    [(t, 1) for t in ("int16", "float32", "uint8", "complex64")] + [("uint16", 2)],
)
def test_another_type_or_number_of_bands_is_refused(dtype: str, count: int) -> None:
    """Anything but one uint16 band is an error that says what the file holds."""
    message = rf"^P/F\.tif: .*one uint16 band of .* got {count} of {dtype} "

    with pytest.raises(PatchError, match=message):
        decode(write(np.ones((count, 20, 20), dtype)))


@pytest.mark.parametrize("shape", [(60, 60), (20, 10), (10, 20), (21, 20), (1, 400)])
def test_another_shape_is_refused(shape: tuple[int, int]) -> None:
    """A band of another shape is an error that gives both as (y, x)."""
    message = r"^P/F\.tif: B01 .*expected \(20, 20\), got " + re.escape(str(shape))
    for order in ("LITTLE", "BIG"):
        with pytest.raises(PatchError, match=message):
            decode(write(np.ones(shape, np.uint16), ENDIANNESS=order))


def test_the_cache_of_layouts_knows_size_and_band(real_tiff: bytes) -> None:
    """A file read before does not vouch for a cut one, nor for another band."""
    assert 400 == decode(real_tiff).size
    with pytest.raises(PatchError, match=r"^P/F\.tif: damaged TIFF"):
        decode(real_tiff[:-1])
    with pytest.raises(PatchError, match=r"expected \(60, 60\), got \(20, 20\)"):
        geotiff.decode_band(real_tiff, BY_NAME["B11"], "uint16", "P", "F.tif")


def test_every_truncation_is_refused(real_tiff: bytes) -> None:
    """A real file ends with its last pixel, so that no byte of it can be missed."""
    for nbytes in range(len(real_tiff)):
        with pytest.raises(PatchError, match=r"^P/F\.tif: "):
            decode(real_tiff[:nbytes])


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_damaged_byte_is_refused_or_harmless(real_tiff: bytes, mask: int) -> None:
    """A changed byte of a real header is refused, or changes nothing for rasterio."""
    begin, end = real_tiff[:400], real_tiff[400:]
    damaged = [
        begin[:i] + bytes([begin[i] ^ mask]) + begin[i + 1 :] for i in range(400)
    ]

    wrong = [i for i, content in enumerate(damaged) if not is_right(content + end)]

    assert [] == wrong


@pytest.mark.parametrize("variant", ["big-endian", "BigTIFF", "deflate", "tiled"])
def test_random_damage_is_refused_or_harmless(variant: str) -> None:
    """Changed bytes and cuts are refused, or change nothing for rasterio."""
    generator = random.Random(0)
    tiff = write(**VARIANTS[variant][0])
    wrong = []
    for _ in range(400):
        content = bytearray(tiff)
        for _ in range(generator.choice((1, 2, 4))):
            place = generator.randrange(min(len(tiff), 300))
            content[place] = generator.choice((0, 1, 255, generator.randrange(256)))
        del content[generator.choice((len(tiff), generator.randrange(len(tiff)))) :]
        wrong += [] if is_right(bytes(content)) else [bytes(content)]

    assert [] == wrong


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1) + bytes(40),
        # a BigTIFF whose first image stands beyond any file
        b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1) + bytes(40),
        b"MM\0+\0\x08\0\0" + struct.pack(">Q", 2**64 - 1) + bytes(40),
        random.Random(0).randbytes(1160),
        b"II*\0" + random.Random(1).randbytes(1160),
    ],
    ids=range(7),
)
def test_other_bytes_are_refused(content: bytes) -> None:
    """What is no TIFF is an error that gives its size and first bytes."""
    with pytest.raises(PatchError, match=r"^P/F\.tif: not a readable TIFF") as caught:
        decode(content)

    assert f"({len(content)} bytes, begins {content[:8]!r})" in str(caught.value)


def test_a_disguised_vrt_reads_no_other_file(tmp_path: Path) -> None:
    """A VRT named .tif, which makes GDAL read another file, is refused."""
    other = tmp_path / "other.tif"
    other.write_bytes(write())
    source = f"<SourceFilename>{other}</SourceFilename><SourceBand>1</SourceBand>"
    vrt = (
        '<VRTDataset rasterXSize="20" rasterYSize="20">'
        '<VRTRasterBand dataType="UInt16" band="1">'
        f"<SimpleSource>{source}</SimpleSource></VRTRasterBand></VRTDataset>"
    ).encode()
    with MemoryFile(vrt) as memory, memory.open() as dataset:
        assert PIXELS.tolist() == dataset.read(1).tolist()

    with pytest.raises(PatchError, match=r"^P/F\.tif: not a readable TIFF"):
        decode(vrt)

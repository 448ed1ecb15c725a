"""TIFFs that were made to do harm, and what GDAL may see of them."""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.io import MemoryFile

from bigearthnet.errors import PatchError
from bigearthnet.release.bands import BY_NAME
from bigearthnet.source import gdal

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

B01 = BY_NAME["B01"]
PIXELS = np.add.outer(100 * np.arange(20), np.arange(60_000, 60_020)).astype("<u2")
RAW = PIXELS.tobytes()

_SHORT, _LONG = (3, "H"), (4, "I")

# Tag → type and values, of a TIFF of one strip; the offset 0 is put right.
Tags = Mapping[int, tuple[tuple[int, str], tuple[int, ...]] | bytes | None]
PLAIN: Tags = {
    256: (_LONG, (20,)),
    257: (_LONG, (20,)),
    258: (_SHORT, (16,)),
    259: (_SHORT, (1,)),
    262: (_SHORT, (1,)),
    273: (_LONG, (0,)),
    277: (_SHORT, (1,)),
    278: (_LONG, (20,)),
    279: (_LONG, (800,)),
}


def make_tiff(changes: Tags, content: bytes = RAW, after: bytes = b"") -> bytes:
    """Makes a little-endian TIFF.

    Args:
        changes: Tags that replace those of PLAIN; bytes are text, None takes one away.
        content: What the first strip or tile holds.
        after: Further images, which the first one's link leads to.
    """
    tags = {tag: v for tag, v in {**PLAIN, **changes}.items() if v is not None}
    start = 8 + 2 + 12 * len(tags) + 4
    texts = b"".join(v for v in tags.values() if isinstance(v, bytes) and len(v) > 4)
    entries, at = b"", start
    for tag in sorted(tags):
        value = tags[tag]
        if isinstance(value, bytes):
            entries += struct.pack("<HHI", tag, 2, len(value)) + struct.pack("<I", at)
            at += len(value)
            continue
        (kind, form), numbers = value
        if tag in (273, 324) and numbers == (0,):
            numbers = (start + len(texts),)
        packed = struct.pack(f"<{len(numbers)}{form}", *numbers)
        entries += struct.pack("<HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    link = start + len(texts) + len(content) if after else 0
    return (
        struct.pack("<2sHIH", b"II", 42, 8, len(tags))
        + entries
        + struct.pack("<I", link)
        + texts
        + content
        + after
    )


def read(tiff: bytes) -> list[list[int]]:
    """Reads bytes as band B01."""
    pixels, _ = gdal.read_with_gdal(tiff, B01, "uint16", patch_id="P", file="F.tif")
    return pixels.tolist()  # type: ignore[no-any-return]


def write(**options: Any) -> bytes:
    """Writes PIXELS with rasterio."""
    shape = {"count": 1, "height": 20, "width": 20, "dtype": "uint16"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **options) as dataset:
            dataset.write(PIXELS, 1)
        return memory.read()


def test_a_plain_tiff_is_read() -> None:
    """What the other tests change is right as it is."""
    assert PIXELS.tolist() == read(make_tiff({}))


@pytest.mark.parametrize("compress", ["lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("tiled", [False, True])
def test_lossless_compression_is_read(compress: str, tiled: bool) -> None:
    """A copy that was compressed without loss gives equal pixels."""
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256} if tiled else {}

    assert PIXELS.tolist() == read(write(compress=compress, **options))


@pytest.mark.parametrize("code", [2, 6, 7, 9, 34712, 34887, 34925, 50001, 50002, 65535])
def test_other_compression_is_refused(code: int) -> None:
    """Decoders that lose something, or take memory without bound, are never run."""
    with pytest.raises(PatchError, match=rf"^P/F\.tif: compression {code}: expected"):
        read(make_tiff({259: (_SHORT, (code,))}))


@pytest.mark.parametrize("size", [(2**32 - 1, 2**32 - 1), (20, 2**31), (0, 0)])
def test_absurd_dimensions_are_refused(size: tuple[int, int]) -> None:
    """Dimensions are compared with the band's before anything is allocated."""
    height, width = size
    tiff = make_tiff({256: (_LONG, (width,)), 257: (_LONG, (height,))})

    with pytest.raises(PatchError, match=r"wrong shape: expected \(20, 20\), got \("):
        read(tiff)


def make_tiled(side: tuple[int, int], content: bytes) -> bytes:
    """Makes a TIFF of one deflated tile of (height, width) pixels."""
    strips: Tags = {273: None, 278: None, 279: None, 259: (_SHORT, (8,))}
    tiles: Tags = {
        322: (_LONG, (side[1],)),
        323: (_LONG, (side[0],)),
        324: (_LONG, (0,)),
        325: (_LONG, (len(content),)),
    }
    return make_tiff({**strips, **tiles}, content)


@pytest.mark.parametrize(
    "side", [(2048, 16), (16, 2048), (32768, 32768), (2**31, 16), (2**32 - 16,) * 2]
)
def test_bombs_of_huge_tiles_are_refused(side: tuple[int, int]) -> None:
    """A tile is decoded whole, so that only tiles of usual sizes are."""
    bomb = zlib.compress(bytes(10**7), 9)

    with pytest.raises(PatchError, match=r"tiles of \(\d+, \d+\) pixels: expected up"):
        read(make_tiled(side, bomb))


def test_bombs_within_a_block_are_refused() -> None:
    """A strip or tile that decompresses to far more than its pixels is damage."""
    bomb = zlib.compress(RAW + bytes(10**8), 9)
    deflated: Tags = {259: (_SHORT, (8,)), 279: (_LONG, (len(bomb),))}
    inner = np.zeros((32, 32), "<u2")
    inner[:20, :20] = PIXELS

    tiled = make_tiled((32, 32), zlib.compress(inner.tobytes() + bytes(10**8), 9))
    for tiff in (make_tiff(deflated, bomb), tiled):
        with pytest.raises(PatchError, match="do not end where they should"):
            read(tiff)


@pytest.mark.parametrize("offset", [5, 1000, 2**31, 2**32 - 1])
def test_pixels_outside_of_the_file_are_refused(offset: int) -> None:
    """A strip that ends beyond the file is damage, not zeros."""
    tiff = make_tiff({273: (_LONG, (offset,))}, RAW[: 100 if offset == 5 else 800])

    with pytest.raises(PatchError, match=r"^P/F\.tif: damaged TIFF"):
        read(tiff)


@pytest.mark.parametrize(
    ("tiff", "reason"),
    [
        (make_tiff({259: (_SHORT, (5,))}), "IReadBlock failed"),
        (make_tiff({277: (_SHORT, (1, 1))}), 'count for "SamplesPerPixel"'),
        (make_tiff({273: None}), 'missing required "StripOffsets"'),
        (make_tiff({284: (_SHORT, (77,))}), 'Bad value 77 for "PlanarConfiguration"'),
    ],
)
def test_what_gdal_says_is_in_the_error_and_nowhere_else(
    tiff: bytes,
    reason: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    """The error says why, the same each time; no log, no warning, nothing printed."""
    errors = set()
    for _ in range(2):
        with pytest.raises(PatchError, match=f"damaged TIFF: .*{reason}") as error:
            read(tiff)
        errors.add(str(error.value))

    assert 1 == len(errors)
    assert "previous exception" not in errors.pop()
    assert [] == caplog.records
    assert ("", "") == capfd.readouterr()
    assert [] == list(recwarn)


def test_a_file_that_libtiff_warns_of_is_read_silently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Tags out of order are no error and not logged; later all is logged again."""
    plain = make_tiff({})
    unsorted = plain[:10] + plain[22:34] + plain[10:22] + plain[34:]

    assert PIXELS.tolist() == read(unsorted)
    logging.getLogger("rasterio._env").warning("later")
    assert ["later"] == caplog.messages


@pytest.mark.parametrize("nodata", [None, 77])
def test_pixels_that_are_left_out_are_refused(nodata: int | None) -> None:
    """Of a sparse file, GDAL would make up the pixels that are not there."""
    shape = {"count": 1, "height": 20, "width": 20, "dtype": "uint16"}
    tiled = {"tiled": True, "blockxsize": 16, "blockysize": 16, "SPARSE_OK": True}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", nodata=nodata, **shape, **tiled) as dataset:
            dataset.write(PIXELS[:16], 1, window=((0, 16), (0, 20)))
        tiff = memory.read()
        with memory.open() as dataset:
            assert (nodata or 0) == dataset.read(1)[-1, -1]

    with pytest.raises(PatchError, match="leaves out some of its pixels"):
        read(tiff)


def make_chain(length: int, last: int, start: int) -> bytes:
    """Makes small images one after another; the last one's link leads to `last`."""
    image = struct.pack("<HHHII", 1, 254, 4, 1, 1)
    step = len(image) + 4
    links = [start + step * (number + 1) for number in range(length - 1)]
    return b"".join(image + struct.pack("<I", link) for link in (*links, last))


@pytest.mark.parametrize("length", [1, 2, 1000, 50_000])
@pytest.mark.parametrize("is_cycle", [True, False])
def test_chains_of_images_are_not_followed(length: int, is_cycle: bool) -> None:
    """Only the first image counts, whether the others end or go round."""
    start = len(make_tiff({}))
    for last in (start, 8) if is_cycle else (0, 2**32 - 1):
        tiff = make_tiff({}, after=make_chain(length, last, start))

        assert PIXELS.tolist() == read(tiff)


def test_an_image_that_follows_itself_is_read_once() -> None:
    """A link from the first image to itself does no harm."""
    tiff = bytearray(make_tiff({}))
    struct.pack_into("<I", tiff, 10 + 12 * len(PLAIN), 8)

    assert PIXELS.tolist() == read(bytes(tiff))


@pytest.mark.parametrize("tag", [256, 257, 259, 322, 323, 42112])
def test_tags_that_come_twice_are_refused(tag: int) -> None:
    """Which of two widths counts is not guessed."""
    text = b"<a/>\0\0"
    changes: dict[int, Any] = {tag: text if tag == 42112 else (_LONG, (20,))}
    tiff = bytearray(make_tiff({**changes, 65000: (_LONG, (0,))}))
    at = tiff.index(struct.pack("<HHI", 65000, 4, 1))
    struct.pack_into("<H", tiff, at, tag)

    with pytest.raises(PatchError, match="not a readable TIFF"):
        read(bytes(tiff))


def test_xml_of_metadata_is_read_in_bounds() -> None:
    """GDAL's XML may be deep or nonsense, but not long: it takes quadratic time."""
    deep = b"<GDALMetadata>" + b"<Item>" * 5000 + b"\0"
    many = b"".join(b'<Item name="%d">v</Item>' % number for number in range(9000))

    assert PIXELS.tolist() == read(make_tiff({42112: deep}))
    with pytest.raises(PatchError, match="bytes of metadata"):
        read(make_tiff({42112: b"<GDALMetadata>" + many + b"</GDALMetadata>\0"}))


@pytest.mark.parametrize("samples", [2, 1000, 65535])
def test_files_of_very_many_bands_are_refused(samples: int) -> None:
    """Bands are counted before pixels of any are read."""
    with pytest.raises(
        PatchError, match=f"one uint16 band of .* got {samples} of uint"
    ):
        read(make_tiff({277: (_SHORT, (samples,))}))


VRT = (
    '<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="UInt16" '
    'band="1"><SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>1'
    "</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
)

# Begins like a TIFF of B01, so that the structure passes, and is what GDAL might take
# for another driver's file.
HEAD = make_tiff({}, b"")[:-4]


class Watch:
    """Tells whether a file below a folder was opened (Linux: inotify)."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._queue = self._libc.inotify_init1(os.O_NONBLOCK)
        in_open = 0x20
        assert self._libc.inotify_add_watch(self._queue, bytes(folder), in_open) >= 0

    def was_opened(self) -> bool:
        """Whether anything was opened since the last question."""
        try:
            return bool(os.read(self._queue, 4096))
        except BlockingIOError:
            return False


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize(
    "form", ["{vrt}", "{head}{vrt}", "{path}", "GTIFF_DIR:1:{path}"]
)
def test_no_other_file_is_opened(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the bytes say, GDAL reads them alone: no file, no sidecar, no network.

    The watch is shown to work by a VRT that GDAL is free to open.
    """
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.tif"
    other.write_bytes(write())
    vrt = VRT.format(path=other)
    watch = Watch(tmp_path)
    with MemoryFile(vrt.encode()) as memory, memory.open() as dataset:
        assert PIXELS.tolist() == dataset.read(1).tolist()
    assert watch.was_opened()
    assert not watch.was_opened()

    content = form.format(vrt=vrt, path=other, head="{head}").encode()
    with pytest.raises(PatchError, match=r"^P/F\.tif: "):
        read(content.replace(b"{head}", HEAD))
    for name in ("aux.xml", "ovr", "msk"):
        (tmp_path / f"F.tif.{name}").write_bytes(b"<PAMDataset/>")
    watch.was_opened()
    read(write(tiled=True, blockxsize=16, blockysize=16))

    assert not watch.was_opened()


@pytest.mark.parametrize(
    "content",
    [
        *[b"\x89PNG\r\n\x1a\n", b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"SQLite format 3\0"],
        *[b"/vsicurl/http://localhost/x.tif", b"{}", b"NCOLS 20", b"\xff\xd8\xff\xe0"],
        *[b"II\xbc\x01", b"II*", b"MM*\0\0\0\0\x08", b"IM*\0\x08\0\0\0"],
    ],
)
def test_files_of_other_drivers_are_refused(content: bytes) -> None:
    """Only bytes that begin like a TIFF reach GDAL, and only its GTiff driver."""
    with pytest.raises(PatchError, match=r"^P/F\.tif: not a readable TIFF"):
        read(content + bytes(2000))


def test_masks_and_overviews_do_not_change_pixels() -> None:
    """Pixels under an internal mask, or equal to nodata, are as they are stored."""
    import rasterio

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        shape = {"count": 1, "height": 20, "width": 20, "dtype": "uint16"}
        with memory.open(driver="GTiff", nodata=60_000, **shape) as dataset:
            dataset.write(PIXELS, 1)
            dataset.write_mask(np.zeros((20, 20), bool))
        with rasterio.open(memory.name, "r+") as dataset:
            dataset.build_overviews([2])
        tiff = memory.read()

    assert len(tiff) > len(write(nodata=60_000))
    assert PIXELS.tolist() == read(tiff)


def test_damaged_deflate_is_refused() -> None:
    """A flipped bit of compressed pixels is never read as other pixels."""
    tiff = write(compress="deflate")
    with MemoryFile(tiff) as memory, memory.open() as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", 1))
        nbytes = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", 1))
    assert PIXELS.tolist() == read(tiff)

    for position in range(start, start + nbytes):
        for bit in (1, 16, 128):
            damaged = bytearray(tiff)
            damaged[position] ^= bit
            try:
                found = read(bytes(damaged))
            except PatchError:
                continue
            assert PIXELS.tolist() == found

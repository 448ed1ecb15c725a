from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.formats.columns import _list_array
from bigearthnet.formats.parquet_pixels import ENCODING, Chunk, PixelColumn
from bigearthnet.formats.thrift import Struct, decode_struct
from bigearthnet.release.bands import GROUPS
from bigearthnet.util.files import DurableFile

LEAF = "pixels" + ".list.element" * 3
SHAPES = [group.shape for group in GROUPS]


def make_pixels(rows: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    """Pixels of the whole range, shape (row, band, y, x)."""
    return np.random.default_rng(rows).integers(0, 2**16, (rows, *shape), np.uint16)


def write(
    pixels: npt.NDArray[np.uint16], folder: Path, before: bytes = b"PAR1"
) -> tuple[Chunk, bytes]:
    """A chunk, and the file that it stands in."""
    column = PixelColumn("pixels", pixels.shape[1:])
    with DurableFile(folder, "chunk") as file:
        file.write(before)
        chunk = column.write_chunk(pa.array(pixels.reshape(-1)), file)
        file.finish()
    return chunk, (folder / "chunk").read_bytes()


def read_pages(content: bytes, chunk: Chunk) -> Iterator[tuple[Struct, bytes, bytes]]:
    """Header, stored and raw content of every page."""
    codec = pa.Codec("zstd")
    for location in chunk.locations:
        page = content[location[1].value :][: location[2].value]
        header, nbytes = decode_struct(page)
        stored = page[nbytes:]
        raw = codec.decompress(stored, decompressed_size=header[2].value)
        yield header, stored, raw.to_pybytes()


def write_with_pyarrow(
    pixels: npt.NDArray[np.uint16],
) -> tuple[Struct, bytes]:
    """The header and the content of the one page that pyarrow makes of the rows."""
    stream = pa.BufferOutputStream()
    pq.write_table(
        pa.table({"pixels": _list_array(pixels)}),
        stream,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        column_encoding={LEAF: ENCODING},
        data_page_size=2**30,
    )
    content = stream.getvalue().to_pybytes()
    start = pq.read_metadata(pa.BufferReader(content)).row_group(0).column(0)
    header, nbytes = decode_struct(content[start.data_page_offset :])
    first = start.data_page_offset + nbytes
    return header, content[first : first + header[3].value]


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1, 16), (3, 2, 77)])
@pytest.mark.parametrize("rows", [1, 7])
def test_a_page_is_what_pyarrow_writes(
    rows: int, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    """Levels and values of a page are pyarrow's, byte for byte."""
    pixels = make_pixels(rows, shape)
    expected_header, expected = write_with_pyarrow(pixels)

    chunk, content = write(pixels, tmp_path)
    ((header, _, raw),) = read_pages(content, chunk)

    assert expected == raw
    for field in (1, 2):
        assert expected_header[field] == header[field]
    # pyarrow adds statistics, empty ones, to what is said of the values.
    values = expected_header[5].value
    assert {n: values[n] for n in range(1, 5)} == header[5].value


@pytest.mark.parametrize(("rows", "pages"), [(10, [10]), (31, [10, 10, 10, 1])])
def test_pages_begin_with_a_row(rows: int, pages: list[int], tmp_path: Path) -> None:
    """A page has ten rows; each is what its rows alone would make."""
    pixels = make_pixels(rows, (2, 20, 20))

    chunk, content = write(pixels, tmp_path)
    found = list(read_pages(content, chunk))

    firsts = [location[3].value for location in chunk.locations]
    assert firsts == list(np.cumsum([0, *pages[:-1]]))
    for first, count, (header, _, raw) in zip(firsts, pages, found, strict=True):
        assert count * 800 == header[5].value[1].value
        assert write_with_pyarrow(pixels[first : first + count])[1] == raw


def test_a_page_has_the_checksum_of_what_is_stored(tmp_path: Path) -> None:
    """CRC-32 of the compressed bytes, as a signed integer; both signs occur."""
    chunk, content = write(make_pixels(60, (2, 20, 20)), tmp_path)

    signs = set()
    for header, stored, _ in read_pages(content, chunk):
        checksum = header[4].value
        assert zlib.crc32(stored) == checksum % 2**32
        assert -(2**31) <= checksum < 2**31
        assert len(stored) == header[3].value
        signs.add(checksum < 0)
    assert {True, False} == signs


def test_a_chunk_tells_what_it_takes(tmp_path: Path) -> None:
    """Its sizes are those of its pages with their headers, and it follows the rest."""
    before = b"PAR1" + bytes(1234)
    chunk, content = write(make_pixels(23, (6, 60, 60)), tmp_path, before)

    metadata = chunk.metadata
    assert len(before) == metadata[9].value == chunk.locations[0][1].value
    assert len(content) - len(before) == metadata[7].value
    headers = len(content) - len(before)
    raw_nbytes = 0
    for header, stored, raw in read_pages(content, chunk):
        headers -= len(stored)
        raw_nbytes += len(raw)
        assert len(raw) == header[2].value
    assert headers + raw_nbytes == metadata[6].value
    assert 23 * 6 * 60 * 60 == metadata[5].value


def test_levels_are_counted_as_pyarrow_counts_them(tmp_path: Path) -> None:
    """The histograms of levels are those of pyarrow's own column."""
    shape = (4, 5, 9)
    pixels = make_pixels(3, shape)
    stream = pa.BufferOutputStream()
    pq.write_table(
        pa.table({"pixels": _list_array(pixels)}), stream, use_dictionary=False
    )
    content = stream.getvalue().to_pybytes()
    nbytes = int.from_bytes(content[-8:-4], "little")
    footer, _ = decode_struct(content[-8 - nbytes : -8])
    theirs: Any = footer[4].value.values[0][1].value.values[0][3].value

    chunk, _ = write(pixels, tmp_path)

    assert theirs[16] == chunk.metadata[16]
    assert theirs[3] == chunk.metadata[3]
    assert theirs[1] == chunk.metadata[1]
    assert 3 * math.prod(shape) == theirs[5].value == chunk.metadata[5].value

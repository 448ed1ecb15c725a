"""Column chunks of pixels for Parquet, without working out levels for each pixel.

Parquet says of every value of a nested list, in two numbers, which lists begin with it
and which of them are missing. Lists of pixels are always full, so these levels follow
from the shape; pyarrow, which works them out one by one, takes twice as long over it as
over encoding the values. Here pyarrow encodes the values as a plain column, and the
levels are put before them. Its writer of nested lists is the oracle in the tests: the
content of a page is the same.

Source of the format: parquet-format, parquet.thrift (numbers of fields and
enumerations) and Encodings.md.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.formats.tfrecord.varint import encode_varint
from bigearthnet.formats.thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    Elements,
    Field,
    Struct,
    decode_struct,
    encode_struct,
    integers,
    structs,
)
from bigearthnet.util.files import DurableFile

# Parquet keeps uint16 as 32-bit integers, which take twice the room of the pixels
# unless they are encoded. Neighbouring pixels differ by little.
ENCODING = "DELTA_BINARY_PACKED"
CODEC, CODEC_LEVEL = "zstd", 1

# Rows of a page: 0.8 MB of 10 m bands. Readers skip whole pages.
_PAGE_ROWS = 10

# So that nothing but the end of a row group ends a page of plain values.
_UNLIMITED = 2**30

# Enumerations of parquet.thrift.
_INT32, _DATA_PAGE, _ZSTD = 1, 0, 6
_RLE, _DELTA_BINARY_PACKED = 3, 5

# Level of a value that is there, and whose lists all are: each of three lists and the
# value itself may be missing, and each list may be empty.
_PRESENT = 7
# Repetition level of a value that begins no list.
_INSIDE = 3


class Chunk(NamedTuple):
    """A column chunk in a file.

    Attributes:
        metadata: Its ColumnMetaData.
        locations: Its PageLocations.
    """

    metadata: Struct
    locations: list[Struct]


class PixelColumn:
    """A column whose rows are tensors of one shape, stored as nested lists."""

    def __init__(self, name: str, shape: tuple[int, int, int]) -> None:
        """Makes what is the same in every page.

        Args:
            name: Name of the column.
            shape: Shape of a row, (band, y, x); x is more than 8.
        """
        self._path = [name.encode(), *[b"list", b"element"] * len(shape)]
        self._shape = shape
        self._levels = _encode_repetition(shape)
        self._codec = pa.Codec(CODEC, compression_level=CODEC_LEVEL)

    def write_chunk(self, values: pa.Array, file: DurableFile) -> Chunk:
        """Writes whole rows as a column chunk.

        Args:
            values: Shape (row · band · y · x,), uint16, without nulls.
            file: Where to append it.

        Raises:
            OSError: If the file cannot be written.
        """
        start, raw_nbytes, first_row = file.tell(), 0, 0
        locations: list[Struct] = []
        size = math.prod(self._shape)
        for num_values, encoded in _encode_values(values, _PAGE_ROWS * size):
            offset = file.tell()
            raw_nbytes += self._write_page(num_values, encoded, file)
            locations.append(
                {
                    1: Field(I64, offset),
                    2: Field(I32, file.tell() - offset),
                    3: Field(I64, first_row),
                }
            )
            first_row += num_values // size
        return Chunk(
            {
                1: Field(I32, _INT32),
                2: integers([_RLE, _DELTA_BINARY_PACKED]),
                3: Field(LIST, Elements(BINARY, self._path)),
                4: Field(I32, _ZSTD),
                5: Field(I64, len(values)),
                6: Field(I64, raw_nbytes),
                7: Field(I64, file.tell() - start),
                9: Field(I64, start),
                13: structs([_page_statistics(len(locations))]),
                16: Field(STRUCT, _size_statistics(len(values) // size, self._shape)),
            },
            locations,
        )

    def _write_page(
        self, num_values: int, encoded: memoryview, file: DurableFile
    ) -> int:
        """Writes a page; returns its bytes before it was compressed."""
        repetition = self._levels * (num_values // math.prod(self._shape))
        # One run: a count and the level.
        definition = encode_varint(num_values << 1) + bytes((_PRESENT,))
        page = b"".join(
            [
                len(repetition).to_bytes(4, "little"),
                repetition,
                len(definition).to_bytes(4, "little"),
                definition,
                encoded,
            ]
        )
        content = memoryview(self._codec.compress(page)).cast("B")
        header = encode_struct(_page_header(num_values, len(page), content))
        file.write_pieces((header, content), len(header) + content.nbytes)
        return len(header) + len(page)


def _page_header(num_values: int, raw_nbytes: int, content: memoryview) -> Struct:
    checksum = zlib.crc32(content)
    return {
        1: Field(I32, _DATA_PAGE),
        2: Field(I32, raw_nbytes),
        3: Field(I32, content.nbytes),
        # Thrift has no unsigned integers.
        4: Field(I32, checksum - (checksum >> 31 << 32)),
        5: Field(
            STRUCT,
            {
                1: Field(I32, num_values),
                2: Field(I32, _DELTA_BINARY_PACKED),
                3: Field(I32, _RLE),
                4: Field(I32, _RLE),
            },
        ),
    }


def _page_statistics(num_pages: int) -> Struct:
    return {
        1: Field(I32, _DATA_PAGE),
        2: Field(I32, _DELTA_BINARY_PACKED),
        3: Field(I32, num_pages),
    }


def _size_statistics(rows: int, shape: tuple[int, ...]) -> Struct:
    """Returns how often each level occurs, as SizeStatistics."""
    # How many lists, and at last values, there are on each level.
    counts = [rows * math.prod(shape[:axis]) for axis in range(len(shape) + 1)]
    begun = [counts[0], *(b - a for a, b in itertools.pairwise(counts))]
    present = [0] * _PRESENT + [counts[-1]]
    return {
        2: Field(LIST, Elements(I64, begun)),
        3: Field(LIST, Elements(I64, present)),
    }


def _encode_repetition(shape: tuple[int, int, int]) -> bytes:
    """Returns the repetition levels of one row, in the RLE/bit-packing hybrid.

    The level of a value is how many of the lists around it go on: 0 begins a row, 1 a
    band, 2 a line of pixels.

    Args:
        shape: Shape of the row, (band, y, x).
    """
    bands, lines, pixels = shape
    # The first eight values are packed, two bits each; the others are one run.
    rest = encode_varint(pixels - 8 << 1) + bytes((_INSIDE,))
    first, second, third = (
        b"\x03" + bytes((0b11_11_11_00 | level, 0xFF)) + rest for level in range(3)
    )
    return first + third * (lines - 1) + (second + third * (lines - 1)) * (bands - 1)


def _encode_values(values: pa.Array, count: int) -> Iterator[tuple[int, memoryview]]:
    """Encodes values in pages, each from its own start.

    pyarrow writes a Parquet file of one column in memory whose row groups have a page
    each; the pages are taken out of it.

    Args:
        values: Shape (value,), without nulls.
        count: Values of a page; the last may have less.

    Yields:
        How many values a page has, and their bytes.
    """
    schema = pa.schema([pa.field("values", values.type, nullable=False)])
    with pa.BufferOutputStream() as stream:
        with pq.ParquetWriter(
            stream,
            schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            column_encoding={"values": ENCODING},
            data_page_size=_UNLIMITED,
            max_rows_per_page=_UNLIMITED,
        ) as writer:
            writer.write_table(pa.table([values], schema), row_group_size=count)
        content = stream.getvalue()
    footer = pq.read_metadata(pa.BufferReader(content))
    view = memoryview(content).cast("B")
    for group in range(footer.num_row_groups):
        chunk = footer.row_group(group).column(0)
        start = chunk.data_page_offset
        page = view[start : start + chunk.total_compressed_size]
        _, nbytes = decode_struct(page)
        yield chunk.num_values, page[nbytes:]

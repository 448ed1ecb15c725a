"""The end of a Parquet file whose row groups have columns of two writers.

pyarrow writes indexes of pages and a footer for the columns that it wrote, as if there
were no others. Here the offsets are moved to where the columns are, and the columns of
pixels are added.

Source of the format: parquet-format, parquet.thrift (numbers of fields) and README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bigearthnet.formats.parquet_pixels import Chunk
from bigearthnet.formats.thrift import (
    I32,
    I64,
    STRUCT,
    Field,
    Struct,
    decode_struct,
    encode_struct,
    structs,
)

# What a file begins and ends with; at the end after the length of the footer.
MAGIC = b"PAR1"
_LENGTH_NBYTES = 4

# Fields of ColumnMetaData that are offsets: of pages of data, of an index, of the
# dictionary.
_OFFSETS = (9, 10, 11)


class RowGroup(NamedTuple):
    """What pyarrow does not know of a row group.

    Attributes:
        shift: Bytes that its columns stand behind where pyarrow believes them to be.
        chunks: Its chunks of pixels.
    """

    shift: int
    chunks: Sequence[Chunk]


def make_end(
    theirs: bytes, start: int, groups: Sequence[RowGroup], all_columns: Struct, at: int
) -> bytes:
    """Makes the end of a file.

    Args:
        theirs: What pyarrow wrote at the end of the columns that it wrote: indexes of
            the columns' values, indexes of pages, and the footer.
        start: Where it believes this to begin.
        groups: All row groups of the file.
        all_columns: The FileMetaData of a file that has all columns and no rows.
        at: Where the end is to begin in the file.

    Returns:
        The indexes, the footer, and what stands behind it.
    """
    indexes, footer = split_end(theirs)
    row_groups = footer[4].value.values
    first_pages = min(
        (chunk[4].value - start for chunk in _chunks(row_groups)), default=0
    )
    end = bytearray(indexes[:first_pages])
    for row_group, made in zip(row_groups, groups, strict=True):
        columns = row_group[1].value.values
        for chunk in columns:
            pages, _ = decode_struct(indexes[chunk[4].value - start :])
            _move_chunk(chunk, made.shift, at - start)
            _add_pages(_moved(pages, made.shift), chunk, end, at)
        for pixels in made.chunks:
            chunk = {2: Field(I64, 0), 3: Field(STRUCT, pixels.metadata)}
            _add_pages({1: structs(pixels.locations)}, chunk, end, at)
            columns.append(chunk)
        _move_group(row_group, made)
    metadata = encode_struct(all_columns | {3: footer[3], 4: structs(row_groups)})
    return (
        bytes(end) + metadata + len(metadata).to_bytes(_LENGTH_NBYTES, "little") + MAGIC
    )


def split_end(end: bytes) -> tuple[bytes, Struct]:
    """Splits the end of a file at its footer.

    Returns:
        What stands before the footer, and the FileMetaData in it.
    """
    stop = len(end) - _LENGTH_NBYTES - len(MAGIC)
    nbytes = int.from_bytes(end[stop : stop + _LENGTH_NBYTES], "little")
    footer, _ = decode_struct(end[stop - nbytes : stop])
    return end[: stop - nbytes], footer


def _chunks(row_groups: Sequence[Struct]) -> list[Struct]:
    return [chunk for group in row_groups for chunk in group[1].value.values]


def _add_pages(pages: Struct, chunk: Struct, end: bytearray, at: int) -> None:
    """Appends an OffsetIndex to the end of a file, and tells its ColumnChunk."""
    encoded = encode_struct(pages)
    chunk[4] = Field(I64, at + len(end))
    chunk[5] = Field(I32, len(encoded))
    end += encoded


def _moved(pages: Struct, shift: int) -> Struct:
    """Returns an OffsetIndex whose pages stand elsewhere."""
    locations = [
        location | {1: Field(I64, location[1].value + shift)}
        for location in pages[1].value.values
    ]
    return pages | {1: structs(locations)}


def _move_chunk(chunk: Struct, shift: int, index_shift: int) -> None:
    """Moves the pages of a ColumnChunk, and the index of its values."""
    metadata = chunk[3].value
    for field in metadata.keys() & set(_OFFSETS):
        metadata[field] = Field(I64, metadata[field].value + shift)
    if 6 in chunk:
        chunk[6] = Field(I64, chunk[6].value + index_shift)


def _move_group(row_group: Struct, made: RowGroup) -> None:
    """Moves a RowGroup, and adds the bytes of the pixels to its own."""
    if 5 in row_group:
        row_group[5] = Field(I64, row_group[5].value + made.shift)
    # Before compression, and after: fields of a RowGroup, and of ColumnMetaData.
    for field, of_chunk in ((2, 6), (6, 7)):
        added = sum(chunk.metadata[of_chunk].value for chunk in made.chunks)
        row_group[field] = Field(I64, row_group[field].value + added)

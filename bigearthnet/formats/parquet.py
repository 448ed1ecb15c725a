"""Tables ↔ Parquet shards that are small, and that every common reader reads.

The bytes depend on the version of pyarrow, which the manifest records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.errors import BigEarthNetError, ShardError
from bigearthnet.formats.columns import EXTENSION_KEY, ROWS_PER_GROUP
from bigearthnet.util.files import DurableFile
from bigearthnet.util.remote import RangeFile, RemotePath

# Rows of a page: 0.8 MB of 10 m bands. Readers skip whole pages.
_PAGE_ROWS = 10


class ParquetSink:
    """Writes each table as one row group."""

    def __init__(self, file: DurableFile, schema: pa.Schema) -> None:
        # Statistics are for what people search and count; dictionaries also for maps,
        # whose pixels are a few classes: a third of the bytes of differences.
        searched: list[str] = []
        maps: list[str] = []
        encodings: dict[str, str] = {}
        for field in schema:
            leaves = dict(_leaves(field.name, field.type))
            if EXTENSION_KEY in (field.metadata or {}):
                for leaf, kind in leaves.items():
                    if kind == pa.uint8():
                        maps.append(leaf)
                    else:
                        encodings[leaf] = _encoding(kind)
            elif pa.binary() not in leaves.values():  # not a picture
                searched += leaves
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=searched + maps,
            write_statistics=searched,
            column_encoding=encodings,
            write_page_index=True,
            write_page_checksum=True,
            max_rows_per_page=_PAGE_ROWS,
            data_page_size=2**30,  # larger than ten rows: bytes end no page
        )

    def write_table(self, table: pa.Table) -> None:
        """Writes a table as one row group."""
        # pyarrow makes the levels of a whole chunk, four bytes for each pixel.
        chunks = pa.Table.from_batches(table.to_batches(max_chunksize=_PAGE_ROWS))
        self._writer.write_table(chunks, row_group_size=ROWS_PER_GROUP)

    def close(self) -> None:
        """Writes the footer."""
        self._writer.close()

    def abandon(self) -> None:
        """Keeps pyarrow from writing a footer when it throws the writer away."""
        self._writer.is_open = False


def _encoding(kind: pa.DataType) -> str:
    """Returns the encoding of pixels, which takes the least room.

    Neighbouring pixels differ by little. Parquet keeps small integers in 32 bits, of
    which differences leave the few that are needed.
    """
    is_integer = pa.types.is_integer(kind)
    return "DELTA_BINARY_PACKED" if is_integer else "BYTE_STREAM_SPLIT"


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Yields paths and types of the Parquet columns that a field becomes.

    Source of the names: parquet-format, LogicalTypes.md, "Lists".
    """
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind


# What is read as a Parquet file: on this machine, or at a URL, or parts of that.
Source: TypeAlias = Path | RemotePath | RangeFile


@contextmanager
def open_file(source: Source, **options: object) -> Iterator[pq.ParquetFile]:
    """Opens a Parquet file; a context manager.

    Args:
        source: The file.
        **options: Of `pyarrow.parquet.ParquetFile`.

    Raises:
        ShardError: If the file is damaged or missing, also when it is read.
        StoreError, DownloadError: If a file at a URL is missing, or cannot be had.
    """
    try:
        with _open(source) as file:
            yield pq.ParquetFile(file, pre_buffer=False, **options)
    except BigEarthNetError:
        raise
    except (pa.ArrowException, OSError) as cause:
        raise ShardError.unreadable(source, cause) from None


def _open(source: Source) -> pa.NativeFile:
    if isinstance(source, Path):
        # Mapped, since pyarrow would expand a ~ at the beginning of a path.
        return pa.memory_map(str(source))
    return pa.PythonFile(source if isinstance(source, RangeFile) else source.open())


def read_footer(path: Path | RemotePath) -> pq.FileMetaData:
    """Reads the footer of a Parquet file.

    Raises:
        ShardError, StoreError, DownloadError: See `open_file`.
    """
    with open_file(path) as file:
        return file.metadata


def fetch_row_group(
    path: RemotePath, footer: pq.FileMetaData, group: int, columns: Sequence[str]
) -> RangeFile:
    """Fetches some columns of a row group: in one request those side by side.

    Args:
        path: The file.
        footer: Its footer.
        group: Number of the row group.
        columns: Names of the columns; `a.b` is field `b` of `a`.

    Raises:
        ShardError, StoreError, DownloadError: See `RemotePath.read_range`.
    """
    ranges: list[tuple[int, int]] = []
    for leaf in range(footer.num_columns):
        chunk = footer.row_group(group).column(leaf)
        if not f"{chunk.path_in_schema}.".startswith(tuple(f"{c}." for c in columns)):
            continue
        start = chunk.data_page_offset
        if chunk.dictionary_page_offset is not None:
            start = min(start, chunk.dictionary_page_offset)
        stop = start + chunk.total_compressed_size
        if ranges and ranges[-1][1] == start:
            start = ranges.pop()[0]
        ranges.append((start, stop))
    return path.open(ranges)


def read_row_group(
    source: Source, footer: pq.FileMetaData, group: int, columns: Sequence[str]
) -> pa.Table:
    """Reads some columns of a row group, and checks the checksums of their pages.

    Args:
        source: The file, or what was fetched of it.
        footer: Its footer.
        group: Number of the row group.
        columns: Names of the columns; `a.b` is field `b` of `a`.

    Raises:
        ShardError, StoreError, DownloadError: See `open_file`.
    """
    if isinstance(source, RemotePath):
        source = fetch_row_group(source, footer, group, columns)
    options = {"metadata": footer, "page_checksum_verification": True}
    # What comes from a URL is fetched by other threads meanwhile, and columns that are
    # decoded side by side take 70 MB more.
    use_threads = isinstance(source, Path)
    with open_file(source, **options) as file:
        # Few rows at a time: pyarrow needs 6 times the bytes of what it decodes.
        return pa.Table.from_batches(
            file.iter_batches(
                _PAGE_ROWS, [group], columns=columns, use_threads=use_threads
            )
        )


def column_sizes(paths: Iterable[Path | RemotePath]) -> dict[str, int]:
    """Returns what each column of some Parquet files takes, read from their footers.

    Args:
        paths: The files.

    Returns:
        Column → its compressed bytes in all files, groups of fields as one.

    Raises:
        ShardError: If one of them is not a Parquet file.
    """
    sizes: dict[str, int] = {}
    for path in paths:
        footer = read_footer(path)
        for group in range(footer.num_row_groups):
            for leaf in range(footer.num_columns):
                chunk = footer.row_group(group).column(leaf)
                name = chunk.path_in_schema.partition(".")[0]
                sizes[name] = sizes.get(name, 0) + chunk.total_compressed_size
    return sizes

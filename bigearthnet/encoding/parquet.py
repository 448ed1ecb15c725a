"""Tables → Parquet shards that are small, and that every common reader reads.

The bytes depend on the version of pyarrow, which the manifest records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.encoding.columns import ROWS_PER_GROUP
from bigearthnet.encoding.files import DurableFile
from bigearthnet.errors import ShardError

# Parquet keeps uint16 as 32-bit integers, which take twice the room of the pixels
# unless they are encoded. Neighbouring pixels differ by little.
_PIXEL_ENCODING = "DELTA_BINARY_PACKED"
# Rows that are written at once: a quarter of a row group saves 64 MB of memory.
_CHUNK_ROWS = 25


class ParquetSink:
    """Writes each table as one row group."""

    def __init__(self, file: DurableFile, schema: pa.Schema) -> None:
        leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
        pixels = [leaf for leaf in leaves if leaf.startswith("bands_")]
        # Statistics and dictionaries are for what people search and count.
        small = [leaf for leaf in leaves if not leaf.startswith(("bands_", "preview"))]
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=small,
            write_statistics=small,
            column_encoding=dict.fromkeys(pixels, _PIXEL_ENCODING),
            write_page_index=True,
            write_page_checksum=True,
        )

    def write_table(self, table: pa.Table) -> None:
        """Writes a table as one row group."""
        # The writer makes the levels of a chunk at once, four bytes for each pixel.
        starts = range(0, len(table), _CHUNK_ROWS)
        chunks = pa.concat_tables(table.slice(n, _CHUNK_ROWS) for n in starts)
        self._writer.write_table(chunks, row_group_size=ROWS_PER_GROUP)

    def close(self) -> None:
        """Writes the footer."""
        self._writer.close()

    def abandon(self) -> None:
        """Keeps pyarrow from writing a footer when it throws the writer away."""
        self._writer.is_open = False


def open_sink(file: DurableFile, schema: pa.Schema) -> ParquetSink:
    """Returns what writes tables of a schema to a file."""
    return ParquetSink(file, schema)


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    """Yields the paths of the Parquet columns that a field becomes.

    Source of the names: parquet-format, LogicalTypes.md, "Lists".
    """
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


def read_footer(path: Path) -> pq.FileMetaData:
    """Reads what a Parquet file says of itself.

    Raises:
        ShardError: If it is not a Parquet file.
    """
    try:
        # Mapped, since pyarrow would expand a ~ at the beginning of a path.
        with pa.memory_map(str(path)) as file:
            return pq.read_metadata(file)
    except (pa.ArrowException, OSError) as cause:
        raise ShardError.unreadable(path, cause) from None


def column_sizes(paths: Iterable[Path]) -> dict[str, int]:
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

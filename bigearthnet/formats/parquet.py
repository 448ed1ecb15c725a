"""Tables → Parquet shards that are small, and that every common reader reads.

pyarrow writes the columns that people search; after them, in each row group,
`parquet_pixels` writes those of pixels, and the footer tells of both. The bytes depend
on the version of pyarrow, which the manifest records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.errors import ShardError
from bigearthnet.formats.columns import ROWS_PER_GROUP
from bigearthnet.formats.parquet_footer import RowGroup, make_end, split_end
from bigearthnet.formats.parquet_pixels import CODEC, CODEC_LEVEL, PixelColumn
from bigearthnet.formats.thrift import Struct
from bigearthnet.util.files import DurableFile


class ParquetSink:
    """Writes each table as one row group."""

    def __init__(self, file: DurableFile, schema: pa.Schema) -> None:
        """Opens the writer of a file.

        Args:
            file: Where to write.
            schema: The columns, those of pixels last.
        """
        self._file = file
        names = [name for name in schema.names if name.startswith("bands_")]
        self._searched = schema.names[: len(schema) - len(names)]
        assert not set(names) & set(self._searched)
        self._pixels = {name: _pixel_column(schema.field(name)) for name in names}
        self._groups: list[RowGroup] = []
        self._footer = _make_footer(schema)
        self._held = _HeldFile(file)
        searched = pa.schema([schema.field(name) for name in self._searched])
        self._writer = _open_writer(self._held, searched)

    def write_table(self, table: pa.Table) -> None:
        """Writes a table as one row group."""
        shift = self._file.tell() - self._held.position
        self._writer.write_table(
            table.select(self._searched), row_group_size=ROWS_PER_GROUP
        )
        chunks = []
        for name, column in self._pixels.items():
            (values,) = table[name].chunks
            while isinstance(values, pa.ListArray):
                values = values.flatten()
            chunks.append(column.write_chunk(values, self._file))
        self._groups.append(RowGroup(shift, chunks))

    def close(self) -> None:
        """Writes the indexes of pages, and the footer."""
        start = self._held.position
        self._held.content = bytearray()
        self._writer.close()
        theirs, at = bytes(self._held.content), self._file.tell()
        self._file.write(make_end(theirs, start, self._groups, self._footer, at))

    def abandon(self) -> None:
        """Keeps pyarrow from writing a footer when it throws the writer away."""
        self._writer.is_open = False


class _HeldFile:
    """What pyarrow writes to: a file that others append to, too.

    pyarrow counts what it writes, and takes the count for the position in the file.

    Attributes:
        position: Where pyarrow believes to be.
        content: What was written last, if it is to be kept and not written.
    """

    closed = False

    def __init__(self, file: DurableFile) -> None:
        self._file = file
        self.position = 0
        self.content: bytearray | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Appends bytes; returns how many."""
        view = memoryview(data)
        if self.content is None:
            self._file.write(view)
        else:
            self.content += view
        self.position += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        """Does nothing: the file keeps nothing back."""


def _open_writer(file: object, schema: pa.Schema) -> pq.ParquetWriter:
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    # Dictionaries and statistics are for what people search and count.
    small = [leaf for leaf in leaves if not leaf.startswith(("bands_", "preview"))]
    return pq.ParquetWriter(
        file,
        schema,
        compression=CODEC,
        compression_level=CODEC_LEVEL,
        use_dictionary=small,
        write_statistics=small,
        write_page_index=True,
        write_page_checksum=True,
    )


def _make_footer(schema: pa.Schema) -> Struct:
    """Returns the FileMetaData of a file of a schema without rows."""
    with pa.BufferOutputStream() as stream:
        _open_writer(stream, schema).close()
        _, footer = split_end(stream.getvalue().to_pybytes())
    return footer


def _pixel_column(field: pa.Field) -> PixelColumn:
    # As `columns.arrow_type` writes it.
    shape, _ = json.loads(field.metadata[b"ARROW:extension:metadata"])
    return PixelColumn(field.name, tuple(shape))


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

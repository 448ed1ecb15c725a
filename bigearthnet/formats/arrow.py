"""Tables ↔ Arrow shards, which are mapped into memory.

Shards are IPC streams, as `datasets` writes them. Buffers are not compressed: a
compressed one would have to be read whole.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from bigearthnet.errors import ShardError
from bigearthnet.util.files import DurableFile


class ArrowSink:
    """Writes each table as one record batch of an IPC stream."""

    def __init__(self, file: DurableFile, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_stream(pa.PythonFile(file, mode="w"), schema)

    def write_table(self, table: pa.Table) -> None:
        """Writes a table as one record batch."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Writes the end of the stream."""
        self._writer.close()

    def abandon(self) -> None:
        """Does nothing: a stream without an end writes none."""


def map_table(path: Path) -> pa.Table:
    """Maps a shard; its columns are views of the file.

    Raises:
        ShardError: If it is not an Arrow stream.
    """
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()
    except (pa.ArrowException, OSError) as cause:
        raise ShardError.unreadable(path, cause) from None

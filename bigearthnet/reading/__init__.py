"""Readers of stored tables: columns as numpy arrays, without Python rows.

`arrow` maps Arrow stores into memory; `parquet` decodes Parquet stores group by group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bigearthnet.reading.batches import Reader


def open_reader(form: str, paths: Sequence[Path]) -> Reader:
    """Opens some shards of a store that is a table.

    Args:
        form: `parquet` or `arrow`.
        paths: The shards, in order.

    Raises:
        ShardError: If one of them is damaged.
        OptionError: If none of the columns is ours.
    """
    if form == "parquet":
        from bigearthnet.reading.parquet import ParquetReader

        return ParquetReader(paths)
    from bigearthnet.reading.arrow import ArrowReader

    return ArrowReader.map_files(paths)

"""Readers of stores: features as numpy arrays, batch by batch, without Python rows.

`tfrecord` reads records one by one into the arrays of a batch; `arrow` maps Arrow
stores into memory; `parquet` decodes Parquet stores group by group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bigearthnet.reading.batches import Reader
from bigearthnet.schema.features import Feature


def open_reader(
    form: str,
    paths: Sequence[Path],
    rows: Sequence[int],
    schema: Sequence[Feature],
) -> Reader:
    """Opens some shards of a store.

    Args:
        form: Name of the format.
        paths: The shards, in order.
        rows: Patches of each shard; tables say this themselves.
        schema: The stored features.

    Raises:
        ShardError: If one of them is damaged.
        OptionError: If none of a table's columns is ours.
    """
    if form == "tfrecord":
        from bigearthnet.reading.tfrecord import TFRecordReader

        return TFRecordReader(paths, rows, schema)
    if form == "parquet":
        from bigearthnet.reading.parquet import ParquetReader

        return ParquetReader(paths, schema)
    from bigearthnet.reading.arrow import ArrowReader

    return ArrowReader.map_files(paths, schema)

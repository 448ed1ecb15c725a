"""Reads Parquet shards row group by row group, only the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.formats.columns import decode_column
from bigearthnet.formats.parquet import read_footer, read_row_group
from bigearthnet.reading.batches import (
    Batch,
    Column,
    choose_columns,
    find_column,
    find_stored_columns,
    make_generator,
)
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import check_batch_size

# Row groups that are mixed with one another when patches are shuffled: 128 MB.
_POOL_GROUPS = 8


class ParquetReader:
    """The patches of some Parquet shards, in the order in which they are stored.

    Attributes:
        features: Column → its feature; `coordinates` is offered field by field, as
            `coordinates/ulx` and so on.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[Feature]) -> None:
        """Reads the footers of the shards.

        Args:
            paths: The shards, in order.
            columns: The columns of their configuration.

        Raises:
            ShardError: If one of them is not a Parquet file.
            OptionError: If no column is one of the configuration's.
        """
        self._paths = paths
        self._footers = [read_footer(path) for path in paths]
        schema = self._footers[0].schema.to_arrow_schema()
        self.features = find_stored_columns(schema, columns)
        self._groups = [
            (number, group)
            for number, footer in enumerate(self._footers)
            for group in range(footer.num_row_groups)
        ]

    def __len__(self) -> int:
        return int(sum(footer.num_rows for footer in self._footers))

    def batches(
        self,
        batch_size: int,
        columns: Sequence[str] | None = None,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        epoch: int = 0,
    ) -> Iterator[Batch]:
        """Yields all patches once, the last short batch included.

        Args:
            batch_size: Patches of a batch.
            columns: Which columns, or bands by name; None for all that are stored.
            shuffle: Reads row groups (100 patches) in an order that is drawn anew for
                each epoch, and mixes the patches of eight of them at a time.
            seed: Seed of that order; None for one that cannot be repeated.
            epoch: Number of the epoch.

        Raises:
            OptionError: If there is no such column, or the batch size is below 1.
            ShardError: If a shard is damaged.
        """
        check_batch_size(batch_size)
        chosen = choose_columns(self.features, columns)
        random = make_generator(seed, epoch)
        order = np.arange(len(self._groups))
        if shuffle:
            random.shuffle(order)
        pool_size = _POOL_GROUPS if shuffle else 1
        rest: list[Batch] = []
        for start in range(0, len(order), pool_size):
            pool = _join([self._read(i, chosen) for i in order[start:][:pool_size]])
            if shuffle:
                mixed = random.permutation(_count(pool))
                pool = {name: values[mixed] for name, values in pool.items()}
            pool = _join([*rest, pool])
            whole = _count(pool) // batch_size * batch_size
            for first in range(0, whole, batch_size):
                yield _cut(pool, first, first + batch_size)
            rest = [_cut(pool, whole, None)]
        for batch in rest:
            if _count(batch):
                yield batch

    def _read(self, index: int, columns: Sequence[str]) -> Batch:
        number, group = self._groups[index]
        found = {name: find_column(self.features, name) for name in columns}
        names = [column.stored.name.replace("/", ".") for column in found.values()]
        table = read_row_group(
            self._paths[number], self._footers[number], group, [*dict.fromkeys(names)]
        )
        return {name: _decode(table, column) for name, column in found.items()}


def _decode(table: pa.Table, column: Column) -> npt.NDArray[Any]:
    group, _, field = column.stored.name.partition("/")
    chunks = table[group].chunks
    if field:
        chunks = [chunk.field(field) for chunk in chunks]
    arrays = [decode_column(chunk, column.stored) for chunk in chunks]
    if column.band is not None:
        arrays = [array[:, column.band] for array in arrays]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _join(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}


def _cut(batch: Batch, start: int, stop: int | None) -> Batch:
    return {name: values[start:stop] for name, values in batch.items()}


def _count(batch: Batch) -> int:
    return len(next(iter(batch.values())))

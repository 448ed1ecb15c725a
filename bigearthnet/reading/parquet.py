"""Reads Parquet shards row group by row group, only the columns that are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.formats.columns import decode_feature
from bigearthnet.formats.parquet import read_footer, read_row_group
from bigearthnet.reading.batches import (
    Batch,
    Column,
    check_indices,
    choose_columns,
    find_column,
    find_stored_columns,
    make_generator,
)
from bigearthnet.reading.reader import Indices, Reader
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import check_batch_size, check_skip
from bigearthnet.util.remote import RemotePath

# Row groups that are mixed with one another when patches are shuffled: 128 MB.
_POOL_GROUPS = 8


class ParquetReader(Reader):
    """The patches of some Parquet shards, in the order in which they are stored.

    Attributes:
        features: Column → its feature; `coordinates` is offered field by field, as
            `coordinates/ulx` and so on.
    """

    form = "parquet"

    def __init__(
        self,
        paths: Sequence[Path],
        columns: Sequence[Feature],
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Reads the footers of the shards.

        Args:
            paths: The shards, in order.
            columns: The columns of their configuration.
            chosen: Numbers of the patches to offer, ascending; None for all. Row groups
                without one of them are not read.

        Raises:
            ShardError: If one of them is not a Parquet file.
            OptionError: If no column is one of the configuration's.
        """
        footers = [read_footer(path) for path in paths]
        rows = [
            [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
            for footer in footers
        ]
        self._set_shards(paths, rows, footers[0], columns, chosen)
        self._footers = footers

    def _set_shards(
        self,
        paths: Sequence[Path | RemotePath],
        rows: Sequence[Sequence[int]],
        footer: pq.FileMetaData,
        columns: Sequence[Feature],
        chosen: npt.NDArray[np.int64] | None,
    ) -> None:
        """Takes the shards, the rows of their row groups, and a footer of them."""
        self._paths = paths
        self.features = find_stored_columns(footer.schema.to_arrow_schema(), columns)
        self._groups = [
            (number, group)
            for number, counts in enumerate(rows)
            for group in range(len(counts))
        ]
        self._rows = np.array(list(itertools.chain(*rows)), np.int64)
        # The rows of each row group that are offered; None for all.
        self._chosen: list[npt.NDArray[np.int64]] | None = None
        if chosen is not None:
            ends = np.cumsum(self._rows)
            groups = np.searchsorted(ends, chosen, side="right")
            places = chosen - (ends - self._rows)[groups]
            kept, firsts = np.unique(groups, return_index=True)
            self._chosen = np.split(places, firsts)[1:]
            self._groups = [self._groups[group] for group in kept.tolist()]
            self._rows = np.array([len(rows) for rows in self._chosen], np.int64)

    def __len__(self) -> int:
        return int(self._rows.sum())

    def gather(
        self, indices: Indices, columns: str | Sequence[str] | None = None
    ) -> Batch:
        """Reads some patches; see `Reader.gather`.

        Each row group (100 patches) that one of them lies in is read once: slow for
        few patches, and meant for looking at some.
        """
        rows = check_indices(indices, len(self))
        chosen = choose_columns(self.features, columns)
        ends = np.cumsum(self._rows)
        groups = np.searchsorted(ends, rows, side="right")
        places = rows - (ends - self._rows)[groups]
        found: Batch = {}
        kept = np.unique(groups).tolist()
        for group, batch in zip(kept, self._read_all(kept, chosen), strict=True):
            wanted = groups == group
            for name, values in batch.items():
                if name not in found:
                    shape = len(rows), *values.shape[1:]
                    found[name] = np.empty(shape, values.dtype)
                found[name][wanted] = values[places[wanted]]
        return found or {name: self._make_empty(name) for name in chosen}

    def _make_empty(self, name: str) -> npt.NDArray[Any]:
        feature = find_column(self.features, name).feature
        is_object = feature.kind in ("text", "image", "classes")
        shape = feature.shape if feature.kind == "tensor" else ()
        return np.empty((0, *shape), object if is_object else feature.dtype)

    def batches(
        self,
        batch_size: int,
        columns: str | Sequence[str] | None = None,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        epoch: int = 0,
        skip: int = 0,
    ) -> Iterator[Batch]:
        """Yields all patches once; see `Reader.batches`.

        Shuffled, row groups (100 patches) are read in an order that is drawn, and the
        patches of eight of them are mixed at a time.
        """
        check_batch_size(batch_size)
        check_skip(skip, len(self))
        chosen = choose_columns(self.features, columns)
        random = make_generator(seed, epoch)
        order = np.arange(len(self._groups))
        if shuffle:
            random.shuffle(order)
        size = _POOL_GROUPS if shuffle else 1
        counts = [
            int(self._rows[order[start : start + size]].sum())
            for start in range(0, len(order), size)
        ]
        first = int(np.searchsorted(np.cumsum(counts), skip, side="right"))
        skip -= sum(counts[:first])
        if shuffle:
            for count in counts[:first]:  # what these would have drawn
                random.permutation(count)
        groups = self._read_all(order[first * size :].tolist(), chosen)
        rest: Batch = {}
        for count in counts[first:]:
            several = itertools.islice(groups, size)
            if shuffle:
                pool = _mix(several, random.permutation(count), rest)
            else:
                pool = _join([*([rest] if rest else []), *several])
            pool, skip = _cut(pool, skip, None), 0
            whole = _count(pool) // batch_size * batch_size
            for start in range(0, whole, batch_size):
                yield _cut(pool, start, start + batch_size, copy=shuffle)
            rest = _cut(pool, whole, None, copy=shuffle)
            del pool  # or two would be there while the next one is made
        if rest and _count(rest):
            yield rest

    def _read_all(
        self, order: Sequence[int], columns: Sequence[str]
    ) -> Iterator[Batch]:
        """Yields row groups one after another."""
        found = {name: find_column(self.features, name) for name in columns}
        stored = [column.stored.name.replace("/", ".") for column in found.values()]

        def decode(table: pa.Table, group: int) -> Batch:
            batch = {name: _decode(table, column) for name, column in found.items()}
            if self._chosen is None or len(self._chosen[group]) == table.num_rows:
                return batch
            rows = self._chosen[group]
            return {name: values[rows] for name, values in batch.items()}

        # No table is kept while the next one is read.
        return map(decode, self._read_tables(order, [*dict.fromkeys(stored)]), order)

    def _read_tables(
        self, order: Sequence[int], names: Sequence[str]
    ) -> Iterator[pa.Table]:
        for index in order:
            number, group = self._groups[index]
            footer = self._footers[number]
            yield read_row_group(self._paths[number], footer, group, names)


def _decode(table: pa.Table, column: Column) -> npt.NDArray[Any]:
    array = decode_feature(table, column.stored)
    return array if column.band is None else array[:, column.band]


def _mix(groups: Iterable[Batch], order: npt.NDArray[np.int64], rest: Batch) -> Batch:
    """Puts row groups together in another order, after what is left of others.

    Each patch is copied once, and one row group is there at a time.

    Args:
        groups: The row groups.
        order: Which of their patches comes first, and so on, shape (patch,).
        rest: What is left; may be empty.
    """
    left, first = _count(rest) if rest else 0, 0
    places = left + np.argsort(order)
    mixed: Batch = {}
    for group in groups:
        rows = places[first : first + _count(group)]
        first += len(rows)
        for name, values in group.items():
            if name not in mixed:
                shape = (left + len(order), *values.shape[1:])
                mixed[name] = np.empty(shape, values.dtype)
                if rest:
                    mixed[name][:left] = rest[name]
            mixed[name][rows] = values
        del group, values  # or they would stay while the next ones are read
    return mixed


def _join(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}


def _cut(batch: Batch, start: int, stop: int | None, *, copy: bool = False) -> Batch:
    """Returns some patches; without a copy they keep all others in memory."""
    parts = {name: values[start:stop] for name, values in batch.items()}
    return {name: part.copy() for name, part in parts.items()} if copy else parts


def _count(batch: Batch) -> int:
    return len(next(iter(batch.values())))

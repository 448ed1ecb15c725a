"""Reads TFRecord shards, in order or in any other, only the features asked for.

A record is read into memory that stays in the processor's cache, and its pixels are
copied once, to their place in the batch. TensorFlow copies them into a record, a
feature and a tensor, one after the other; it is the oracle in the tests.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bigearthnet.formats.tfrecord.decode import ExampleError, locate_features
from bigearthnet.formats.tfrecord.framing import RECORD_OVERHEAD, RecordFile
from bigearthnet.reading.batches import (
    Batch,
    check_indices,
    choose_columns,
    find_column,
    make_generator,
)
from bigearthnet.reading.collectors import Collector, Scratch, make_collector
from bigearthnet.reading.memory import Recycler
from bigearthnet.reading.reader import Indices, Reader
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import check_batch_size, check_skip

# Shards that are read side by side when patches are shuffled, and patches that are
# mixed with one another: 160 MB of s2, which the system reads ahead.
_SHARDS_MIXED = 8
_POOL_PATCHES = 1_000


class TFRecordReader(Reader):
    """The patches of some TFRecord shards, in the order in which they are stored.

    Several threads may use one reader.

    Attributes:
        features: Name → its feature; `coordinates` is offered field by field, as
            `coordinates/ulx` and so on.
    """

    form = "tfrecord"

    def __init__(
        self,
        paths: Sequence[Path],
        num_records: Sequence[int],
        schema: Sequence[Feature],
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Takes the shards, and opens none of them.

        Args:
            paths: The shards, in order.
            num_records: Records of each shard.
            schema: The stored features.
            chosen: Numbers of the patches to offer, ascending; None for all.
        """
        self.features = {feature.name: feature for feature in schema}
        self._files = [
            RecordFile(path, count)
            for path, count in zip(paths, num_records, strict=True)
        ]
        self._ends = np.cumsum(num_records, dtype=np.int64)
        self._starts = self._ends - np.asarray(num_records, np.int64)
        self._num_records = tuple(num_records)
        self._chosen, self._counts = chosen, self._num_records
        if chosen is not None:
            shards = np.searchsorted(self._ends, chosen, side="right")
            counts = np.bincount(shards, minlength=len(self._files))
            self._counts = tuple(counts.tolist())
        self._firsts = np.cumsum([0, *self._counts])
        self._recycler = Recycler()

    def __reduce__(self) -> tuple[Any, ...]:
        paths = [file.path for file in self._files]
        schema = (*self.features.values(),)
        made_of = paths, self._num_records, schema, self._chosen
        return TFRecordReader, made_of, {"config": self.config}

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def gather(
        self,
        indices: Indices,
        columns: str | Sequence[str] | None = None,
    ) -> Batch:
        """Reads some patches, and checks the checksum of each; see `Reader.gather`.

        Raises:
            ShardError: If a shard is damaged; names the file and the record.
        """
        rows = check_indices(indices, len(self))
        if self._chosen is not None:
            rows = self._chosen[rows]
        chosen = choose_columns(self.features, columns)
        collectors: dict[str, Collector] = {}
        stored: dict[bytes, list[Collector]] = {}
        for name in dict.fromkeys(chosen):
            column = find_column(self.features, name)
            made = make_collector(column, len(rows), self._recycler)
            collectors[name] = made
            stored.setdefault(column.stored.name.encode(), []).append(made)
        record = Scratch()
        for row, (file, number, nbytes) in enumerate(self._read(rows, record)):
            try:
                found = locate_features(record.view, nbytes, stored)
                for key, (start, stop) in found.items():
                    for collector in stored[key]:
                        collector.add(row, record, start, stop)
            except ExampleError as cause:
                raise file.damaged(number, str(cause)) from None
        return {name: collector.array for name, collector in collectors.items()}

    def _read(
        self, rows: npt.NDArray[np.int64], record: Scratch
    ) -> Iterator[tuple[RecordFile, int, int]]:
        """Reads one record after the other; yields its file, number and bytes."""
        shards = np.searchsorted(self._ends, rows, side="right")
        numbers = (rows - self._starts[shards]).tolist()
        with contextlib.ExitStack() as stack:
            opened = {
                shard: stack.enter_context(self._files[shard].open())
                for shard in np.unique(shards).tolist()
            }
            for shard, number in zip(shards.tolist(), numbers, strict=True):
                records, file = self._files[shard], opened[shard]
                _, nbytes = records.find(file, number)
                if len(record.array) < nbytes + RECORD_OVERHEAD:
                    record.grow(nbytes + RECORD_OVERHEAD)
                yield records, number, records.read(file, number, record.array)

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

        Shuffled, an order of the shards is drawn, eight of them are read side by side,
        and 1,000 patches of these are mixed at a time.
        """
        check_batch_size(batch_size)
        check_skip(skip, len(self))
        chosen = choose_columns(self.features, columns)
        pools: Iterable[npt.NDArray[np.int64]] = [np.arange(len(self))]
        if shuffle:
            pools = self._draw_pools(make_generator(seed, epoch))
        waiting = np.empty(0, np.int64)
        for pool in pools:
            waiting = np.concatenate([waiting, pool[skip:]])
            skip = max(0, skip - len(pool))
            while len(waiting) >= batch_size:
                yield self.gather(waiting[:batch_size], chosen)
                waiting = waiting[batch_size:]
        if len(waiting):
            yield self.gather(waiting, chosen)

    def _draw_pools(
        self, random: np.random.Generator
    ) -> Iterator[npt.NDArray[np.int64]]:
        """Yields the patches of one pool after the other, mixed."""
        order = random.permutation(len(self._files)).tolist()
        pools = [[], *_cut_pools(order, self._counts), []]
        for pool, following in itertools.pairwise(pools):
            for part in following:
                self._read_ahead(*part)
            rows = [np.add(numbers, self._firsts[shard]) for shard, numbers in pool]
            if rows:
                yield random.permutation(np.concatenate(rows))

    def _read_ahead(self, shard: int, numbers: range) -> None:
        """Tells the system what is read next, but where much of it is not chosen."""
        first, last = numbers.start, numbers.stop
        if self._chosen is not None:
            rows = self._chosen[self._firsts[shard] :][[first, last - 1]]
            first, last = (rows - self._starts[shard] + [0, 1]).tolist()
        if last - first < 2 * len(numbers):
            self._files[shard].read_ahead(first, last)


# Some records of one shard, which follow one another.
_Part: TypeAlias = tuple[int, range]


def _cut_pools(
    order: Sequence[int], num_records: Sequence[int]
) -> Iterator[list[_Part]]:
    """Cuts shards into pools: each has the next records of eight shards.

    Args:
        order: The order in which shards are begun.
        num_records: Records of each shard.
    """
    waiting = [(s, range(num_records[s])) for s in order if num_records[s]]
    while waiting:
        count = -(-_POOL_PATCHES // min(_SHARDS_MIXED, len(waiting)))
        begun = waiting[:_SHARDS_MIXED]
        yield [(shard, numbers[:count]) for shard, numbers in begun]
        rest = [(shard, numbers[count:]) for shard, numbers in begun]
        waiting = [part for part in rest if part[1]] + waiting[_SHARDS_MIXED:]

"""Reads Parquet shards at a URL: row groups ahead, and footers when they are needed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.errors import ShardError
from bigearthnet.formats.columns import ROWS_PER_GROUP
from bigearthnet.formats.parquet import (
    fetch_row_group,
    read_footer,
    read_row_group,
)
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.schema.features import Feature
from bigearthnet.util.remote import RangeFile, RemotePath

# Row groups that are fetched at the same time, which hides the time that a server takes
# to answer, and that wait to be decoded: 32 MB.
_READ_AHEAD = 3


class RemoteParquetReader(ParquetReader):
    """The patches of some Parquet shards at a URL, in stored order.

    The order of batches is that of a `ParquetReader` of the same shards.
    """

    def __init__(
        self,
        paths: Sequence[RemotePath],
        num_rows: Sequence[int],
        columns: Sequence[Feature],
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Reads the footer of the first shard.

        Args:
            paths: The shards, in order, with their sizes.
            num_rows: Patches of each.
            columns: The columns of their configuration.
            chosen: Numbers of the patches to offer, ascending; None for all.

        Raises:
            ShardError: If it is not a Parquet file, or not the one that was published.
            StoreError, DownloadError: If it is missing, or cannot be had.
            OptionError: If no column is one of the configuration's.
        """
        self._known: dict[int, pq.FileMetaData] = {}
        self._shards, self._num_rows = tuple(paths), tuple(num_rows)
        self._locks = [threading.Lock() for _ in paths]
        rows = [_cut_groups(count) for count in num_rows]
        self._rows_chosen = chosen
        self._set_shards(paths, rows, self._footer(0), columns, chosen)

    def __reduce__(self) -> tuple[object, ...]:
        columns = (*self.features.values(),)
        made_of = self._shards, self._num_rows, columns, self._rows_chosen
        return RemoteParquetReader, made_of, {"config": self.config}

    def _read_tables(
        self, order: Sequence[int], names: Sequence[str]
    ) -> Iterator[pa.Table]:
        for index, fetched in self._fetch_ahead(order, names):
            number, group = self._groups[index]
            yield read_row_group(fetched, self._footer(number), group, names)

    def _fetch_ahead(
        self, order: Sequence[int], names: Sequence[str]
    ) -> Iterator[tuple[int, RangeFile]]:
        """Yields row groups as they are stored, while the next ones are fetched."""

        def fetch(index: int) -> RangeFile:
            number, group = self._groups[index]
            footer = self._footer(number)
            return fetch_row_group(self._shards[number], footer, group, names)

        pool = ThreadPoolExecutor(_READ_AHEAD, thread_name_prefix="bigearthnet-fetch")
        waiting: deque[tuple[int, Future[RangeFile]]] = deque()
        try:
            for index in order:
                waiting.append((index, pool.submit(fetch, index)))
                if len(waiting) == _READ_AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _footer(self, number: int) -> pq.FileMetaData:
        with self._locks[number]:
            if number not in self._known:
                path, count = self._shards[number], self._num_rows[number]
                self._known[number] = _read_footer(path, count)
            return self._known[number]


def _cut_groups(count: int) -> list[int]:
    """Returns the rows of each row group of a shard."""
    return [
        min(ROWS_PER_GROUP, count - start) for start in range(0, count, ROWS_PER_GROUP)
    ]


def _read_footer(path: RemotePath, count: int) -> pq.FileMetaData:
    """Reads a footer, and checks that it is that of the published shard."""
    try:
        footer = read_footer(path)
    except ShardError:
        path.check_nbytes()  # which says more
        raise
    found = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    if found != _cut_groups(count):
        raise ShardError(
            f"{path} has {sum(found):,} patches in {len(found):,} row groups: expected "
            f"{count:,}, {ROWS_PER_GROUP} in each, as its manifest says. Publish it "
            "again, or read another revision."
        )
    return footer

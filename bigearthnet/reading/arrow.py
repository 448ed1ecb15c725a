"""Reads Arrow record batches: mapped files of a store, or a data set of `datasets`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bigearthnet.errors import OptionError
from bigearthnet.formats.arrow import map_table
from bigearthnet.reading.batches import (
    Batch,
    check_indices,
    choose_columns,
    find_column,
    find_stored_columns,
    make_generator,
)
from bigearthnet.reading.chunks import ChunkedColumn
from bigearthnet.reading.memory import Recycler
from bigearthnet.reading.reader import Indices, Reader
from bigearthnet.release import RELEASES, Release
from bigearthnet.release.published import explain
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import check_batch_size, check_skip

if TYPE_CHECKING:
    import datasets

    from bigearthnet.reading.patch import Patch


class ArrowReader(Reader):
    """The patches of one split, in the order in which they are stored.

    Arrow has no checksums: pixels that were damaged after the build come as they are.

    Can be pickled if it was opened from a data directory: another process then maps
    the same files.

    Attributes:
        features: Column → its feature; `coordinates` is offered field by field, as
            `coordinates/ulx` and so on.
    """

    form = "arrow"

    def __init__(
        self,
        table: pa.Table,
        columns: Sequence[Feature],
        indices: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Takes a table of our columns; see `Reader.open` and `from_dataset`.

        Args:
            table: The table.
            columns: The columns of its configuration.
            indices: Rows to offer, in this order; None for all.

        Raises:
            OptionError: If no column is one of the configuration's.
        """
        self.features = find_stored_columns(table.schema, columns)
        self._batches = table.to_batches() or [_make_empty(table.schema)]
        self._ends = np.cumsum([batch.num_rows for batch in self._batches])
        self._indices = indices
        self._columns: dict[str, ChunkedColumn] = {}
        self._recycler = Recycler()
        self._origin: tuple[Any, ...] | None = None  # what `map_files` took

    @classmethod
    def map_files(
        cls,
        paths: Sequence[Path],
        columns: Sequence[Feature],
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> ArrowReader:
        """Maps the shards of a split.

        Args:
            paths: The shards, in order.
            columns: The columns of its configuration.
            chosen: Numbers of the patches to offer, ascending; None for all.

        Raises:
            ShardError: If a file is not an Arrow stream.
            OptionError: If no column is one of the configuration's.
        """
        table, rows = pa.concat_tables([map_table(path) for path in paths]), chosen
        if rows is not None and len(rows) and len(rows) == 1 + rows[-1] - rows[0]:
            # A part that is whole needs no copies: `train[:10%]`.
            table, rows = table.slice(rows[0], len(rows)), None
        reader = cls(table, columns, rows)
        reader._origin = tuple(paths), (*reader.features.values(),), chosen
        return reader

    @classmethod
    def from_dataset(
        cls,
        dataset: datasets.Dataset,
        config: str = "s2",
        release: Release | None = None,
    ) -> ArrowReader:
        """Reads a map-style data set of `datasets`, shuffled or selected ones too.

        Args:
            dataset: What `load_dataset` or `load_from_disk` returns for a split.
            config: Name of the configuration that it was stored as.
            release: As in `open`.

        Raises:
            OptionError: If it is something else, all splits for example, or has none of
                our columns.
        """
        if not hasattr(dataset, "data") or not hasattr(dataset, "_indices"):
            raise OptionError(
                f"expected a map-style data set of one split, got "
                f"{type(dataset).__name__}. Choose a split; streamed ones have batches "
                "of their own: dataset.batch(...)."
            )
        # `datasets` keeps the rows of select() and shuffle() beside the table; there is
        # no public way to them that does not copy pixels.
        indices = dataset._indices
        if indices is not None:
            indices = indices.column(0).to_numpy().astype(np.int64)
        chosen = get_config(config, RELEASES if release is None else [release])
        stored = chosen.columns or chosen.schema  # both sensors, joined by columns
        reader = cls(dataset.data.table, stored, indices)
        reader.config = chosen
        return reader

    def __reduce__(self) -> tuple[Any, ...]:
        if self._origin is None:
            raise TypeError("only an ArrowReader.open(...) can go to another process")
        return ArrowReader.map_files, self._origin, {"config": self.config}

    def __len__(self) -> int:
        if self._indices is not None:
            return len(self._indices)
        return int(self._ends[-1])

    def gather(
        self,
        indices: Indices,
        columns: str | Sequence[str] | None = None,
    ) -> Batch:
        """Copies some patches into arrays; see `Reader.gather`."""
        rows = check_indices(indices, len(self))
        if self._indices is not None:
            rows = self._indices[rows]
        chosen = choose_columns(self.features, columns)
        chunks = np.searchsorted(self._ends, rows, side="right")
        starts = np.concatenate([[0], self._ends])[chunks]
        places = list(zip(chunks.tolist(), (rows - starts).tolist(), strict=True))
        return {name: self._column(name).gather(places) for name in chosen}

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

        In order, a batch that lies in one record batch (100 patches) is a read-only
        view of the mapped file; others are copies. Shuffled, the order is of all
        patches.
        """
        check_batch_size(batch_size)
        check_skip(skip, len(self))
        chosen = choose_columns(self.features, columns)
        order = np.arange(len(self))
        if shuffle:
            make_generator(seed, epoch).shuffle(order)
        in_order = not shuffle and self._indices is None
        for start in range(skip, len(self), batch_size):
            stop = min(start + batch_size, len(self))
            if in_order:
                yield self._slice(start, stop, chosen)
            else:
                yield self.gather(order[start:stop], chosen)

    def _slice(self, start: int, stop: int, columns: Sequence[str]) -> Batch:
        """Returns patches that follow one another."""
        parts: list[tuple[int, slice]] = []
        chunk = int(np.searchsorted(self._ends, start, side="right"))
        while start < stop:
            end = int(self._ends[chunk])
            first = end - self._batches[chunk].num_rows
            parts.append((chunk, slice(start - first, stop - first)))
            start, chunk = end, chunk + 1
        return {name: self._column(name).join(parts) for name in columns}

    def find(self, patch_id: str) -> int:
        """Returns the index of a patch.

        Args:
            patch_id: Its id.

        Raises:
            OptionError: If the split has no such patch.
        """
        choose_columns(self.features, ["patch_id"])
        column = pa.chunked_array([batch["patch_id"] for batch in self._batches])
        row = pc.index(column, patch_id).as_py()
        if self._indices is not None and row >= 0:
            found = np.flatnonzero(self._indices == row)
            row = int(found[0]) if len(found) else -1
        if row < 0:
            hint = explain(patch_id)
            if len(column) and hint == explain(str(column[0])):  # of the same release
                hint = ""
            raise OptionError(f"no patch {patch_id!r} among these {len(self):,}.{hint}")
        return int(row)

    def patch(self, patch_id: str) -> Patch:
        """Returns every column of one patch, without the axis of patches.

        Args:
            patch_id: Its id.

        Returns:
            Column → array of the feature's shape for bands and vectors, str for texts,
            bytes for the preview, an array of int64 for `labels`, else a numpy number.

        Raises:
            OptionError: If the split has no such patch.
        """
        return self[self.find(patch_id)]

    def _column(self, name: str) -> ChunkedColumn:
        """Returns a column; kept, so that views of its chunks are made once."""
        if name not in self._columns:
            column = find_column(self.features, name)
            group, _, field = column.stored.name.partition("/")
            arrays = [batch[group] for batch in self._batches]
            if field:
                arrays = [array.field(field) for array in arrays]
            self._columns[name] = ChunkedColumn(
                arrays, column.stored, self._recycler, column.band
            )
        return self._columns[name]


def _make_empty(schema: pa.Schema) -> pa.RecordBatch:
    """Returns a record batch of no rows."""
    columns = schema.empty_table().columns
    arrays = [column.combine_chunks() for column in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)

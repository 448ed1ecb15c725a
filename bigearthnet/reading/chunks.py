"""One column of several record batches: views, and copies of some of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.formats.columns import decode_column
from bigearthnet.reading.memory import Recycler, fill_in_parallel
from bigearthnet.schema.features import Feature


class ChunkedColumn:
    """A column in chunks, one for each record batch."""

    def __init__(
        self,
        chunks: Sequence[pa.Array],
        feature: Feature,
        recycler: Recycler,
        band: int | None = None,
    ) -> None:
        """Takes the chunks; bands, vectors and numbers become views at once.

        Args:
            chunks: The column of each record batch, at least one.
            feature: What the column is.
            recycler: Where new arrays come from.
            band: Index of the band to hand out alone; None for all of a row.

        Raises:
            ShardError: If a chunk is damaged.
        """
        self._chunks, self._feature, self._recycler = chunks, feature, recycler
        # Only views are kept: texts and pictures of a split would take gigabytes.
        self._views: list[npt.NDArray[Any]] | None = None
        if feature.kind in ("tensor", "integer", "class"):
            self._views = [decode_column(chunk, feature) for chunk in chunks]
            if band is not None:
                self._views = [view[:, band] for view in self._views]

    def gather(self, places: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
        """Copies some rows.

        Args:
            places: Chunk and row in it of each.

        Returns:
            Shape (row, …); see `decode_column`.
        """
        if self._views is None:
            rows = [self._chunks[chunk].slice(row, 1) for chunk, row in places]
            array = pa.concat_arrays(rows) if rows else self._chunks[0].slice(0, 0)
            return decode_column(array, self._feature)
        rows = [self._views[chunk][row : row + 1] for chunk, row in places]
        filled = self._make_output(len(places))

        def fill(first: int, last: int) -> None:
            """Copies the rows from one number to another, without a loop of Python."""
            if first < last:
                np.concatenate(rows[first:last], out=filled[first:last])

        fill_in_parallel(fill, len(filled), filled.nbytes)
        return filled

    def join(self, parts: Sequence[tuple[int, slice]]) -> npt.NDArray[Any]:
        """Returns parts of chunks one after the other: a view, if there is only one.

        Args:
            parts: Chunk and rows in it of each, at least one.
        """
        if self._views is None:
            array = pa.concat_arrays([self._chunks[c][rows] for c, rows in parts])
            return decode_column(array, self._feature)
        views = [self._views[chunk][rows] for chunk, rows in parts]
        if len(views) == 1:
            return views[0]
        filled = self._make_output(sum(map(len, views)))
        starts = np.cumsum([0, *map(len, views)]).tolist()

        def fill(first: int, last: int) -> None:
            """Copies what the parts have of the rows from one number to another."""
            for view, start in zip(views, starts, strict=False):
                begin, end = max(first, start), min(last, start + len(view))
                if begin < end:
                    filled[begin:end] = view[begin - start : end - start]

        fill_in_parallel(fill, len(filled), filled.nbytes)
        return filled

    def _make_output(self, rows: int) -> npt.NDArray[Any]:
        """Returns an array of as many rows to fill."""
        assert self._views is not None
        like = self._views[0]
        return self._recycler.take((rows, *like.shape[1:]), like.dtype.str)

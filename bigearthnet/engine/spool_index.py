"""The index of a spool: which patches were read, and where their records are."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.records import encode_mask

_NOT_READ, _NOT_STORED, _STORED = 0, 1, 2

# One row of the index, written as a struct and read as an array.
_ENTRY = struct.Struct("<BHIQ16s")
_ENTRY_DTYPE = np.dtype(
    [
        ("state", "u1"),
        ("bucket", "<u2"),
        ("nbytes", "<u4"),
        ("offset", "<u8"),
        ("key", ">u8", 2),
    ]
)
assert _ENTRY.size == _ENTRY_DTYPE.itemsize

# One row of the index with its number and labels, as it is kept in a file.
_SAVED_DTYPE = np.dtype(
    [("row", "<u4"), ("labels", "<u8"), ("synthetic", "?"), ("entry", _ENTRY_DTYPE)]
)


class SpoolIndex:
    """Where the record of each patch is; one row per patch of the release.

    Attributes:
        labels: Class ids as bit masks, shape (patch,), uint64; 0 where not read.
        split: Index into SPLITS, shape (patch,), uint8.
        synthetic: Whether its metadata say that it is synthetic, shape (patch,), bool.
    """

    def __init__(self, splits: npt.NDArray[np.uint8]) -> None:
        """Makes an empty index.

        Args:
            splits: Index into SPLITS of every patch of the release.
        """
        count = len(splits)
        self.split = splits
        self.synthetic = np.zeros(count, np.bool_)
        self.labels = np.zeros(count, np.uint64)
        # Written through struct, which is ten times as fast as setting numpy fields.
        self._buffer = bytearray(count * _ENTRY.size)
        self._entries = np.frombuffer(self._buffer, _ENTRY_DTYPE)

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """True for each patch that was read and is not bad."""
        return self._entries["state"] != _NOT_READ

    @property
    def stored(self) -> npt.NDArray[np.bool_]:
        """True for each patch that has a record in the spool."""
        return self._entries["state"] == _STORED

    @property
    def num_synthetic(self) -> int:
        """How many of the patches read are synthetic."""
        return int((self.synthetic & self.read).sum())

    def add_read(
        self, row: int, labels: tuple[int, ...], is_synthetic: bool = False
    ) -> None:
        """Records that a patch was read."""
        self._buffer[row * _ENTRY.size] = _NOT_STORED
        self.labels[row] = encode_mask(labels)
        self.synthetic[row] = is_synthetic

    def add_record(
        self, row: int, key: bytes, bucket: int, offset: int, nbytes: int
    ) -> None:
        """Records where the record of a patch is."""
        position = row * _ENTRY.size
        _ENTRY.pack_into(self._buffer, position, _STORED, bucket, nbytes, offset, key)

    def add_bad(self, row: int) -> None:
        """Records that a patch is bad: it counts as not read, even if it was stored."""
        self._buffer[row * _ENTRY.size] = _NOT_READ

    def dump(self) -> bytes:
        """Returns the index as bytes, for `load`."""
        rows = np.flatnonzero(self.read)
        saved = np.zeros(len(rows), _SAVED_DTYPE)
        saved["row"] = rows
        saved["labels"] = self.labels[rows]
        saved["synthetic"] = self.synthetic[rows]
        saved["entry"] = self._entries[rows]
        return saved.tobytes()

    def load(self, content: bytes) -> None:
        """Fills an empty index with what `dump` returned."""
        saved = np.frombuffer(content, _SAVED_DTYPE)
        self.labels[saved["row"]] = saved["labels"]
        self.synthetic[saved["row"]] = saved["synthetic"]
        self._entries[saved["row"]] = saved["entry"]

    def sorted_rows(self, split: int) -> npt.NDArray[np.intp]:
        """Returns the rows of the stored patches of a split, in the order of keys."""
        rows = np.flatnonzero(self.stored & (self.split == split))
        keys = self._entries["key"][rows]
        return rows[np.lexsort((keys[:, 1], keys[:, 0]))]

    def locate(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """Returns where records are.

        Args:
            rows: Rows of stored patches, shape (record,).

        Returns:
            Structured array of `bucket`, `nbytes` and `offset`, shape (record,).
        """
        return self._entries[["bucket", "nbytes", "offset"]][rows].copy()

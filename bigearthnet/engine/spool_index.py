"""Where the record of each patch stands in the spool, patch by patch of the release."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.records import encode_mask

_NOT_READ, _NOT_STORED, _STORED, _BAD = 0, 1, 2, 3

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
    """Where the record of each patch stands; one row per patch of the release.

    Attributes:
        labels: Class ids as bit masks, shape (patch,), uint64; 0 where not read.
        split: Index into SPLITS, shape (patch,), uint8.
        synthetic: Whether it says that it is synthetic, shape (patch,), bool.
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
        states = self._entries["state"]
        return (states == _NOT_STORED) | (states == _STORED)

    @property
    def stored(self) -> npt.NDArray[np.bool_]:
        """True for each patch that has a record in the spool."""
        return self._entries["state"] == _STORED

    @property
    def num_synthetic(self) -> int:
        """Patches read that say that they are synthetic."""
        return int((self.synthetic & self.read).sum())

    def add_read(
        self, row: int, labels: tuple[int, ...], is_synthetic: bool = False
    ) -> None:
        """Notes that a patch was read."""
        self._buffer[row * _ENTRY.size] = _NOT_STORED
        self.labels[row] = encode_mask(labels)
        self.synthetic[row] = is_synthetic

    def add_record(
        self, row: int, key: bytes, bucket: int, offset: int, nbytes: int
    ) -> None:
        """Notes where a patch's record stands."""
        position = row * _ENTRY.size
        _ENTRY.pack_into(self._buffer, position, _STORED, bucket, nbytes, offset, key)

    def add_bad(self, row: int) -> None:
        """Notes that a patch is bad: it is not stored, even if it was spooled."""
        self._buffer[row * _ENTRY.size] = _BAD

    def is_read(self, row: int) -> bool:
        """Whether a patch was read and is not bad."""
        return self._buffer[row * _ENTRY.size] in (_NOT_STORED, _STORED)

    def is_stored(self, row: int) -> bool:
        """Whether a patch has a record in the spool."""
        return self._buffer[row * _ENTRY.size] == _STORED

    def dump(self, rows: list[int]) -> bytes:
        """Returns what the index says of some rows; see `load`."""
        saved = np.zeros(len(rows), _SAVED_DTYPE)
        saved["row"] = rows
        saved["labels"] = self.labels[rows]
        saved["synthetic"] = self.synthetic[rows]
        saved["entry"] = self._entries[rows]
        return saved.tobytes()

    def load(self, content: bytes) -> None:
        """Takes over what `dump` gave; of a row that comes twice, the latter."""
        saved = np.frombuffer(content, _SAVED_DTYPE)
        self.labels[saved["row"]] = saved["labels"]
        self.synthetic[saved["row"]] = saved["synthetic"]
        self._entries[saved["row"]] = saved["entry"]

    def digest(self, rows: npt.NDArray[np.intp]) -> str:
        """Returns the sha256 of the keys and sizes of some stored patches, in order."""
        sizes = self._entries["nbytes"][rows].tobytes()
        return hashlib.sha256(self._entries["key"][rows].tobytes() + sizes).hexdigest()

    def clear(self) -> None:
        """Forgets everything."""
        self._buffer[:] = bytes(len(self._buffer))
        self.labels[:] = 0
        self.synthetic[:] = False

    def bucket_ends(self) -> dict[tuple[int, int], int]:
        """Returns split and number of each bucket → the bytes of its records."""
        rows = np.flatnonzero(self._entries["nbytes"])
        entries = self._entries[rows]
        ends: dict[tuple[int, int], int] = {}
        if len(rows):
            places = np.stack([self.split[rows], entries["bucket"]], axis=1)
            for place in np.unique(places, axis=0):
                of_bucket = entries[(places == place).all(axis=1)]
                end = (of_bucket["offset"] + of_bucket["nbytes"]).max()
                ends[int(place[0]), int(place[1])] = int(end)
        return ends

    def sorted_rows(self, split: int) -> npt.NDArray[np.intp]:
        """Returns the rows of the stored patches of a split, in the order of keys."""
        rows = np.flatnonzero(self.stored & (self.split == split))
        keys = self._entries["key"][rows]
        return rows[np.lexsort((keys[:, 1], keys[:, 0]))]

    def locate(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """Returns where records stand.

        Args:
            rows: Rows of stored patches, shape (record,).

        Returns:
            Structured array of `bucket`, `nbytes` and `offset`, shape (record,).
        """
        return self._entries[["bucket", "nbytes", "offset"]][rows].copy()

"""The index of a spool: which patches were read, and where their records are."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import PATCH_SIZE_M
from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.source.georeference import Georeference
from bigearthnet.store.scenes import SCENE_DTYPE

_NOT_READ, _NOT_STORED, _STORED = 0, 1, 2

# One row of the index, written as a struct and read as an array: ten times as fast as
# setting numpy fields.
_READ = struct.Struct("<B?Q2i2q")
_PLACE = struct.Struct("<HIQ16s")
_ENTRY_DTYPE = np.dtype(
    [
        ("state", "u1"),
        ("synthetic", "?"),
        ("labels", "<u8"),
        ("scene", SCENE_DTYPE),
        ("bucket", "<u2"),
        ("nbytes", "<u4"),
        ("offset", "<u8"),
        ("key", ">u8", 2),
    ]
)
_NBYTES = _ENTRY_DTYPE.itemsize
assert _READ.size + _PLACE.size == _NBYTES

# Where a record is in a spool.
PLACE_DTYPE = np.dtype([("bucket", "<u2"), ("nbytes", "<u4"), ("offset", "<u8")])

# One row of the index with its number, as it is kept in a file.
_SAVED_DTYPE = np.dtype([("row", "<u4"), ("entry", _ENTRY_DTYPE)])


class SpoolIndex:
    """What one source holds of each patch of the release, and where that is."""

    def __init__(self, num_patches: int) -> None:
        """Makes an empty index.

        Args:
            num_patches: Patches of the release.
        """
        # Pages of zeros cost nothing until they are written; a bytearray writes them.
        self._entries = np.zeros(num_patches, _ENTRY_DTYPE)
        self._buffer = self._entries.view(np.uint8).data

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """True for each patch that was read and is not bad, shape (patch,)."""
        return self._entries["state"] != _NOT_READ

    @property
    def stored(self) -> npt.NDArray[np.bool_]:
        """True for each patch that has a record in the spool, shape (patch,)."""
        return self._entries["state"] == _STORED

    @property
    def synthetic(self) -> npt.NDArray[np.bool_]:
        """True for each patch read that says that it is synthetic, shape (patch,)."""
        return self._entries["synthetic"] & self.read

    @property
    def labels(self) -> npt.NDArray[np.uint64]:
        """Class ids as bit masks, shape (patch,), uint64; 0 where not read."""
        return self._entries["labels"]

    @property
    def scenes(self) -> npt.NDArray[np.void]:
        """When and where each was taken, shape (patch,), SCENE_DTYPE; 0 likewise."""
        return self._entries["scene"]

    def add_read(
        self,
        row: int,
        labels: tuple[int, ...] = (),
        is_synthetic: bool = False,
        scene: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        """Records that a patch was read."""
        values = _NOT_STORED, is_synthetic, encode_mask(labels), *scene
        _READ.pack_into(self._buffer, row * _NBYTES, *values)

    def place(self, row: int) -> Georeference | None:
        """Returns where a patch that was read lies; None if nobody knows."""
        _, epsg, ulx, uly = self.scenes[row].item()
        if not epsg:
            return None
        return Georeference(epsg, ulx, uly, ulx + PATCH_SIZE_M, uly - PATCH_SIZE_M)

    def add_record(
        self, row: int, key: bytes, bucket: int, offset: int, nbytes: int
    ) -> None:
        """Records where the record of a patch that was read is."""
        start = row * _NBYTES
        self._buffer[start] = _STORED
        _PLACE.pack_into(self._buffer, start + _READ.size, bucket, nbytes, offset, key)

    def mark_synthetic(self) -> None:
        """Records that all patches of the source are synthetic."""
        self._entries["synthetic"] = True

    def add_bad(self, row: int) -> None:
        """Records that a patch is bad: it counts as not read, even if it was stored."""
        self._buffer[row * _NBYTES] = _NOT_READ

    def dump(self) -> bytes:
        """Returns the index as bytes, for `load`."""
        rows = np.flatnonzero(self.read)
        saved = np.zeros(len(rows), _SAVED_DTYPE)
        saved["row"], saved["entry"] = rows, self._entries[rows]
        return saved.tobytes()

    def load(self, content: bytes) -> None:
        """Fills an empty index with what `dump` returned."""
        saved = np.frombuffer(content, _SAVED_DTYPE)
        self._entries[saved["row"]] = saved["entry"]

    def load_scenes(
        self, read: npt.NDArray[np.bool_], scenes: npt.NDArray[np.void]
    ) -> None:
        """Fills an empty index with what a finished store says of patches.

        Args:
            read: True for each patch that its build read, shape (patch,).
            scenes: When and where each was taken, shape (patch,), SCENE_DTYPE.
        """
        self._entries["state"][read] = _NOT_STORED
        self._entries["scene"] = scenes

    def sort(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Returns rows of stored patches in the order of their keys."""
        keys = self._entries["key"][rows]
        return rows[np.lexsort((keys[:, 1], keys[:, 0]))]

    def move(self, rows: npt.NDArray[np.intp], offsets: npt.NDArray[np.uint64]) -> None:
        """Records that records are elsewhere in their buckets.

        Args:
            rows: Rows of stored patches, shape (record,).
            offsets: Where each begins, in bytes, shape (record,), uint64.
        """
        self._entries["offset"][rows] = offsets

    def locate(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """Returns where records are.

        Args:
            rows: Rows of stored patches, shape (record,).

        Returns:
            Structured array of PLACE_DTYPE, shape (record,).
        """
        return self._entries[["bucket", "nbytes", "offset"]][rows].astype(PLACE_DTYPE)

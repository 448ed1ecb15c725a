"""Reads records of TFRecord shards by number, in any order."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.encoding.tfrecord import RECORD_OVERHEAD, masked_crc, read_record
from bigearthnet.errors import ShardError

# What a record starts with: the length of its data, and that length's checksum.
_HEADER = struct.Struct("<QI")


class RecordReader:
    """The records of some TFRecord shards, in the order in which they are stored.

    Several threads may use one reader.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Finds where each record starts, from the lengths alone.

        Args:
            paths: The shards, in order.

        Raises:
            ShardError: If a shard is missing or truncated, or a length is damaged.
        """
        self._paths = tuple(paths)
        offsets = [_find_records(path) for path in self._paths]
        self._ends = np.cumsum([len(part) for part in offsets])
        self._offsets = np.concatenate([*offsets, np.empty(0, np.int64)])

    def __len__(self) -> int:
        return len(self._offsets)

    def gather(
        self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]
    ) -> list[bytes]:
        """Reads some records, and checks both checksums of each.

        Args:
            indices: Which records, in [0, len(self)), in any order.

        Returns:
            The data of each: a serialized `tf.train.Example`, see
            `loading.tfrecord.parse`.

        Raises:
            IndexError: If an index is out of range.
            ShardError: If a checksum does not fit; names the file and the record.
        """
        rows = np.asarray(indices, np.int64)
        wrong = rows[(rows < 0) | (rows >= len(self))]
        if len(wrong):
            raise IndexError(f"no record {wrong[0]}: expected 0 to {len(self) - 1}.")
        shards = np.searchsorted(self._ends, rows, side="right").tolist()
        offsets = self._offsets[rows].tolist()
        return [
            read_record(self._paths[shard], offset)
            for shard, offset in zip(shards, offsets, strict=True)
        ]


def _find_records(path: Path) -> npt.NDArray[np.int64]:
    """Returns the byte at which each record of a shard starts, shape (record,)."""
    offsets, offset = [], 0
    try:
        with path.open("rb", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            while offset < end:
                offsets.append(offset)
                header = os.pread(file.fileno(), _HEADER.size, offset)
                offset = _find_end(path, offset, header)
    except OSError as cause:
        raise ShardError.unreadable(path, cause) from None
    if offset > end:
        raise _damaged(path, offsets[-1], "is truncated")
    return np.array(offsets, np.int64)


def _find_end(path: Path, offset: int, header: bytes) -> int:
    if len(header) < _HEADER.size:
        raise _damaged(path, offset, "is truncated")
    nbytes, crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != crc:
        raise _damaged(path, offset, "has a damaged length")
    return offset + int(nbytes) + RECORD_OVERHEAD


def _damaged(path: Path, offset: int, problem: str) -> ShardError:
    return ShardError(
        f"{path}: the record at byte {offset} {problem}. The shard is damaged: build "
        "or download it again."
    )

"""Finds and reads records of a TFRecord file by number, without reading the others."""

from __future__ import annotations

import contextlib
import os
import struct
from array import array
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import ShardError
from bigearthnet.formats.tfrecord.encode import (
    MAX_RECORD_NBYTES,
    RECORD_OVERHEAD,
    masked_crc,
)

# What a record starts with: the length of its data, and that length's checksum.
_HEADER = struct.Struct("<QI")
# What it ends with: the data's checksum.
_FOOTER = struct.Struct("<I")


class RecordFile:
    """The records of one file; where they start is found as far as it is needed.

    Each record says how long it is, so that what comes before one must have been looked
    at, once. Several threads may use one: at worst they find the same bounds.
    """

    def __init__(self, path: Path, num_records: int) -> None:
        """Takes the file, and does not open it.

        Args:
            path: The file.
            num_records: How many records it has.
        """
        self.path = path
        self._num_records = num_records
        self._bounds = array("q", bytes(8 * (num_records + 1)))
        self._num_known = 0  # records whose end is known

    def open(self) -> BinaryIO:
        """Opens the file, for the methods below; the caller closes it.

        Raises:
            ShardError: If the file cannot be opened.
        """
        try:
            return self.path.open("rb")
        except OSError as cause:
            raise ShardError.unreadable(self.path, cause) from None

    def find(self, file: BinaryIO, number: int) -> tuple[int, int]:
        """Returns where the data of a record starts, and how many bytes it has.

        Args:
            file: The file, opened.
            number: Number of the record, below `num_records`.

        Raises:
            ShardError: If the file cannot be read, a length is damaged, or there are
                more or fewer records.
        """
        while self._num_known <= number:
            self._find_next(file, self._num_known)
        start = self._bounds[number]
        nbytes = self._bounds[number + 1] - start - RECORD_OVERHEAD
        return start + _HEADER.size, nbytes

    def _find_next(self, file: BinaryIO, number: int) -> None:
        """Finds the end of a record whose start is known."""
        start = self._bounds[number]
        header = bytearray(_HEADER.size)
        if self._read_into(file, start, header) < _HEADER.size:
            raise self.damaged(number, "is truncated or missing")
        nbytes, crc = _HEADER.unpack(header)
        if masked_crc(bytes(header[:8])) != crc or nbytes > MAX_RECORD_NBYTES:
            raise self.damaged(number, "has a damaged length")
        end, size = start + nbytes + RECORD_OVERHEAD, os.fstat(file.fileno()).st_size
        if end > size:
            raise self.damaged(number, "is truncated")
        if number + 1 == self._num_records and end < size:
            raise self.damaged(number, f"is not the last of {self._num_records}")
        self._bounds[number + 1] = end
        self._num_known = number + 1

    def read(self, file: BinaryIO, number: int, buffer: npt.NDArray[np.uint8]) -> int:
        """Reads the data of a record, and checks its checksum.

        Args:
            file: The file, opened.
            number: Number of the record.
            buffer: What to read into, shape (byte,): RECORD_OVERHEAD more than the
                data, or longer.

        Returns:
            How many bytes the data has.

        Raises:
            ShardError: If the file cannot be read or is truncated, or the checksum does
                not fit.
        """
        start, nbytes = self.find(file, number)
        expected = nbytes + _FOOTER.size
        if self._read_into(file, start, buffer[:expected].data) < expected:
            raise self.damaged(number, "is truncated")
        (crc,) = _FOOTER.unpack_from(buffer.data, nbytes)
        if masked_crc(buffer[:nbytes]) != crc:
            raise self.damaged(number, "has a wrong checksum")
        return nbytes

    def _read_into(
        self, file: BinaryIO, start: int, buffer: bytearray | memoryview
    ) -> int:
        """Reads from a byte on; returns how many bytes were read."""
        try:
            file.seek(start)
            return int(file.readinto(buffer))  # type: ignore[attr-defined]
        except OSError as cause:
            raise ShardError.unreadable(self.path, cause) from None

    def read_ahead(self, first: int, last: int) -> None:
        """Tells the system that records are going to be read, where it can be told.

        Args:
            first: Number of the first record.
            last: Number behind the last one.
        """
        if not hasattr(os, "posix_fadvise"):  # macOS, Windows
            return
        with self.open() as file:
            start, end = self._bounds[first], self._bounds[last]
            if last > self._num_known:  # records have about the same length
                mean = os.fstat(file.fileno()).st_size // self._num_records
                start, end = first * mean, last * mean
            advice = os.POSIX_FADV_WILLNEED
            with contextlib.suppress(OSError):  # a file system may not know of it
                os.posix_fadvise(file.fileno(), start, end - start, advice)

    def damaged(self, number: int, problem: str) -> ShardError:
        """Returns the error that says what is wrong with a record."""
        return ShardError(
            f"{self.path}: record {number} {problem}. The shard is damaged: build or "
            "download it again."
        )

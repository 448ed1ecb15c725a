"""Records in TFRecord files: framed, and read by number without reading the others.

Source of the format: tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of
the length, data, masked CRC-32C of the data). TensorFlow is the oracle in the tests.
"""

from __future__ import annotations

import contextlib
import os
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from bigearthnet.errors import ShardError

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
# Bytes of a record before its data: the length, and its checksum.
_HEADER_NBYTES = _LENGTH.size + _CRC.size
# Bytes of a record beside its data, whose own checksum comes last.
RECORD_OVERHEAD = _HEADER_NBYTES + _CRC.size

# Largest record that is read, in bytes; ours have about 160,000.
MAX_RECORD_NBYTES = 2**26


def masked_crc(data: bytes | npt.NDArray[np.uint8]) -> int:
    """Returns the CRC-32C of the data, masked as TFRecord has it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


def frame(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns what a record of a TFRecord file is made of: header, data, footer."""
    length = _LENGTH.pack(len(data))
    return length + _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))


def read_records(path: Path, num_records: int) -> Iterator[bytes]:
    """Yields the data of every record of a file; see `RecordFile`.

    Raises:
        ShardError: If the file cannot be read, a checksum does not fit, or there are
            more or fewer records.
    """
    records = RecordFile(path, num_records)
    with records.open() as file:
        for number in range(num_records):
            yield records.read_data(file, number)


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
        return start + _HEADER_NBYTES, nbytes

    def _find_next(self, file: BinaryIO, number: int) -> None:
        """Finds the end of a record whose start is known."""
        start = self._bounds[number]
        header = bytearray(_HEADER_NBYTES)
        if self._read_into(file, start, header) < _HEADER_NBYTES:
            raise self.damaged(number, "is truncated or missing")
        (nbytes,), (crc,) = _LENGTH.unpack_from(header), _CRC.unpack(header[8:])
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
        expected = nbytes + _CRC.size
        if self._read_into(file, start, buffer[:expected].data) < expected:
            raise self.damaged(number, "is truncated")
        (crc,) = _CRC.unpack_from(buffer.data, nbytes)
        if masked_crc(buffer[:nbytes]) != crc:
            raise self.damaged(number, "has a wrong checksum")
        return nbytes

    def read_data(self, file: BinaryIO, number: int) -> bytes:
        """Returns the data of a record; see `read`."""
        _, nbytes = self.find(file, number)
        buffer = np.empty(nbytes + RECORD_OVERHEAD, np.uint8)
        return buffer[: self.read(file, number, buffer)].tobytes()

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

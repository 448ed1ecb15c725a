from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bigearthnet.errors import ShardError
from bigearthnet.formats.tfrecord.framing import (
    RecordFile,
    frame,
    masked_crc,
    read_records,
)

# Data of the records; lengths differ, one is empty.
SMALL = [b"first", b"", bytes(300), b"\xff" * 7]
RECORDS = [b"a" * 700, b"", b"second" * 9, b"third"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file written by TensorFlow."""
    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """A file of SMALL that we framed."""
    path = tmp_path / "small.tfrecord"
    path.write_bytes(b"".join(b"".join(frame(data)) for data in SMALL))
    return path


def read(records: RecordFile, numbers: list[int]) -> list[bytes]:
    """Reads some records."""
    buffer, found = np.zeros(1_000, np.uint8), []
    with records.open() as file:
        for number in numbers:
            nbytes = records.read(file, number, buffer)
            found.append(buffer[:nbytes].tobytes())
    return found


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3], [3, 0, 2, 1, 1], [2], []])
def test_records_come_in_the_order_that_is_asked_for(
    numbers: list[int], path: Path
) -> None:
    """Any order and repetitions give what was written, the first time and later."""
    records = RecordFile(path, 4)

    assert [RECORDS[number] for number in numbers] == read(records, numbers)
    assert RECORDS == read(records, [0, 1, 2, 3])


def test_bounds_are_those_of_the_data(path: Path) -> None:
    """A record starts 16 bytes behind the end of the data before it."""
    records = RecordFile(path, 4)
    with records.open() as file:
        assert (12 + 700 + 16 + 16, 54) == records.find(file, 2)
        assert (12, 700) == records.find(file, 0)


@pytest.mark.parametrize("flipped", [12, 100, 712])
def test_a_changed_byte_names_file_and_record(path: Path, flipped: int) -> None:
    """A flipped bit in data or checksum is found when the record is read."""
    content = bytearray(path.read_bytes())
    content[flipped] ^= 4
    path.write_bytes(content)
    records = RecordFile(path, 4)

    assert RECORDS[1:] == read(records, [1, 2, 3])
    with pytest.raises(ShardError, match="shard: record 0 has a wrong checksum"):
        read(records, [1, 0])


@pytest.mark.parametrize("flipped", [716, 723, 725])
def test_a_changed_length_is_found(path: Path, flipped: int) -> None:
    """A flipped bit in a length or its checksum is found on the way to what follows."""
    content = bytearray(path.read_bytes())
    content[flipped] ^= 1
    path.write_bytes(content)

    assert RECORDS[:1] == read(RecordFile(path, 4), [0])
    with pytest.raises(ShardError, match="shard: record 1 has a damaged length"):
        read(RecordFile(path, 4), [3])


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_truncated_file_is_found(path: Path, cut: int) -> None:
    """A file that ends within a record is an error once that record is needed."""
    path.write_bytes(path.read_bytes()[:-cut])

    assert RECORDS[:3] == read(RecordFile(path, 4), [0, 1, 2])
    with pytest.raises(ShardError, match="shard: record 3 is truncated"):
        read(RecordFile(path, 4), [3])


def test_a_file_that_was_cut_later_is_found(path: Path) -> None:
    """A file that ends earlier than when its records were found is an error."""
    records = RecordFile(path, 4)
    read(records, [3])
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(ShardError, match="shard: record 3 is truncated"):
        read(records, [3])


@pytest.mark.parametrize(
    ("count", "problem"),
    [(3, "record 2 is not the last of 3"), (5, "record 4 is truncated or missing")],
)
def test_another_number_of_records_is_an_error(
    count: int, problem: str, path: Path
) -> None:
    """More or fewer records than were written are found at the end of the file."""
    with pytest.raises(ShardError, match=f"shard: {problem}"):
        read(RecordFile(path, count), [count - 1])


def test_a_missing_file_is_named(path: Path) -> None:
    """A file that is not there is one clear error."""
    path.unlink()

    with pytest.raises(ShardError, match="shard is missing"):
        read(RecordFile(path, 4), [0])
    with pytest.raises(ShardError, match="shard is missing"):
        RecordFile(path, 4).read_ahead(0, 4)


class Broken(io.BytesIO):
    """A file on a disk that cannot be read any more."""

    def readinto(self, buffer: object) -> int:
        """Fails as a damaged disk does."""
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("known", [False, True])
def test_a_broken_disk_is_an_error_that_names_the_file(known: bool, path: Path) -> None:
    """Whether headers or data cannot be read, the error is ours."""
    records = RecordFile(path, 4)
    if known:
        read(records, [3])
    with pytest.raises(ShardError, match=r"shard cannot be read .*Input/output error"):
        records.read(Broken(), 0, np.zeros(1_000, np.uint8))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("first", "last"), [(0, 4), (1, 3), (2, 2)])
def test_reading_ahead_changes_nothing(
    first: int, last: int, known: bool, path: Path
) -> None:
    """It is advice, given before or after the records are found."""
    records = RecordFile(path, 4)
    if known:
        read(records, [3])
    records.read_ahead(first, last)

    assert RECORDS == read(records, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("nbytes", "problem"), [(2**20, "is truncated"), (2**27, "has a damaged length")]
)
def test_a_huge_length_is_refused(nbytes: int, problem: str, tmp_path: Path) -> None:
    """A length with a right checksum must lie in the file, and be one of ours."""
    length = nbytes.to_bytes(8, "little")
    path = tmp_path / "shard"
    with path.open("wb") as file:
        file.write(length + masked_crc(length).to_bytes(4, "little") + b"data")
        file.truncate(2**28 if nbytes > 2**26 else 2**19)

    with pytest.raises(ShardError, match=problem):
        read(RecordFile(path, 1), [0])


def test_framed_records_are_those_of_tensorflow(
    tmp_path: Path, small_file: Path
) -> None:
    """The file is byte for byte the one that TensorFlow's own writer makes."""
    theirs = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for data in SMALL:
            writer.write(data)

    assert theirs.read_bytes() == small_file.read_bytes()
    assert SMALL == list(read_records(theirs, 4))


def test_a_file_of_no_records_is_empty(tmp_path: Path) -> None:
    """A file without bytes is a valid file without records."""
    path = tmp_path / "empty"
    path.touch()

    assert [] == list(read_records(path, 0))


def test_every_truncation_is_found(small_file: Path) -> None:
    """A file cut anywhere is an error that names it."""
    content = small_file.read_bytes()
    for nbytes in range(len(content)):
        small_file.write_bytes(content[:nbytes])
        with pytest.raises(ShardError, match=r"small\.tfrecord: .* is truncated"):
            list(read_records(small_file, 4))


def test_every_flipped_bit_is_found(small_file: Path) -> None:
    """One wrong bit anywhere in a file, lengths and checksums too, is an error."""
    content = small_file.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        small_file.write_bytes(damaged)
        with pytest.raises(ShardError, match=r"record \d has a"):
            list(read_records(small_file, 4))


def test_records_before_the_damage_are_read(small_file: Path) -> None:
    """The error comes when the damaged record does, and gives its number."""
    content = bytearray(small_file.read_bytes())
    content[37 + 12 + 5] ^= 1
    small_file.write_bytes(content)
    records = read_records(small_file, 4)

    assert SMALL[:2] == [next(records), next(records)]
    with pytest.raises(ShardError, match="record 2 has a wrong checksum"):
        next(records)


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0xA282EAD8), (bytes(8), 0x07980329), (b"123456789", 0xC78AB0E5)],
)
def test_checksums_are_masked_crc_32c(data: bytes, crc: int) -> None:
    """The checksum is the CRC-32C, turned by 15 bits, plus a constant."""
    assert crc == masked_crc(data)

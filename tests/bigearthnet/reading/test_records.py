from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bigearthnet.encoding.tfrecord import masked_crc
from bigearthnet.errors import ShardError
from bigearthnet.reading.records import RecordReader

# Data of the records of each shard; lengths differ, one is empty.
SHARDS = ([b"a" * 700, b"", b"second" * 9], [b"third"], [b"x" * 33, b"y" * 34])
RECORDS = [record for shard in SHARDS for record in shard]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Shards written by TensorFlow."""
    made = []
    for number, records in enumerate(SHARDS):
        made.append(tmp_path / f"shard-{number}")
        with tf.io.TFRecordWriter(str(made[-1])) as writer:
            for record in records:
                writer.write(record)
    return made


def test_records_come_in_the_order_that_is_asked_for(paths: list[Path]) -> None:
    """Any order over all shards, and repetitions, give what was written."""
    reader = RecordReader(paths)
    order = [5, 0, 3, 1, 1, 4, 2]

    assert len(RECORDS) == len(reader)
    assert [RECORDS[i] for i in order] == reader.gather(order)
    assert [] == reader.gather(np.empty(0, np.int64))


def test_an_empty_shard_has_no_records(paths: list[Path], tmp_path: Path) -> None:
    """A shard of no bytes between others shifts nothing."""
    empty = tmp_path / "empty"
    empty.touch()
    reader = RecordReader([paths[0], empty, *paths[1:]])

    assert RECORDS == reader.gather(range(len(RECORDS)))


@pytest.mark.parametrize("index", [-1, 6])
def test_a_number_out_of_range_is_an_error(paths: list[Path], index: int) -> None:
    """Numbers below 0 or beyond the last record are refused."""
    with pytest.raises(IndexError, match=f"no record {index}: expected 0 to 5"):
        RecordReader(paths).gather([0, index])


@pytest.mark.parametrize("flipped", [12, 100, 712])
def test_a_changed_byte_names_file_and_record(paths: list[Path], flipped: int) -> None:
    """A flipped bit in data or checksum is found when the record is read."""
    content = bytearray(paths[0].read_bytes())
    content[flipped] ^= 4
    paths[0].write_bytes(content)
    reader = RecordReader(paths)

    assert RECORDS[1:] == reader.gather(range(1, 6))
    with pytest.raises(ShardError, match=r"shard-0: the record at byte 0 has a wrong"):
        reader.gather([1, 0])


@pytest.mark.parametrize("flipped", [0, 7, 9, 716, 726])
def test_a_changed_length_is_found_at_once(paths: list[Path], flipped: int) -> None:
    """A flipped bit in a length or its checksum is found when the shard is opened."""
    content = bytearray(paths[0].read_bytes())
    content[flipped] ^= 1
    paths[0].write_bytes(content)

    with pytest.raises(ShardError, match=r"shard-0: .* has a damaged length"):
        RecordReader(paths)


@pytest.mark.parametrize("cut", [1, 5, 60, 66])
def test_a_truncated_shard_is_found_at_once(paths: list[Path], cut: int) -> None:
    """A shard that ends within a record is found when it is opened."""
    paths[0].write_bytes(paths[0].read_bytes()[:-cut])

    with pytest.raises(ShardError, match=r"shard-0: the record at byte 732 is trunc"):
        RecordReader(paths)


def test_a_missing_shard_is_named(paths: list[Path]) -> None:
    """A shard that is not there is one clear error."""
    paths[1].unlink()

    with pytest.raises(ShardError, match="shard-1 is missing"):
        RecordReader(paths)


def test_a_huge_length_is_refused(tmp_path: Path) -> None:
    """A length with a right checksum that leads out of the file is a truncation."""
    length = (2**40).to_bytes(8, "little")
    path = tmp_path / "shard"
    path.write_bytes(length + masked_crc(length).to_bytes(4, "little") + b"data")

    with pytest.raises(ShardError, match="is truncated"):
        RecordReader([path])

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bigearthnet.errors import OptionError, ShardError
from bigearthnet.reading import tfrecord
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2_COLUMNS = get_config("s2", RELEASES).columns


Arrays = dict[str, np.ndarray]
# Records of each file, see `conftest.BOUNDS`, and the first of each.
COUNTS = (10, 10, 5)
ALL = ("patch_id", "bands_20m", "coordinates/uly", "multi_hot_43", "preview", "labels")


def open_files(paths: Sequence[Path], counts: Sequence[int] = COUNTS) -> TFRecordReader:
    """Opens files of S2_COLUMNS."""
    return TFRecordReader(paths, counts, S2_COLUMNS)


def read_rows(reader: TFRecordReader, batch_size: int = 4, **options: Any) -> list[int]:
    """Returns the numbers of the rows of an epoch."""
    batches = reader.batches(batch_size, ["patch_id"], **options)
    return [int(name[-2:]) for batch in batches for name in batch["patch_id"]]


def assert_rows(expected: Arrays, rows: Sequence[int], found: Arrays) -> None:
    """Checks values and types of every column of a batch."""
    for name, values in found.items():
        assert expected[name].dtype == values.dtype
        if name.startswith("labels"):
            for row, ids in zip(rows, values, strict=True):
                assert ids.dtype == np.int64
                np.testing.assert_array_equal(expected[name][row], ids)
        else:
            np.testing.assert_array_equal(expected[name][list(rows)], values)


def test_all_features_equal_the_rows(
    record_files: list[Path], expected: Arrays
) -> None:
    """Without a choice, a batch has every feature as TensorFlow wrote it."""
    reader = open_files(record_files)
    (batch,) = reader.batches(25)

    assert 25 == len(reader)
    assert list(expected) == list(batch)
    assert_rows(expected, range(25), batch)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 11, 25, 100])
def test_batches_cut_the_rows(
    batch_size: int, record_files: list[Path], expected: Arrays
) -> None:
    """Batches follow one another over files; earlier ones do not change."""
    batches = list(open_files(record_files).batches(batch_size, ALL))
    starts = range(0, 25, batch_size)

    for start, batch in zip(starts, batches, strict=True):
        assert list(ALL) == list(batch)
        assert_rows(expected, range(start, min(start + batch_size, 25)), batch)


@pytest.mark.parametrize("numbers", [[24, 0, 9, 10, 9, 3], [19], []])
def test_rows_come_in_the_order_that_is_asked_for(
    numbers: list[int], record_files: list[Path], expected: Arrays
) -> None:
    """Any order over all files, and repetitions, give what was written."""
    assert_rows(expected, numbers, open_files(record_files).gather(numbers))


@pytest.mark.parametrize(("shards", "pool"), [(1, 1), (2, 7), (3, 1_000)])
def test_shuffled_batches_are_complete_and_repeatable(
    shards: int,
    pool: int,
    record_files: list[Path],
    expected: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each epoch and seed has its own order of all patches, in pools of any size."""
    monkeypatch.setattr(tfrecord, "_SHARDS_MIXED", shards)
    monkeypatch.setattr(tfrecord, "_POOL_PATCHES", pool)
    reader = open_files(record_files)
    orders = [
        read_rows(reader, shuffle=True, seed=seed, epoch=epoch)
        for seed, epoch in ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (None, 0))
    ]
    batches = list(reader.batches(7, ALL, shuffle=True, seed=0, epoch=1))

    assert [list(range(25))] * 6 == [sorted(order) for order in orders]
    assert 3 <= len({tuple(order) for order in orders})
    assert orders[1] == read_rows(reader, 9, shuffle=True, seed=0, epoch=1)
    assert [7, 7, 7, 4] == [len(batch["patch_id"]) for batch in batches]
    for batch, start in zip(batches, itertools.count(step=7)):
        assert_rows(expected, orders[1][start : start + 7], batch)


def test_a_pool_has_the_next_records_of_several_files(
    record_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files are read side by side, five records of each at a time."""
    monkeypatch.setattr(tfrecord, "_SHARDS_MIXED", 2)
    monkeypatch.setattr(tfrecord, "_POOL_PATCHES", 10)
    reader = open_files(record_files)

    for epoch in range(6):
        rows = read_rows(reader, shuffle=True, seed=0, epoch=epoch)
        starts = sorted(row // 5 * 5 for row in rows[:10])
        assert len(set(starts)) == 2
        assert set(starts) < {0, 10, 20}


def test_whole_pools_are_mixed(record_files: list[Path]) -> None:
    """Within the one pool of small stores, any patch can come first."""
    reader = open_files(record_files)
    first = {
        read_rows(reader, 25, shuffle=True, seed=0, epoch=epoch)[0]
        for epoch in range(60)
    }

    assert len(first) > 15


def test_only_the_features_asked_for_come(record_files: list[Path]) -> None:
    """Features come in the order asked; one that is not there is an error."""
    reader = open_files(record_files)
    names = ["epsg", "coordinates/lrx", "bands_60m", "coordinates/ulx"]

    assert names == list(next(reader.batches(2, names)))
    with pytest.raises(OptionError, match=r"no column 'B10': .*bands_10m"):
        next(reader.batches(2, ["B10"]))
    with pytest.raises(OptionError, match="at least 1, got 0"):
        next(reader.batches(0))


def test_several_threads_read_at_once(
    record_files: list[Path], expected: Arrays
) -> None:
    """Threads that find the same records for the first time get their own rows."""
    orders = [np.random.default_rng(n).permutation(25).tolist() for n in range(8)]
    for _ in range(5):
        reader = open_files(record_files)
        with ThreadPoolExecutor(len(orders)) as threads:
            batches = [threads.submit(reader.gather, rows, ALL) for rows in orders]
        for rows, batch in zip(orders, batches, strict=True):
            assert_rows(expected, rows, batch.result())


def test_a_store_is_read_without_tensorflow(all_stores: Path) -> None:
    """The store of a data directory is read in a process that has no TensorFlow."""
    program = f"""
        import sys

        sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None
        from bigearthnet.reading.tfrecord import TFRecordReader

        reader = TFRecordReader.open("train", {str(all_stores)!r})
        for batch in reader.batches(2, ["patch_id"]):
            print(*batch["patch_id"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = ArrowReader.open("train", all_stores)
    (batch,) = expected.batches(len(expected), ["patch_id"])

    assert batch["patch_id"].tolist() == done.stdout.split()


def test_a_reader_can_go_to_another_process(
    record_files: list[Path], expected: Arrays
) -> None:
    """A pickled reader reads the same files."""
    reader = open_files(record_files)
    reader.gather([0])

    assert_rows(expected, [20, 3], pickle.loads(pickle.dumps(reader)).gather([20, 3]))


@pytest.mark.parametrize("index", [-1, 25])
def test_a_number_out_of_range_is_an_error(
    index: int, record_files: list[Path]
) -> None:
    """Numbers below 0 or beyond the last patch are refused."""
    with pytest.raises(IndexError, match=f"no patch {index}: expected 0 to 24"):
        open_files(record_files).gather([0, index])


def test_stores_without_patches_have_no_batches(tmp_path: Path) -> None:
    """No file, and a file of no bytes, hold nothing."""
    (tmp_path / "empty").touch()

    for reader in (open_files([], []), open_files([tmp_path / "empty"], [0])):
        assert 0 == len(reader)
        assert [] == list(reader.batches(4))
        assert [] == list(reader.batches(4, shuffle=True, seed=0))


def test_damage_names_file_and_record(record_files: list[Path], tmp_path: Path) -> None:
    """A flipped bit is found when the record is read, and only then."""
    content = bytearray(record_files[1].read_bytes())
    content[-50_000] ^= 4
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    reader = open_files([record_files[0], damaged, record_files[2]])

    assert 24 == len(reader.gather([*range(19), *range(20, 25)])["epsg"])
    with pytest.raises(ShardError, match=r"damaged: record 9 has a wrong checksum"):
        list(reader.batches(4))


def write_changed(path: Path, change: Callable[[Any], None]) -> TFRecordReader:
    """Writes a record of three features, the content of which is changed."""
    example = tf.train.Example()
    features = example.features.feature
    features["multi_hot_19"].bytes_list.value.append(bytes(19))
    features["patch_id"].bytes_list.value.append(b"a patch")
    features["epsg"].int64_list.value.append(32_633)
    change(features)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    return open_files([path], [1])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda f: f.pop("epsg"), "has no feature 'epsg'"),
        (
            lambda f: f["multi_hot_19"].bytes_list.value.__setitem__(0, bytes(18)),
            "has 18 bytes of multi_hot_19, not 19",
        ),
        (
            lambda f: f["patch_id"].bytes_list.value.__setitem__(0, b"\xff"),
            "has a patch_id that is no UTF-8",
        ),
        (
            lambda f: f["epsg"].int64_list.value.append(1),
            r"has \[32633, 1\] of epsg, not one int32",
        ),
        (
            lambda f: f["epsg"].int64_list.value.__setitem__(0, 2**31),
            r"has \[2147483648\] of epsg, not one int32",
        ),
        (lambda f: f["epsg"].bytes_list.value.append(b""), "is not a valid example"),
    ],
)
def test_an_example_of_another_schema_is_refused(
    change: Callable[[Any], None], problem: str, tmp_path: Path
) -> None:
    """A record with a right checksum and a wrong content is a ShardError."""
    columns = ["multi_hot_19", "patch_id", "epsg"]
    good = write_changed(tmp_path / "good", lambda features: None)

    assert 32_633 == good.gather([0], columns)["epsg"][0]
    with pytest.raises(ShardError, match=rf"bad: record 0 {problem}"):
        write_changed(tmp_path / "bad", change).gather([0], columns)

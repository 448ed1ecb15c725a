from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bigearthnet.huggingface import ArrowReader

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def reader(arrow_files: list[Path]) -> ArrowReader:
    """25 rows in three files of several record batches."""
    return ArrowReader.map_files(arrow_files)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_can_fill_the_same_arrays(shuffle: bool, reader: ArrowReader) -> None:
    """With reuse, each batch holds the right patches until the next one is made."""
    columns = ["bands_20m", "multi_hot_43", "epsg", "patch_id", "labels"]
    fresh = reader.batches(7, columns, shuffle=shuffle, seed=1)
    reused = reader.batches(7, columns, shuffle=shuffle, seed=1, reuse=True)
    owners = []
    for one, other in zip(fresh, reused, strict=True):
        for name in ("bands_20m", "multi_hot_43", "epsg", "patch_id"):
            np.testing.assert_array_equal(one[name], other[name])
        assert [v.tolist() for v in one["labels"]] == [
            v.tolist() for v in other["labels"]
        ]
        owners.append(other["bands_20m"])

    assert all(np.shares_memory(owners[0], owner) for owner in owners[1:])
    assert [7, 7, 7, 4] == [len(owner) for owner in owners]


def test_gather_fills_what_it_is_given(reader: ArrowReader, expected: Arrays) -> None:
    """Arrays may be larger than the batch; columns without one are new."""
    buffers = reader.make_buffers(5, ["bands_60m", "patch_id", "multi_hot_19"])
    batch = reader.gather([3, 1], ["bands_60m", "patch_id"], buffers)

    assert {"bands_60m", "multi_hot_19"} == set(buffers)
    assert (5, 2, 20, 20) == buffers["bands_60m"].shape
    assert np.shares_memory(batch["bands_60m"], buffers["bands_60m"])
    for name in ("bands_60m", "patch_id"):
        np.testing.assert_array_equal(expected[name][[3, 1]], batch[name])


def test_new_arrays_can_be_taken_over_by_tensorflow(reader: ArrowReader) -> None:
    """The address of what is copied is a multiple of 64, so nobody copies again."""
    batches = [
        reader.gather([1, 2, 3], ["bands_10m"]),
        *reader.batches(7, ["bands_10m"]),
    ]

    assert {0} == {batch["bands_10m"].ctypes.data % 64 for batch in batches}

"""Single bands, which all readers offer beside the stored groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bigearthnet.errors import OptionError
from bigearthnet.huggingface import to_tf
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.batches import choose_columns, find_column
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.reading.reader import Reader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2_COLUMNS = get_config("s2", RELEASES).columns


Arrays = dict[str, np.ndarray]
# Band → group and index, of all resolutions, first and last of a group.
BANDS = {
    "B04": ("bands_10m", 2),
    "B02": ("bands_10m", 0),
    "B12": ("bands_20m", 5),
    "B01": ("bands_60m", 0),
    "B09": ("bands_60m", 1),
}


@pytest.fixture(params=["arrow", "parquet", "tfrecord"])
def reader(request: Any) -> Reader:
    """A reader of 25 rows, of each format."""
    openers: dict[str, tuple[str, Callable[[list[Path]], Reader]]] = {
        "arrow": (
            "arrow_files",
            lambda paths: ArrowReader.map_files(paths, S2_COLUMNS),
        ),
        "parquet": ("parquet_files", lambda paths: ParquetReader(paths, S2_COLUMNS)),
        "tfrecord": (
            "record_files",
            lambda paths: TFRecordReader(paths, (10, 10, 5), S2_COLUMNS),
        ),
    }
    fixture, opener = openers[request.param]
    return opener(request.getfixturevalue(fixture))


@pytest.mark.parametrize("batch_size", [3, 25])
def test_bands_are_those_of_their_group(
    batch_size: int, reader: Reader, expected: Arrays
) -> None:
    """Bands come in the order asked, beside a whole group that holds some of them."""
    columns = ["B04", "bands_60m", *list(BANDS)[1:], "epsg"]
    first = 0
    for batch in reader.batches(batch_size, columns):
        assert columns == list(batch)
        rows = slice(first, first + len(batch["epsg"]))
        for name, (group, index) in BANDS.items():
            assert np.uint16 == batch[name].dtype
            np.testing.assert_array_equal(expected[group][rows, index], batch[name])
        np.testing.assert_array_equal(expected["bands_60m"][rows], batch["bands_60m"])
        first = rows.stop

    assert 25 == first


def test_shuffled_bands_are_of_the_same_patches(
    reader: Reader, expected: Arrays
) -> None:
    """Bands and ids stay together."""
    for batch in reader.batches(7, ["B12", "patch_id"], shuffle=True, seed=1):
        rows = [int(name[-2:]) for name in batch["patch_id"]]
        np.testing.assert_array_equal(expected["bands_20m"][rows, 5], batch["B12"])


@pytest.mark.parametrize("batch_size", [4, 11])
def test_tensors_of_bands(batch_size: int, reader: Reader, expected: Arrays) -> None:
    """`to_tf` gives bands with their shapes, views of mapped memory or not."""
    dataset = to_tf(reader, batch_size, ["B09", "B04"])
    spec = {
        "B09": tf.TensorSpec((None, 20, 20), tf.uint16),
        "B04": tf.TensorSpec((None, 120, 120), tf.uint16),
    }
    batches = list(dataset.as_numpy_iterator())

    assert spec == dataset.element_spec
    for name in spec:
        group, index = BANDS[name]
        found = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(expected[group][:, index], found)


def test_bands_are_no_part_of_all_columns(reader: Reader) -> None:
    """Without a choice, the stored columns come."""
    (batch,) = reader.batches(25)

    assert [feature.name for feature in S2_COLUMNS] == list(batch)


def test_a_band_needs_its_group() -> None:
    """Where the group is not stored, there is no band of it."""
    features = {f.name: f for f in S2_COLUMNS if f.name != "bands_20m"}

    assert (120, 120) == find_column(features, "B08").feature.shape
    with pytest.raises(OptionError, match=r"no column 'B8A': .*or of the bands B02"):
        find_column(features, "B8A")


def test_columns_and_bands_are_named_in_any_case() -> None:
    """What comes has the stored name, however it was asked for."""
    features = {feature.name: feature for feature in S2_COLUMNS}

    names = choose_columns(features, ["b8a", "BANDS_10M", "Patch_ID", "B04"])
    assert ["B8A", "bands_10m", "patch_id", "B04"] == names

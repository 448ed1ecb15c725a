from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.formats.columns import TableBuilder
from bigearthnet.loading.to_tf import to_tf
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example

S2_COLUMNS = get_config("s2", RELEASES).columns

BANDS = ["bands_10m", "bands_20m", "bands_60m"]
ROWS = 18


def make_table(rows: list[Example]) -> Any:
    """Makes a table of rows of S2_COLUMNS."""
    builder = TableBuilder(S2_COLUMNS)
    for row in rows:
        builder.add(row)
    return builder.take()


@pytest.fixture(scope="module")
def rows(fake_rows: list[Example]) -> list[Example]:
    """18 rows whose epsg tells them apart."""
    return [{**fake_rows[number % 6], "epsg": number} for number in range(ROWS)]


@pytest.fixture(scope="module")
def reader(rows: list[Example]) -> ArrowReader:
    """The 18 rows in record batches of 10 and 8."""
    tables = [make_table(rows[:10]), make_table(rows[10:])]
    return ArrowReader(pa.concat_tables(tables), S2_COLUMNS)


def test_to_tf_has_the_stored_types(reader: ArrowReader) -> None:
    """Without a choice, all columns come that have one shape, in their own types."""
    import tensorflow as tf

    text = tf.TensorSpec((None,), tf.string)
    number = tf.TensorSpec((None,), tf.int64)
    flag = tf.TensorSpec((None,), tf.bool)
    expected = {
        "patch_id": text,
        "preview": text,
        "multi_hot_43": tf.TensorSpec((None, 43), tf.uint8),
        "multi_hot_19": tf.TensorSpec((None, 19), tf.uint8),
        "s1_name": text,
        "tile_source": text,
        "acquisition_date": text,
        "projection": text,
        "epsg": tf.TensorSpec((None,), tf.int32),
        "coordinates/ulx": number,
        "coordinates/uly": number,
        "coordinates/lrx": number,
        "coordinates/lry": number,
        "country": number,
        "season": number,
        "contains_seasonal_snow": flag,
        "contains_cloud_or_shadow": flag,
        "bands_10m": tf.TensorSpec((None, 4, 120, 120), tf.uint16),
        "bands_20m": tf.TensorSpec((None, 6, 60, 60), tf.uint16),
        "bands_60m": tf.TensorSpec((None, 2, 20, 20), tf.uint16),
    }

    assert expected == to_tf(reader, 4).element_spec


def test_to_tf_gives_the_values_of_all_columns(
    reader: ArrowReader, rows: list[Example]
) -> None:
    """Batches in order hold every patch; the last one is short."""
    dataset = to_tf(reader, 7)
    batches = list(dataset.as_numpy_iterator())

    assert 3 == dataset.cardinality().numpy()
    assert [7, 7, 4] == [len(batch["epsg"]) for batch in batches]
    for name in batches[0]:
        found = np.concatenate([batch[name] for batch in batches])
        values: list[Any] = [row[name] for row in rows]
        if isinstance(values[0], str):
            values = [text.encode() for text in values]
        np.testing.assert_array_equal(values, list(found), err_msg=name)


def test_to_tf_takes_a_data_set(all_stores: Path) -> None:
    """A `datasets.Dataset`, selected too, is read like a reader."""
    import datasets

    stored = datasets.load_from_disk(str(all_stores / "arrow"))["train"]
    (expected,) = to_tf(ArrowReader.open("train", all_stores), 4).as_numpy_iterator()
    (found,) = to_tf(stored.select([2, 0]), 4, ["patch_id", *BANDS]).as_numpy_iterator()

    assert ["patch_id", *BANDS] == list(found)
    for name, values in found.items():
        np.testing.assert_array_equal(expected[name][[2, 0]], values)


def test_to_tf_takes_a_reader_of_parquet(all_stores: Path) -> None:
    """The reader of Parquet files gives the same batches as that of Arrow files."""
    files = sorted((all_stores / "huggingface").rglob("train-*.parquet"))
    names = ["patch_id", "season", *BANDS]
    arrow = to_tf(ArrowReader.open("train", all_stores), 3, names)
    found = list(to_tf(ParquetReader(files, S2_COLUMNS), 3, names).as_numpy_iterator())

    assert 2 == len(found)
    for expected, batch in zip(arrow.as_numpy_iterator(), found, strict=True):
        for name in names:
            np.testing.assert_array_equal(expected[name], batch[name])


@pytest.mark.parametrize(
    ("name", "instead"), [("labels", "multi_hot_43"), ("labels_19", "multi_hot_19")]
)
def test_to_tf_refuses_ragged_columns(
    name: str, instead: str, reader: ArrowReader
) -> None:
    """The error says which column to ask for instead."""
    with pytest.raises(OptionError, match=f"{name} has another length.*{instead} inst"):
        to_tf(reader, 4, ["patch_id", name])


def test_to_tf_refuses_options_without_meaning(reader: ArrowReader) -> None:
    """Errors come at once, not when the first batch is read."""
    with pytest.raises(OptionError, match="no column 'B10'"):
        to_tf(reader, 4, ["B10"])
    with pytest.raises(OptionError, match="at least 1, got 0"):
        to_tf(reader, 0)


@pytest.mark.parametrize("seed", [0, 7, None])
def test_to_tf_shuffles_anew_in_each_epoch(
    seed: int | None, reader: ArrowReader
) -> None:
    """Every epoch has all patches in an order of its own, repeated by a seed."""

    def read() -> list[list[int]]:
        dataset = to_tf(reader, 4, ["epsg", "country"], shuffle=True, seed=seed)
        return [
            [number for batch in dataset for number in batch["epsg"].numpy().tolist()]
            for _ in range(3)
        ]

    epochs = read()

    assert [list(range(ROWS))] * 3 == [sorted(epoch) for epoch in epochs]
    assert 4 == len({tuple(order) for order in [range(ROWS), *epochs]})
    assert (seed is not None) == (epochs == read())


@pytest.mark.parametrize("kind", ["DatasetDict", "IterableDataset"])
def test_anything_but_a_split_is_refused(kind: str, tmp_path: Path) -> None:
    """All splits at once, or a stream, are an error that says what to do."""
    import datasets

    table = datasets.Dataset.from_dict({"patch_id": ["a"]})
    made = {
        "DatasetDict": datasets.DatasetDict({"train": table}),
        "IterableDataset": table.to_iterable_dataset(),
    }[kind]

    with pytest.raises(OptionError, match=rf"got {kind}\. Choose a split"):
        to_tf(made, 2)


def test_a_negative_seed_is_refused(reader: ArrowReader) -> None:
    """A seed that numpy would not take is an error before anything is read."""
    with pytest.raises(OptionError, match="seed: expected 0 or more, or None, got -1"):
        to_tf(reader, 2, shuffle=True, seed=-1)

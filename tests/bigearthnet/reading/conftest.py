"""Tables of fake patches, in several files of several groups."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bigearthnet.formats import columns
from bigearthnet.formats.columns import TableBuilder
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example

S2_COLUMNS = get_config("s2", RELEASES).columns


ROWS = 25
# The first row of each file, and the end.
BOUNDS = (0, 10, 20, 25)
ROWS_PER_GROUP = 4


@pytest.fixture(scope="session")
def rows(fake_rows: list[Example]) -> list[Example]:
    """25 rows of S2_COLUMNS; all pixels, ids, labels and coordinates differ."""
    made = []
    for number in range(ROWS):
        row: dict[str, Any] = dict(fake_rows[number % len(fake_rows)])
        for name in ("bands_10m", "bands_20m", "bands_60m"):
            row[name] = row[name] + np.uint16(number)
        row["patch_id"] = f"patch-{number:02d}"
        row["preview"] = f"picture {number}".encode() + bytes(number % 3)
        row["coordinates/uly"] = 6_000_000 + number
        row["labels"] = tuple(range(number % 4))
        row["multi_hot_43"] = np.eye(43, dtype=np.uint8)[number]
        row["contains_seasonal_snow"] = number % 3 == 0
        made.append(row)
    return made


@pytest.fixture(scope="session")
def expected(rows: list[Example]) -> dict[str, np.ndarray]:
    """Column → array of all rows, as a reader hands them out."""
    arrays: dict[str, np.ndarray] = {}
    for feature in S2_COLUMNS:
        values: list[Any] = [row[feature.name] for row in rows]
        if feature.kind in ("text", "image", "classes"):
            arrays[feature.name] = np.empty(ROWS, object)
            arrays[feature.name][:] = [
                np.array(value, np.int64) if feature.kind == "classes" else value
                for value in values
            ]
        else:
            arrays[feature.name] = np.array(values, feature.dtype)
    return arrays


@pytest.fixture(scope="session")
def tables(rows: list[Example]) -> list[list[pa.Table]]:
    """The tables of each of three files, of 4, 4, 2; 4, 4, 2; and 4, 1 rows."""
    files = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(columns, "ROWS_PER_GROUP", ROWS_PER_GROUP)
        for start, stop in itertools.pairwise(BOUNDS):
            files.append([])
            for first in range(start, stop, ROWS_PER_GROUP):
                builder = TableBuilder(S2_COLUMNS)
                for row in rows[first : min(first + ROWS_PER_GROUP, stop)]:
                    builder.add(row)
                files[-1].append(builder.take())
    return files


@pytest.fixture(scope="session")
def arrow_files(
    tables: list[list[pa.Table]], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """The tables as Arrow streams, a record batch each."""
    folder, paths = tmp_path_factory.mktemp("arrow"), []
    for number, file in enumerate(tables):
        paths.append(folder / f"{number}.arrow")
        with pa.ipc.new_stream(str(paths[-1]), file[0].schema) as writer:
            for table in file:
                writer.write_table(table)
    return paths


def make_proto(row: Example) -> bytes:
    """Serializes a row with TensorFlow, its features in no order of ours."""
    import tensorflow as tf

    features = {}
    for name, value in reversed(row.items()):
        if isinstance(value, (np.ndarray, str, bytes)):
            content = value.tobytes() if isinstance(value, np.ndarray) else value
            content = content.encode() if isinstance(content, str) else content
            values = tf.train.BytesList(value=[content])
            features[name] = tf.train.Feature(bytes_list=values)
        else:
            numbers = value if isinstance(value, tuple) else [int(value)]
            integers = tf.train.Int64List(value=numbers)
            features[name] = tf.train.Feature(int64_list=integers)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


@pytest.fixture(scope="session")
def record_files(
    rows: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """The rows as TFRecord files that TensorFlow wrote."""
    import tensorflow as tf

    folder, paths = tmp_path_factory.mktemp("tfrecord"), []
    for number, (start, stop) in enumerate(itertools.pairwise(BOUNDS)):
        paths.append(folder / f"{number}.tfrecord")
        with tf.io.TFRecordWriter(str(paths[-1])) as writer:
            for row in rows[start:stop]:
                writer.write(make_proto(row))
    return paths


@pytest.fixture(scope="session")
def parquet_files(
    tables: list[list[pa.Table]], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """The tables as Parquet files, a row group each."""
    import pyarrow.parquet as pq

    folder, paths = tmp_path_factory.mktemp("parquet"), []
    for number, file in enumerate(tables):
        paths.append(folder / f"{number}.parquet")
        with pq.ParquetWriter(paths[-1], file[0].schema) as writer:
            for table in file:
                writer.write_table(table)
    return paths

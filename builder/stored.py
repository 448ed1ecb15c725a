"""Reads stored examples back, for checks: with TensorFlow's parser, not our encoder.

An example is read into the form of `schema.examples`, whatever its format, so that it
can be compared with what a source or another store says, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError, ShardError
from bigearthnet.formats.tfrecord.framing import RecordFile, read_records
from bigearthnet.reading import open_shards
from bigearthnet.reading.batches import Batch, Reader
from bigearthnet.schema.examples import Example, Value
from bigearthnet.schema.features import Feature
from bigearthnet.schema.rgb import decode_image
from bigearthnet.store import Store

# Rows of a table that are turned into examples at once.
_ROWS = 100


def read_examples(
    store: Store, file: Mapping[str, Any], schema: tuple[Feature, ...]
) -> Iterator[tuple[int, Example]]:
    """Yields every example of a shard.

    Args:
        store: The store.
        file: What the manifest says of the shard.
        schema: The stored features.

    Yields:
        Number of the record, or of the row, and the example.

    Raises:
        ShardError: If the file is damaged, or an example is not of the schema.
    """
    path = store.folder / file["name"]
    if not store.format.has_columns:
        for number, data in enumerate(read_records(path, file["rows"])):
            yield number, decode_example(data, schema, f"{path}, record {number}")
        return
    reader = _open_table(store, path, schema)
    first = 0
    for batch in reader.batches(_ROWS):
        rows = _make_examples(batch, schema)
        yield from enumerate(rows, start=first)
        first += len(rows)


def read_example(
    store: Store, file: Mapping[str, Any], number: int, schema: tuple[Feature, ...]
) -> Example:
    """Reads one example of a shard; see `read_examples`.

    What comes before it is looked at, too, which is slow: meant for what differs.

    Raises:
        ShardError: If the file is damaged, or the example is not of the schema.
    """
    path = store.folder / file["name"]
    if not store.format.has_columns:
        records = RecordFile(path, file["rows"])
        with records.open() as opened:
            data = records.read_data(opened, number)
        return decode_example(data, schema, f"{path}, record {number}")
    first = 0
    for batch in _open_table(store, path, schema).batches(_ROWS):
        rows = _make_examples(batch, schema)
        if number < first + len(rows):
            return rows[number - first]
        first += len(rows)
    raise ShardError(f"{path} has no row {number}. Build again.")


def _open_table(store: Store, path: Path, schema: tuple[Feature, ...]) -> Reader:
    reader = open_shards(store.format.name, [path], [], schema)
    missing = [f.name for f in schema if f.name not in reader.features]
    if missing:
        raise ShardError(f"{path} has no column {missing[0]}. Build again.")
    return reader


def _make_examples(batch: Batch, schema: tuple[Feature, ...]) -> list[Example]:
    columns: dict[str, Any] = {}
    for feature in schema:
        values = batch[feature.name]
        if feature.kind == "classes":
            columns[feature.name] = [tuple(ids.tolist()) for ids in values]
        elif feature.kind == "image":
            columns[feature.name] = [decode_image(content) for content in values]
        elif feature.kind == "tensor":
            columns[feature.name] = values
        else:
            columns[feature.name] = values.tolist()
    count = len(next(iter(columns.values())))
    return [{name: c[row] for name, c in columns.items()} for row in range(count)]


def decode_example(data: bytes, schema: tuple[Feature, ...], where: str) -> Example:
    """Decodes a serialized tf.train.Example.

    Args:
        data: The serialized example.
        schema: Its features.
        where: Where it stands, for error messages.

    Returns:
        Feature name → value; an image as pixels, shape (y, x, channel), uint8.

    Raises:
        ShardError: If it is not an example of the schema.
        OptionError: If TensorFlow is not installed.
    """
    try:
        import tensorflow as tf
        from google.protobuf.message import DecodeError
    except ImportError as cause:
        raise OptionError(
            f"checking records needs TensorFlow ({cause}): install the extra [tfds]."
        ) from None

    try:
        stored = tf.train.Example.FromString(data).features.feature
        if stored.keys() != {feature.name for feature in schema}:
            raise ValueError(f"features {sorted(stored)}")
        return {f.name: _decode_value(f, stored[f.name]) for f in schema}
    except (DecodeError, ValueError) as cause:
        raise ShardError(f"{where}: not an example of the schema: {cause}.") from None


def _decode_value(feature: Feature, stored: Any) -> Value:
    if feature.kind == "classes":
        return tuple(stored.int64_list.value)
    if feature.kind in ("integer", "class"):
        (number,) = stored.int64_list.value
        return int(number)
    if feature.kind == "bool":
        (number,) = stored.int64_list.value
        return bool(number)
    (content,) = stored.bytes_list.value
    if feature.kind == "text":
        return str(content, "utf-8")
    if feature.kind == "image":
        return decode_image(content)
    dtype = np.dtype(feature.dtype).newbyteorder("<")
    tensor: npt.NDArray[np.uint16] = np.frombuffer(content, dtype)
    return tensor.reshape(feature.shape)


def compare_examples(expected: Example, stored: Example) -> Iterator[str]:
    """Yields one line for each feature that differs.

    Args:
        expected: What the source says; an image may be PNG bytes.
        stored: What the store holds, as `decode_example` returns it.
    """
    for name, value in expected.items():
        found = stored[name]
        if isinstance(value, bytes):
            value = decode_image(value)
        if not isinstance(value, np.ndarray):
            if value != found:
                yield f"{name}: expected {value!r}, stored {found!r}"
            continue
        assert isinstance(found, np.ndarray)
        differs = np.argwhere(value != found)
        if len(differs):
            first = tuple(int(i) for i in differs[0])
            yield (
                f"{name}: {len(differs)} of {value.size} values differ, the first at "
                f"{first}: expected {value[first]}, stored {found[first]}"
            )

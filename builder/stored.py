"""Reads stored examples back, for checks.

An example is read into the form of `schema.examples`, whatever its format, so that it
can be compared with what a source or another store says, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from bigearthnet.errors import ShardError
from bigearthnet.reading import open_shards
from bigearthnet.reading.batches import Batch
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.reading.reader import Reader
from bigearthnet.schema.features import Feature
from bigearthnet.schema.rgb import decode_image
from bigearthnet.store import Store

# Name of each feature → its value, as in `schema.examples`, but pictures as pixels.
Stored: TypeAlias = "Mapping[str, Any]"

# Rows of a table that are turned into examples at once. Records come one by one, so
# that those before a damaged one are read.
_ROWS = 100


def read_examples(
    store: Store, file: Mapping[str, Any]
) -> Iterator[tuple[int, Stored]]:
    """Yields every example of a shard.

    Args:
        store: The store.
        file: What the manifest says of the shard.

    Yields:
        Number of the record, or of the row, and the example; images as pixels, shape
        (y, x, channel), uint8.

    Raises:
        ShardError: If the file is damaged, or an example is not of the schema.
    """
    first = 0
    rows = _ROWS if store.format.has_columns else 1
    for batch in _open(store, file).batches(rows):
        examples = _make_examples(batch, store.features)
        yield from enumerate(examples, start=first)
        first += len(examples)


def read_example(store: Store, file: Mapping[str, Any], number: int) -> Stored:
    """Reads one example of a shard; see `read_examples`.

    Of Parquet, what comes before it is read, too, which is slow: meant for what
    differs.

    Raises:
        ShardError: If the file is damaged, or the example is not of the schema.
    """
    reader = _open(store, file)
    if isinstance(reader, ParquetReader):
        return next(found for row, found in read_examples(store, file) if row == number)
    (example,) = _make_examples(reader.gather([number]), store.features)
    return example


def _open(store: Store, file: Mapping[str, Any]) -> Any:
    path = store.folder / file["name"]
    reader: Reader = open_shards(
        store.format.name, [path], [file["rows"]], store.features
    )
    missing = [f.name for f in store.features if f.name not in reader.features]
    if missing:
        raise ShardError(f"{path} has no column {missing[0]}. Build again.")
    return reader


def _make_examples(batch: Batch, schema: tuple[Feature, ...]) -> list[Stored]:
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


def compare_examples(expected: Stored, stored: Stored) -> Iterator[str]:
    """Yields one line for each feature that differs.

    Args:
        expected: What the source says; an image may be PNG bytes.
        stored: What the store holds, as `read_examples` yields it.
    """
    for name, value in expected.items():
        found = stored[name]
        if isinstance(value, bytes):
            value = decode_image(value)
        if not isinstance(value, np.ndarray):
            if value != found:
                yield f"{name}: expected {value!r}, stored {found!r}"
            continue
        differs = np.argwhere(value != found)
        if len(differs):
            first = tuple(int(i) for i in differs[0])
            yield (
                f"{name}: {len(differs)} of {value.size} values differ, the first at "
                f"{first}: expected {value[first]}, stored {found[first]}"
            )

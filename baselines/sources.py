"""Stores whose patches can be read by number, in any order, as tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError, StoreError
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.features import Feature
from bigearthnet.store import Store, open_store

if TYPE_CHECKING:
    import tensorflow as tf

PATCH_ID = "patch_id"
# Formats whose patches can be read in any order; Arrow copies least.
_FORMATS = ("arrow", "tfrecord")


def open_random_access(data_dir: Path, config: str) -> Store:
    """Opens a store whose patches can be read in any order.

    Raises:
        OptionError: If there is only a Parquet store.
        StoreError: If there is no store of the configuration.
    """
    chosen = get_config(config)
    for form in _FORMATS:
        with contextlib.suppress(StoreError):
            return open_store(data_dir, chosen, form)
    store = open_store(data_dir, chosen)
    raise OptionError(
        f"{store.folder} is {store.format.name}, which cannot be read in any order: "
        "build tfrecord or arrow, too: python -m builder.build --formats=tfrecord ..."
    )


class Source:
    """Reads stored features by row, within a graph of TensorFlow.

    Attributes:
        num_rows: Patches of the shards.
    """

    def __init__(
        self, reader: ArrowReader | TFRecordReader, features: Sequence[Feature]
    ) -> None:
        """Takes a reader; see `open_source`."""
        self._reader = reader
        self._features = {feature.name: feature for feature in features}
        self.num_rows = len(reader)

    def read(self, rows: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads some rows.

        Args:
            rows: Shape (batch,), int64.
            names: Names of features.

        Returns:
            Name → shape (batch, *feature.shape), of the stored type.
        """
        import tensorflow as tf

        def gather(chosen: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
            """Reads outside of the graph; arrays in the order of `names`."""
            return list(self._reader.gather(chosen, names).values())

        found = {name: self._features.get(name) for name in names}
        types = [tf.as_dtype(f.dtype) if f else tf.string for f in found.values()]
        tensors = tf.numpy_function(gather, [rows], types)
        for tensor, feature in zip(tensors, found.values(), strict=True):
            tensor.set_shape((None, *(feature.shape if feature else ())))
        return dict(zip(names, tensors, strict=True))


def open_source(
    store: Store, splits: Sequence[str], features: Sequence[Feature]
) -> Source:
    """Opens some splits of a store, one after the other.

    Args:
        store: The store; Arrow or TFRecord.
        splits: Names of the splits.
        features: The tensors that can be read; so can the patch id.

    Raises:
        OptionError: If the store has no such split.
        StoreError: If one of the shards is not there.
        ShardError: If one of them is damaged.
    """
    shards = [path for split in splits for path in store.shards(split)]
    if store.format.has_columns:
        return Source(ArrowReader.map_files(shards), features)
    rows = [count for split in splits for count in store.rows(split)]
    schema = get_config(store.name).schema
    return Source(TFRecordReader(shards, rows, schema), features)

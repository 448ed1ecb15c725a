"""Stores whose patches can be read by number, in any order, as tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bigearthnet.config import get_config
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.features import Feature
from bigearthnet.stores import Store, open_store

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


class Source(Protocol):
    """Reads stored features by row, within a graph of TensorFlow.

    Attributes:
        num_rows: Patches of the shards.
    """

    num_rows: int

    def read(self, rows: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads some rows.

        Args:
            rows: Shape (batch,), int64.
            names: Names of features.

        Returns:
            Name → shape (batch, *feature.shape), of the stored type.
        """


def open_source(
    store: Store, shards: Sequence[Path], features: Sequence[Feature]
) -> Source:
    """Opens the shards of a store.

    Args:
        store: The store; Arrow or TFRecord.
        shards: Its files, in order.
        features: The tensors that can be read; so can the patch id.

    Raises:
        ShardError: If a shard is damaged.
    """
    if store.format.has_columns:
        return ArrowSource(shards, features)
    return RecordSource(shards, features)


class ArrowSource:
    """Rows of mapped Arrow files; see `Source`."""

    def __init__(self, shards: Sequence[Path], features: Sequence[Feature]) -> None:
        from bigearthnet.reading.arrow import ArrowReader

        self._reader = ArrowReader.map_files(shards)
        self._features = {feature.name: feature for feature in features}
        self.num_rows = len(self._reader)

    def read(self, rows: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Copies rows of the mapped files."""
        import tensorflow as tf

        def gather(chosen: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
            return list(self._reader.gather(chosen, names).values())

        found = {name: self._features.get(name) for name in names}
        types = [tf.as_dtype(f.dtype) if f else tf.string for f in found.values()]
        tensors = tf.numpy_function(gather, [rows], types)
        for tensor, feature in zip(tensors, found.values(), strict=True):
            tensor.set_shape((None, *(feature.shape if feature else ())))
        return dict(zip(names, tensors, strict=True))


class RecordSource:
    """Records of TFRecord files; see `Source`."""

    def __init__(self, shards: Sequence[Path], features: Sequence[Feature]) -> None:
        from bigearthnet.reading.records import RecordReader

        self._reader = RecordReader(shards)
        self._features = features
        self.num_rows = len(self._reader)

    def read(self, rows: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads records, checks and parses them."""
        import tensorflow as tf

        from bigearthnet.loading.tfrecord import parse

        def gather(chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
            return np.array(self._reader.gather(chosen), dtype=object)

        records = tf.numpy_function(gather, [rows], tf.string)
        records.set_shape((None,))
        batch = parse(records, [f for f in self._features if f.name in names])
        if PATCH_ID in names:
            spec = {PATCH_ID: tf.io.FixedLenFeature((), tf.string)}
            batch |= tf.io.parse_example(records, spec)
        return batch

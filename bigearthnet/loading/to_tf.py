"""Batches of any reader as a `tf.data.Dataset`, with the stored types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bigearthnet.errors import OptionError
from bigearthnet.loading.ending import until_exit
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.batches import Batch, choose_columns, find_column
from bigearthnet.reading.reader import Reader
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import (
    check_batch_size,
    check_epoch,
    check_seed,
    check_tensorflow,
)

if TYPE_CHECKING:
    import datasets
    import tensorflow as tf


def to_tf(
    source: datasets.Dataset | Reader,
    batch_size: int,
    columns: str | Sequence[str] | None = None,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Makes a `tf.data.Dataset` of batches, with the stored types.

    Args:
        source: A reader, or a map-style data set of `datasets`.
        batch_size: Patches of a batch; the last one may be short.
        columns: Which columns, or bands by name; None for all stored ones that have one
            shape for all patches, which `labels` and `labels_19` do not have (use
            `multi_hot_43`, `multi_hot_19`).
        shuffle: Draws an order for each epoch, that is each iteration, as the reader's
            `batches` does: of all patches with Arrow, and with data sets of `datasets`.
        seed: Seed of these orders.
        first_epoch: Number of the first epoch.

    Returns:
        Dict of column → tensor of shape (batch, …), with uint16 bands of axes (batch,
        band, y, x), uint8 vectors, strings (texts, and pictures as files), int64 class
        ids, int32 and int64 numbers, bool flags.

    Raises:
        OptionError: If there is no such column, it is ragged, the batch size or seed
            has no meaning, or TensorFlow is not installed.
    """
    check_tensorflow("to_tf")
    import tensorflow as tf

    check_batch_size(batch_size)
    check_seed(seed)
    check_epoch(first_epoch)
    reader: Reader = (
        source if hasattr(source, "batches") else ArrowReader.from_dataset(source)
    )
    ragged = [name for name, f in reader.features.items() if f.kind == "classes"]
    if columns is None:
        columns = [name for name in reader.features if name not in ragged]
    chosen = choose_columns(reader.features, columns)
    for name in ragged:
        if name in chosen:
            shape = (len(reader.features[name].labels),)
            vectors = [f.name for f in reader.features.values() if f.shape == shape]
            raise OptionError(
                f"{name} has another length for each patch: ask for "
                f"{' or '.join(vectors) or 'a vector'} instead."
            )
    epochs = itertools.count(first_epoch)
    signature = {
        name: _tensor_spec(find_column(reader.features, name).feature)
        for name in chosen
    }

    def generate() -> Iterator[Batch]:
        epoch = next(epochs)
        return until_exit(
            reader.batches(batch_size, chosen, shuffle=shuffle, seed=seed, epoch=epoch)
        )

    made = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return made.apply(
        tf.data.experimental.assert_cardinality(-(-len(reader) // batch_size))
    )


def _tensor_spec(feature: Feature) -> tf.TensorSpec:
    import tensorflow as tf

    dtypes = {"text": tf.string, "image": tf.string, "class": tf.int64}
    dtype = dtypes.get(feature.kind, tf.as_dtype(feature.dtype))
    shape = feature.shape if feature.kind == "tensor" else ()
    return tf.TensorSpec((None, *shape), dtype)

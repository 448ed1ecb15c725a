"""TFRecord shards → batches of tensors, parsed batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigearthnet.features import Feature

if TYPE_CHECKING:
    import tensorflow as tf

# Shards that are read side by side when patches are shuffled.
_SHARDS_MIXED = 8
# Patches that are mixed with one another when they are shuffled: 160 MB of s2.
_SHUFFLE_BUFFER = 1_000
# Bytes that are read at once.
_READ_NBYTES = 2**23


def read_batches(
    paths: Sequence[Path],
    features: Sequence[Feature],
    batch_size: int,
    *,
    shuffle: bool,
    seed: int | None,
) -> tf.data.Dataset:
    """Makes a data set of batches of some features.

    Args:
        paths: The shards, in order.
        features: Tensors and images of the stored schema; no others are parsed.
        batch_size: Patches of a batch; the last one may be short.
        shuffle: Draws an order for each epoch: of the shards, and of 1,000 patches at a
            time, which come from eight shards.
        seed: Seed of these orders.

    Returns:
        Dict of feature name → tensor of shape (batch, *feature.shape).
    """
    import tensorflow as tf

    names = [str(path) for path in paths]
    if shuffle:
        files = tf.data.Dataset.from_tensor_slices(names)
        files = files.shuffle(len(names), seed=seed, reshuffle_each_iteration=True)
        records = files.interleave(
            lambda name: tf.data.TFRecordDataset(name, buffer_size=_READ_NBYTES),
            cycle_length=min(len(names), _SHARDS_MIXED),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        records = records.shuffle(
            _SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=True
        )
    else:
        records = tf.data.TFRecordDataset(names, buffer_size=_READ_NBYTES)
    if any(feature.kind == "image" for feature in features):
        # There is no operation that decodes several pictures at once.
        return records.map(
            lambda record: {
                name: tf.squeeze(values, 0)
                for name, values in parse(record[tf.newaxis], features).items()
            },
            num_parallel_calls=tf.data.AUTOTUNE,
        ).batch(batch_size)
    return records.batch(batch_size).map(
        lambda batch: parse(batch, features), num_parallel_calls=tf.data.AUTOTUNE
    )


def parse(records: tf.Tensor, features: Sequence[Feature]) -> dict[str, tf.Tensor]:
    """Parses serialized examples.

    Args:
        records: Serialized `tf.train.Example`s, shape (batch,), string; a single one
            where one of the features is an image.
        features: Which features to parse; tensors and images.

    Returns:
        Feature name → shape (batch, *feature.shape), of the feature's dtype.
    """
    import tensorflow as tf

    spec = {feature.name: tf.io.FixedLenFeature((), tf.string) for feature in features}
    parsed = tf.io.parse_example(records, spec)
    tensors = {}
    for feature in features:
        content = parsed[feature.name]
        if feature.kind == "image":
            tensor = tf.io.decode_png(content[0], feature.shape[-1])
        else:
            tensor = tf.io.decode_raw(content, tf.as_dtype(feature.dtype))
        tensors[feature.name] = tf.reshape(tensor, (-1, *feature.shape))
    return tensors

"""Peer: plain `tfds.load`, batches of tensors.

What the guides of TensorFlow Datasets teach: load, map to what the model takes, batch,
prefetch. The map leaves out the ragged labels, which cannot be batched. TFDS finds the
prepared data by its name, so none of our code is needed to read ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from clock import BATCH_SIZE, Clock, parse_arguments, report

_PASSES = 2
_RGB = ("B04", "B03", "B02")
_BANDS = (*_RGB, "B08", "B05", "B06", "B07", "B8A", "B11", "B12", "B01", "B09")
# Our layout has the bands of one resolution in one feature; in the first, B02, B03,
# B04 and B08.
_GROUPS = ("bands_10m", "bands_20m", "bands_60m")
_RGB_OF_GROUP = (2, 1, 0)


def choose_features(name: str, bands: str) -> tuple[str, ...]:
    """Returns the features of a data set (`<name>/<config>:<version>`) to deliver.

    Args:
        name: Name of the data set; config `all` is that of TFDS's built-in.
        bands: `all` or `rgb`.
    """
    one_each = "/all:" in name
    if bands == "rgb":
        return _RGB if one_each else _GROUPS[:1]
    return _BANDS if one_each else _GROUPS


def load_all(name: str, source: Path) -> Any:
    """Loads all bands, each a tensor of its own (or of its group), at native size."""
    features = choose_features(name, "all")
    dataset = tfds.load(
        name, data_dir=source, split="train", read_config=make_read_config()
    )
    return dataset.map(
        lambda example: {key: example[key] for key in features},
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def load_rgb(name: str, source: Path) -> Any:
    """Loads B04, B03, B02 as one tensor (band, y, x), and decodes no other feature."""
    features = choose_features(name, "rgb")
    dataset = tfds.load(
        name,
        data_dir=source,
        split="train",
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True)),
        read_config=make_read_config(),
    )
    if len(features) == 1:
        return dataset.map(
            lambda example: tf.gather(example[features[0]], _RGB_OF_GROUP),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    return dataset.map(
        lambda example: tf.stack([example[key] for key in features]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def make_read_config() -> Any:
    """Says that small data sets are not kept in memory, as large ones are not."""
    return tfds.ReadConfig(try_autocache=False)


def count_patches(dataset: Any) -> int:
    """Reads a data set of batches once, and counts the patches."""
    return sum(int(tf.nest.flatten(batch)[0].shape[0]) for batch in dataset)


def main() -> None:
    """Reads the train split; `--source` is the data directory of TFDS."""
    arguments, clock = parse_arguments(name=str, bands=str), Clock()
    load = {"all": load_all, "rgb": load_rgb}[arguments.bands]
    dataset = load(arguments.name, arguments.source)
    dataset = dataset.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    count_patches(dataset)
    with clock.running():
        patches = sum(count_patches(dataset) for _ in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

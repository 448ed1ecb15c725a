"""The limit of `bigearthnet.load`: read our TFRecord shards as raw records.

What tf.data does before anything is parsed: read, check the checksums, batch.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from clock import BATCH_SIZE, Clock, parse_arguments, report

from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store

_PASSES = 2


def count_records(dataset: Any) -> int:
    """Reads a data set of batches of records, and counts them."""
    return sum(int(batch.shape[0]) for batch in dataset)


def main() -> None:
    """Reads the train split; `--source` is the data directory."""
    arguments, clock = parse_arguments(), Clock()
    store = open_store(arguments.source, get_config("s2", RELEASES), "tfrecord")
    names = [str(path) for path in store.shards("train")]
    records = tf.data.TFRecordDataset(names, buffer_size=2**23)
    dataset = records.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    count_records(dataset)
    with clock.running():
        patches = sum(count_records(dataset) for _ in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from baselines.input_pipeline import Order
from baselines.settings import Settings
from benchmarks.feeding import open_data
from benchmarks.graph_input import GraphFeed


def test_a_graph_gives_the_batches_of_the_default(
    many_shards: Path, tmp_path: Path
) -> None:
    """What is measured side by side has the same bits in the same drawn order."""
    shutil.copytree(many_shards / "bigearthnet", tmp_path / "bigearthnet")
    splits = "train+validation+test+excluded"
    settings = Settings(train_split=splits, validation_split="none")
    data, order = open_data(tmp_path, settings, "tfrecord"), Order(4, seed=3, epoch=1)

    pairs = zip(data.batches(order), GraphFeed(data, 2).batches(order), strict=True)

    sizes = []
    for one, other in pairs:
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)
        assert [x.dtype for x in tf.nest.flatten(one)] == (
            [x.dtype for x in tf.nest.flatten(other)]
        )
        sizes.append(len(other[1]))
    assert [4, 2] == sizes

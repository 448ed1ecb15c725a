"""The devices of this host, batches that are cut for them, and empty parts of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Makes the batches of one `part`, as `PatchData.batches` does.
MakeBatches: TypeAlias = "Callable[..., tf.data.Dataset]"


def find_devices(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """Returns the names of the devices that a strategy computes on, of this host."""
    import tensorflow as tf

    if strategy.num_replicas_in_sync > 1:
        return tuple(strategy.extended.worker_devices)
    gpus = tf.config.list_logical_devices("GPU")
    return ((gpus or tf.config.list_logical_devices("CPU"))[0].name,)


def distribute(strategy: tf.distribute.Strategy, make_batches: MakeBatches) -> Any:
    """Returns batches, of which each device reads its own rows alone, and ahead.

    Args:
        strategy: Where to compute.
        make_batches: Takes `part` as `PatchData.batches` does: which of all devices of
            all hosts, and how many there are.
    """
    import tensorflow as tf

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        total = context.num_replicas_in_sync
        here = total // context.num_input_pipelines
        first = here * context.input_pipeline_id
        parts = [make_batches(part=(first + i, total)) for i in range(here)]
        if here == 1:
            return parts[0]
        # Elements go to the devices of a host in turn.
        turns = tf.data.Dataset.range(here).repeat()
        return tf.data.Dataset.choose_from_datasets(parts, turns)

    gpus = tf.config.list_logical_devices("GPU")
    if strategy.num_replicas_in_sync == 1 and gpus:
        # TensorFlow does this by itself for several devices alone.
        copy = tf.data.experimental.prefetch_to_device(gpus[0].name, 1)
        return make_batches(part=(0, 1)).apply(copy)
    # Every device has its part of every batch, if an empty one: no host has to ask the
    # others before each batch whether they have one.
    strategy.extended.experimental_enable_get_next_as_optional = False
    return strategy.distribute_datasets_from_function(make)


def call_model(
    model: keras.Model,
    inputs: Any,
    labels: tf.Tensor,
    *,
    several: bool,
    training: bool,
) -> tf.Tensor:
    """Returns the outputs of a batch, which may be empty if there are several devices.

    Kernels of convolutions take no empty batch: it gets a patch of zeros meanwhile.
    """
    import tensorflow as tf

    if not several:
        return model(inputs, training=training)
    count = tf.shape(labels)[0]
    missing = tf.maximum(1 - count, 0)

    def pad(values: tf.Tensor) -> tf.Tensor:
        return tf.pad(values, [(0, missing), *[(0, 0)] * (values.shape.rank - 1)])

    outputs = model(tf.nest.map_structure(pad, inputs), training=training)
    return outputs[:count]

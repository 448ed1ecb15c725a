"""Optimizers, schedules of the learning rate, and precision."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from baselines.cluster import join_cluster, read_cluster
from baselines.settings import Settings
from bigearthnet.errors import OptionError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Compute capability of the first GPUs with bfloat16 (NVIDIA Ampere).
_BFLOAT16_CAPABILITY = (8, 0)
# What weight decay leaves alone: it is for kernels.
_NO_DECAY = ("bias", "beta", "gamma")


def make_optimizers(
    settings: Settings, steps_per_epoch: int
) -> tuple[keras.Optimizer, keras.Optimizer | None]:
    """Makes the optimizer of the whole model, and that of frozen epochs, if any.

    Args:
        settings: See `make_optimizer`, like `steps_per_epoch`.
        steps_per_epoch: Steps of an epoch.

    Raises:
        OptionError: If the warm-up is longer than the training.
    """
    if not settings.frozen_epochs:
        return make_optimizer(settings, steps_per_epoch), None
    rest = max(1, settings.epochs - settings.frozen_epochs)
    whole = dataclasses.replace(settings, epochs=rest, frozen_epochs=0)
    frozen = dataclasses.replace(whole, schedule="constant", warmup_steps=0)
    return make_optimizer(whole, steps_per_epoch), make_optimizer(frozen, 1)


def make_optimizer(settings: Settings, steps_per_epoch: int) -> keras.Optimizer:
    """Makes an optimizer; its own count of steps drives the schedule.

    Args:
        settings: Optimizer, learning rate, schedule and precision.
        steps_per_epoch: Steps of an epoch.

    Raises:
        OptionError: If the warm-up is longer than the training.
    """
    from keras import optimizers

    rate = make_schedule(settings, settings.epochs * steps_per_epoch)
    made: keras.Optimizer
    if settings.optimizer == "adamw":
        made = optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        made.exclude_from_weight_decay(var_names=_NO_DECAY)
    elif settings.optimizer == "adam":
        made = optimizers.Adam(rate)
    else:
        made = optimizers.SGD(rate, momentum=settings.momentum)
    if choose_policy(settings) == "mixed_float16":
        return optimizers.LossScaleOptimizer(made)
    return made


def make_schedule(
    settings: Settings, total_steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate, or what makes it from the number of a step.

    Raises:
        OptionError: If the warm-up is longer than the training.
    """
    from keras.optimizers import schedules

    rate, warmup = settings.learning_rate, settings.warmup_steps
    if warmup and warmup >= total_steps:
        raise OptionError(
            f"warmup_steps: expected less than the {total_steps} steps of the "
            f"training, got {warmup}. Pass --warmup_steps=0, for example."
        )
    if settings.schedule == "cosine":
        decay = total_steps - warmup
        if not warmup:
            return schedules.CosineDecay(rate, decay)
        return schedules.CosineDecay(
            0.0, decay, warmup_target=rate, warmup_steps=warmup
        )
    return schedules.PolynomialDecay(0.0, warmup, rate) if warmup else rate


def choose_policy(settings: Settings) -> str:
    """Returns Keras's name of the precision: float32, mixed_bfloat16 or _float16."""
    if not settings.mixed_precision:
        return "float32"
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        if details.get("compute_capability", (0, 0)) < _BFLOAT16_CAPABILITY:
            return "mixed_float16"
    return "mixed_bfloat16"


def choose_strategy() -> tf.distribute.Strategy:
    """Returns the strategy of all hosts, of every visible GPU, or TensorFlow's default.

    Has to be called once, before TensorFlow computes anything; see `join_cluster`.

    Raises:
        OptionError: If `TF_CONFIG` is no cluster.
        ClusterError: If the other hosts cannot be reached.
    """
    import tensorflow as tf

    cluster = read_cluster()
    if cluster is not None:
        return join_cluster(cluster)
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def choose_jit(settings: Settings, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether XLA compiles the steps; on a CPU it makes them slower.

    Raises:
        OptionError: If it is asked for on several devices: it compiles no sums over
            them.
    """
    import tensorflow as tf

    several = strategy.num_replicas_in_sync > 1
    if settings.jit_compile == "on" and several:
        raise OptionError(
            "jit_compile: expected auto or off on several devices, got on."
        )
    if settings.jit_compile == "auto":
        return not several and bool(tf.config.list_logical_devices("GPU"))
    return settings.jit_compile == "on"

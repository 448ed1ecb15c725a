"""One fully connected and one classification layer: features → logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

# Name of the classification layer.
CLASSIFIER = "logits"
# Third number of the seeds of weights and dropout; see `input_pipeline`.
_WEIGHTS = 3


def draw_seeds(seed: int) -> Iterator[int]:
    """Yields a seed for each initializer and each dropout of a model."""
    draws = np.random.default_rng([seed, 0, _WEIGHTS])
    while True:
        yield int(draws.integers(2**31))


def build_head(
    settings: Settings, num_features: int, policy: str = "float32"
) -> keras.Model:
    """Builds the head alone, for features that were computed before.

    Args:
        settings: Width, regularization and classes.
        num_features: Features of a patch.
        policy: Keras's name of the precision.

    Returns:
        Model from features, shape (batch, feature), float32, to logits, shape
        (batch, class), float32.
    """
    import keras

    inputs = keras.Input((num_features,), name="features")
    logits = apply_head(inputs, settings, draw_seeds(settings.seed), policy)
    return keras.Model(inputs, logits, name="head")


def apply_head(
    x: keras.KerasTensor, settings: Settings, seeds: Iterator[int], policy: str
) -> keras.KerasTensor:
    """Applies both layers; see `build_head`."""
    x = apply_fc(x, settings, seeds, policy)
    return apply_classes(x, settings, seeds)


def apply_fc(
    x: keras.KerasTensor,
    settings: Settings,
    seeds: Iterator[int],
    policy: str,
    name: str = "fc",
) -> keras.KerasTensor:
    """Applies a fully connected layer and what follows it."""
    from keras import initializers, layers

    x = layers.Dense(
        settings.fc_units,
        kernel_initializer=initializers.GlorotUniform(next(seeds)),
        kernel_regularizer=make_penalty(settings),
        dtype=policy,
        name=name,
    )(x)
    if settings.batch_norm:
        x = layers.BatchNormalization(dtype=policy, name=f"{name}_norm")(x)
    x = layers.ReLU(dtype=policy, name=f"{name}_relu")(x)
    return apply_dropout(x, settings.dropout_fc, seeds, policy, f"{name}_dropout")


def apply_dropout(
    x: keras.KerasTensor, rate: float, seeds: Iterator[int], policy: str, name: str
) -> keras.KerasTensor:
    """Applies dropout, if there is any."""
    from keras import layers

    if not rate:
        return x
    return layers.Dropout(rate, seed=next(seeds), dtype=policy, name=name)(x)


def apply_classes(
    x: keras.KerasTensor, settings: Settings, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Applies the classification layer."""
    from keras import initializers, layers

    return layers.Dense(
        len(settings.nomenclature),
        kernel_initializer=initializers.GlorotUniform(next(seeds)),
        kernel_regularizer=make_penalty(settings),
        dtype="float32",  # logits are compared, whatever the precision of the rest
        name=CLASSIFIER,
    )(x)


def make_penalty(settings: Settings) -> keras.Regularizer | None:
    """Makes the penalty of a kernel: half its squares, as TensorFlow 1 had it."""
    from keras import regularizers

    return regularizers.L2(settings.l2 / 2) if settings.l2 else None

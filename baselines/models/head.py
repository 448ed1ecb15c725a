"""One fully connected and one classification layer: features → logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

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
    from keras import initializers, layers, regularizers

    # The kernel's squares with a factor of one half, as TensorFlow 1 had it.
    penalty = regularizers.L2(settings.l2 / 2) if settings.l2 else None
    x = layers.Dense(
        settings.fc_units,
        kernel_initializer=initializers.GlorotUniform(next(seeds)),
        kernel_regularizer=penalty,
        dtype=policy,
        name="fc",
    )(x)
    if settings.batch_norm:
        x = layers.BatchNormalization(dtype=policy, name="fc_norm")(x)
    x = layers.ReLU(dtype=policy, name="fc_relu")(x)
    if settings.dropout_fc:
        x = layers.Dropout(
            settings.dropout_fc, seed=next(seeds), dtype=policy, name="fc_dropout"
        )(x)
    return layers.Dense(
        len(settings.nomenclature),
        kernel_initializer=initializers.GlorotUniform(next(seeds)),
        kernel_regularizer=penalty,
        dtype="float32",  # logits are compared, whatever the precision of the rest
        name="logits",
    )(x)

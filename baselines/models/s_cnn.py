"""S-CNN: the paper's three convolutions, one fully connected and one class layer.

Source: G. Sumbul et al., "BigEarthNet: A Large-Scale Benchmark Archive", IGARSS 2019,
section 3: 32 filters of 5 × 5, 32 of 5 × 5 and 64 of 3 × 3, zero padding, max-pooling
between layers. The batch normalization, dropout and penalty that settings can ask for
are those of the authors' later code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from baselines.models.head import apply_head, draw_seeds
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

# Filters, and rows and columns of their kernels, of each convolution.
_CONVOLUTIONS = ((32, 5), (32, 5), (64, 3))


def apply_s_cnn(
    images: keras.KerasTensor, settings: Settings, policy: str = "float32"
) -> keras.KerasTensor:
    """Applies the network.

    Args:
        images: Shape (batch, y, x, channel), float32, standardised.
        settings: Options of the network, and classes.
        policy: Keras's name of the precision.

    Returns:
        Logits, shape (batch, class), float32.
    """
    from keras import layers

    seeds = draw_seeds(settings.seed)
    x = images
    for number in range(len(_CONVOLUTIONS)):
        x = _apply_block(x, number, settings, seeds, policy)
    x = layers.Flatten(dtype=policy, name="flatten")(x)
    return apply_head(x, settings, seeds, policy)


def _apply_block(
    x: keras.KerasTensor,
    number: int,
    settings: Settings,
    seeds: Iterator[int],
    policy: str,
) -> keras.KerasTensor:
    """Applies a convolution and what follows it."""
    from keras import initializers, layers, regularizers

    filters, kernel = _CONVOLUTIONS[number]
    name = f"conv{number + 1}"
    x = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        kernel_initializer=initializers.GlorotUniform(next(seeds)),
        kernel_regularizer=regularizers.L2(settings.l2 / 2) if settings.l2 else None,
        dtype=policy,
        name=name,
    )(x)
    if settings.batch_norm:
        x = layers.BatchNormalization(dtype=policy, name=f"{name}_norm")(x)
    x = layers.ReLU(dtype=policy, name=f"{name}_relu")(x)
    if number + 1 < len(_CONVOLUTIONS) or settings.third_pool:
        x = layers.MaxPooling2D(2, dtype=policy, name=f"{name}_pool")(x)
    if settings.dropout_conv:
        x = layers.Dropout(
            settings.dropout_conv,
            seed=next(seeds),
            dtype=policy,
            name=f"{name}_dropout",
        )(x)
    return x

"""S-CNN: the paper's three convolutions, one fully connected and one class layer.

Source: G. Sumbul et al., "BigEarthNet: A Large-Scale Benchmark Archive", IGARSS 2019,
section 3: 32 filters of 5 × 5, 32 of 5 × 5 and 64 of 3 × 3, zero padding, max-pooling
between layers. The batch normalization, dropout and penalty that settings can ask for
are those of the authors' later code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from baselines.models.head import (
    apply_dropout,
    apply_head,
    draw_seeds,
    make_penalty,
)
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

# Filters, rows and columns of their kernels, and whether a pool follows.
Convolution: TypeAlias = "tuple[int, int, bool]"


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
    seeds = draw_seeds(settings.seed)
    convolutions = ((32, 5, True), (32, 5, True), (64, 3, settings.third_pool))
    x = apply_convolutions(images, convolutions, settings, seeds, policy)
    return apply_head(x, settings, seeds, policy)


def apply_convolutions(
    x: keras.KerasTensor,
    convolutions: Sequence[Convolution],
    settings: Settings,
    seeds: Iterator[int],
    policy: str,
    prefix: str = "",
) -> keras.KerasTensor:
    """Applies convolutions with what follows each, and flattens.

    Args:
        x: Shape (batch, y, x, channel).
        convolutions: In their order.
        settings: Options of the network.
        seeds: What `head.draw_seeds` returned.
        policy: Keras's name of the precision.
        prefix: What the names of layers begin with.

    Returns:
        Shape (batch, feature).
    """
    from keras import initializers, layers

    for number, (filters, kernel, has_pool) in enumerate(convolutions, start=1):
        name = f"{prefix}conv{number}"
        x = layers.Conv2D(
            filters,
            kernel,
            padding="same",
            kernel_initializer=initializers.GlorotUniform(next(seeds)),
            kernel_regularizer=make_penalty(settings),
            dtype=policy,
            name=name,
        )(x)
        if settings.batch_norm:
            x = layers.BatchNormalization(dtype=policy, name=f"{name}_norm")(x)
        x = layers.ReLU(dtype=policy, name=f"{name}_relu")(x)
        if has_pool:
            x = layers.MaxPooling2D(2, dtype=policy, name=f"{name}_pool")(x)
        rate = settings.dropout_conv
        x = apply_dropout(x, rate, seeds, policy, f"{name}_dropout")
    return layers.Flatten(dtype=policy, name=f"{prefix}flatten")(x)

"""Inception-v2 (BN-Inception) without its classifier: pictures → 1024 features.

Architecture: S. Ioffe, C. Szegedy, "Batch Normalization", 2015, arXiv:1502.03167. The
widths of its layers, the separable first one and the names of its variables are those
of TF-Slim's `inception_v2`, so that TF-Slim's ImageNet weights fit.

Every layer pads with "same", is frozen, and computes in float32 whatever the precision
of the rest: features do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bigearthnet.errors import OptionError

if TYPE_CHECKING:
    import keras

# Channels of the last module, which are averaged over the picture.
NUM_FEATURES = 1024
# Weights and moments without the classifier; TF-Slim's own test has the same number.
NUM_PARAMETERS = 10_173_112
# Five layers halve the picture; below this size only padding would be left to see.
MIN_SIZE = 32

# TF-Slim's; it has no gamma, since a convolution follows every ReLU.
_EPSILON = 1e-3
_DTYPE = "float32"


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, batch normalization without gamma, and ReLU.

    Attributes:
        name: Its name in TF-Slim, below its branch.
        filters: Channels that it makes.
        kernel: Rows and columns of its kernel.
        stride: Step in both directions.
    """

    name: str
    filters: int
    kernel: int
    stride: int = 1


@dataclass(frozen=True)
class Pool:
    """The maximum or the average of 3 × 3 pixels; padding has no part in either.

    Attributes:
        kind: `max` or `average`.
        stride: Step in both directions.
    """

    kind: str
    stride: int = 1


Branch: TypeAlias = "tuple[Conv | Pool, ...]"
Module: TypeAlias = "tuple[Branch, ...]"


def _inception(
    a: int, b: tuple[int, int], c: tuple[int, int, int], pool: str, d: int
) -> Module:
    """Returns a module of four branches that keeps the size."""
    return (
        (Conv("Conv2d_0a_1x1", a, 1),),
        (Conv("Conv2d_0a_1x1", b[0], 1), Conv("Conv2d_0b_3x3", b[1], 3)),
        (
            Conv("Conv2d_0a_1x1", c[0], 1),
            Conv("Conv2d_0b_3x3", c[1], 3),
            Conv("Conv2d_0c_3x3", c[2], 3),
        ),
        (Pool(pool), Conv("Conv2d_0b_1x1", d, 1)),
    )


def _reduction(a: tuple[int, int], b: tuple[int, int, int]) -> Module:
    """Returns a module of three branches that halves the size."""
    return (
        (Conv("Conv2d_0a_1x1", a[0], 1), Conv("Conv2d_1a_3x3", a[1], 3, 2)),
        (
            Conv("Conv2d_0a_1x1", b[0], 1),
            Conv("Conv2d_0b_3x3", b[1], 3),
            Conv("Conv2d_1a_3x3", b[2], 3, 2),
        ),
        (Pool("max", 2),),
    )


# What follows the separable first layer; names are those of TF-Slim's end points.
_STEM: dict[str, Conv | Pool] = {
    "MaxPool_2a_3x3": Pool("max", 2),
    "Conv2d_2b_1x1": Conv("Conv2d_2b_1x1", 64, 1),
    "Conv2d_2c_3x3": Conv("Conv2d_2c_3x3", 192, 3),
    "MaxPool_3a_3x3": Pool("max", 2),
}
_FIRST = "Conv2d_1a_7x7"
_MODULES: dict[str, Module] = {
    "Mixed_3b": _inception(64, (64, 64), (64, 96, 96), "average", 32),
    "Mixed_3c": _inception(64, (64, 96), (64, 96, 96), "average", 64),
    "Mixed_4a": _reduction((128, 160), (64, 96, 96)),
    "Mixed_4b": _inception(224, (64, 96), (96, 128, 128), "average", 128),
    "Mixed_4c": _inception(192, (96, 128), (96, 128, 128), "average", 128),
    "Mixed_4d": _inception(160, (128, 160), (128, 160, 160), "average", 96),
    "Mixed_4e": _inception(96, (128, 192), (160, 192, 192), "average", 96),
    "Mixed_5a": _reduction((128, 192), (192, 256, 256)),
    "Mixed_5b": _inception(352, (192, 320), (160, 224, 224), "average", 128),
    "Mixed_5c": _inception(352, (192, 320), (192, 224, 224), "max", 128),
}
# Names of the layers whose outputs TF-Slim names, in the order of the network.
END_POINTS = (_FIRST, *_STEM, *_MODULES)


def build_inception_v2(size: int) -> keras.Model:
    """Builds the network, frozen, with weights that are yet to be set.

    Args:
        size: Rows and columns of the pictures, in pixels; at least MIN_SIZE.

    Returns:
        Model from pictures, shape (batch, y, x, channel) = (batch, size, size, 3),
        red, green, blue in [-1, 1], to features, shape (batch, NUM_FEATURES), float32:
        the last module averaged over all pixels. Its layers named END_POINTS give what
        TF-Slim's end points of these names are.

    Raises:
        OptionError: If the size is below MIN_SIZE.
    """
    import keras

    if size < MIN_SIZE:
        raise OptionError(
            f"inception size: expected at least {MIN_SIZE} pixels, got {size}."
        )
    inputs = keras.Input((size, size, 3), dtype=_DTYPE, name="pictures")
    x = keras.layers.SeparableConv2D(
        64,
        7,
        strides=2,
        padding="same",
        depth_multiplier=8,
        activation="relu",
        dtype=_DTYPE,
        name=_FIRST,
    )(inputs)
    for name, part in _STEM.items():
        x = _apply(part, x, name)
    for name, module in _MODULES.items():
        outputs = [
            _apply_branch(branch, x, f"{name}.Branch_{number}")
            for number, branch in enumerate(module)
        ]
        x = keras.layers.Concatenate(dtype=_DTYPE, name=name)(outputs)
    x = keras.layers.GlobalAveragePooling2D(dtype=_DTYPE, name="features")(x)
    model = keras.Model(inputs, x, name="inception_v2")
    model.trainable = False  # and batch norm then uses, and keeps, its moments
    return model


def _apply_branch(branch: Branch, x: keras.KerasTensor, path: str) -> keras.KerasTensor:
    for part in branch:
        name = part.name if isinstance(part, Conv) else "MaxPool_or_AvgPool"
        x = _apply(part, x, f"{path}.{name}")
    return x


def _apply(part: Conv | Pool, x: keras.KerasTensor, path: str) -> keras.KerasTensor:
    """Applies one row of the tables; its last layer is named by the path."""
    from keras import layers

    if isinstance(part, Pool):
        pool = layers.MaxPooling2D if part.kind == "max" else layers.AveragePooling2D
        return pool(3, part.stride, "same", dtype=_DTYPE, name=path)(x)
    x = layers.Conv2D(
        part.filters,
        part.kernel,
        strides=part.stride,
        padding="same",
        use_bias=False,
        dtype=_DTYPE,
        name=f"{path}.Conv",
    )(x)
    x = layers.BatchNormalization(
        scale=False, epsilon=_EPSILON, dtype=_DTYPE, name=f"{path}.BatchNorm"
    )(x)
    return layers.ReLU(dtype=_DTYPE, name=path)(x)


def map_slim_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Says which variable of the model is which of TF-Slim's.

    Shapes and the order of axes are the same in both.

    Args:
        model: What `build_inception_v2` returned.

    Returns:
        Name in TF-Slim's checkpoint → variable, in the order of the network.
    """
    first = model.get_layer(_FIRST)
    variables = {
        f"{_FIRST}/depthwise_weights": first.depthwise_kernel,
        f"{_FIRST}/pointwise_weights": first.pointwise_kernel,
        f"{_FIRST}/biases": first.bias,
    }
    for path in _conv_paths():
        norm = model.get_layer(f"{path}.BatchNorm")
        name = path.replace(".", "/")  # Keras allows no slash in the name of a layer
        variables |= {
            f"{name}/weights": model.get_layer(f"{path}.Conv").kernel,
            f"{name}/BatchNorm/beta": norm.beta,
            f"{name}/BatchNorm/moving_mean": norm.moving_mean,
            f"{name}/BatchNorm/moving_variance": norm.moving_variance,
        }
    return {f"InceptionV2/{name}": variable for name, variable in variables.items()}


def _conv_paths() -> list[str]:
    """Returns where each convolution with batch norm is, in the network's order."""
    paths = [part.name for part in _STEM.values() if isinstance(part, Conv)]
    paths += [
        f"{name}.Branch_{number}.{part.name}"
        for name, module in _MODULES.items()
        for number, branch in enumerate(module)
        for part in branch
        if isinstance(part, Conv)
    ]
    return paths


def initialize_random(model: keras.Model, seed: int) -> None:
    """Sets weights that were learnt from nothing, the same for the same seed.

    Kernels: normal, mean 0 and variance 2 / fan-in (K. He et al., "Delving Deep into
    Rectifiers", 2015, arXiv:1502.01852). Variances 1, all else 0.

    Args:
        model: What `build_inception_v2` returned.
        seed: Seed of the draws.
    """
    draws = np.random.default_rng(seed)
    for name, variable in map_slim_variables(model).items():
        shape, kind = variable.shape, name.rpartition("/")[2]
        if kind.endswith("weights"):
            # Each filter of a depthwise kernel (y, x, channel, multiplier) sees one
            # channel; of the others (y, x, channel, filter), all.
            seen = shape[:2] if kind == "depthwise_weights" else shape[:3]
            scale = np.float32(np.sqrt(2 / np.prod(seen)))
            variable.assign(draws.standard_normal(shape, dtype=np.float32) * scale)
        else:
            fill = 1 if kind == "moving_variance" else 0
            variable.assign(np.full(shape, fill, np.float32))

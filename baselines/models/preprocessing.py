"""Stored groups of bands → what a network takes, as layers of the model itself.

Only layers that come with Keras: a saved model loads without our code, and nobody can
feed it another order of bands or another scaling. They compute in float32 whatever the
precision of the rest, and none of their weights is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.reading.images import resampling_matrix
from bigearthnet.release.bands import BANDS, GROUPS, IMAGE_SIZE, BandGroup

if TYPE_CHECKING:
    import keras

# Band → `mean` and `std` in the unit of its pixels.
Statistics: TypeAlias = "Mapping[str, Mapping[str, float]]"

_DTYPE = "float32"
# TensorFlow 1 rounded the place between two pixels to this part of a pixel
# (tensorflow/core/kernels/image/resize_bicubic_op.cc, kTableSize).
_TF1_STEPS = 1024
# Its cubic convolution, the same file.
_TF1_A = -0.75


def choose_statistics(
    source: str, bands: Sequence[str], stored: Mapping[str, object]
) -> dict[str, dict[str, float]]:
    """Returns mean and population deviation of bands, in the unit of their pixels.

    Args:
        source: `stored`, or `published` for those of Sentinel-2 in v1.0.
        bands: Names of the bands.
        stored: A store's statistics.json.

    Raises:
        OptionError: If the store has no statistics, or a band that never changes.
    """
    if source == "published":
        found = {b.name: {"mean": b.mean or 0.0, "std": b.std or 0.0} for b in BANDS}
    else:
        measured = stored.get("bands")
        if not isinstance(measured, Mapping) or not measured:
            raise OptionError(
                "statistics: the store has none, since no train patch was built. "
                "Expected --statistics=published."
            )
        found = {n: {k: s[k] for k in ("mean", "std")} for n, s in measured.items()}
    for name in bands:
        if found[name]["std"] <= 0:
            raise OptionError(
                f"statistics: the deviation of {name} is 0, nothing can be divided by "
                "it. Expected --statistics=published."
            )
    return {name: found[name] for name in bands}


def describe_scaling(groups: Sequence[BandGroup]) -> str:
    """Returns the formula of `standardise`, for people."""
    value = "DN" if all(group in GROUPS for group in groups) else "value"
    return f"({value} - mean) / std"


def make_inputs(groups: Sequence[BandGroup]) -> dict[str, keras.KerasTensor]:
    """Makes the inputs of a model: group → shape (batch, band, y, x), as stored."""
    import keras

    return {
        group.name: keras.Input(group.shape, dtype=group.dtype, name=group.name)
        for group in groups
    }


def standardise(
    inputs: Mapping[str, keras.KerasTensor],
    groups: Sequence[BandGroup],
    bands: Sequence[str],
    statistics: Statistics,
    upsampling: str,
) -> keras.KerasTensor:
    """Makes images of one size, (value - mean) / std of each band.

    Args:
        inputs: What `make_inputs` returned.
        groups: What it was given.
        bands: Names of the bands, in the order of the channels; each of them is in one
            of the inputs.
        statistics: What `choose_statistics` returned.
        upsampling: `bicubic` or `bicubic_tf1`.

    Returns:
        Shape (batch, y, x, channel) = (batch, 120, 120, len(bands)), float32.
    """
    images = _make_images(inputs, groups, bands, upsampling)
    return _normalise(images, bands, statistics, "standardise")


def standardise_groups(
    inputs: Mapping[str, keras.KerasTensor],
    groups: Sequence[BandGroup],
    bands: Sequence[str],
    statistics: Statistics,
) -> dict[str, keras.KerasTensor]:
    """Makes an image of each group at its own size, (value - mean) / std of each band.

    Args:
        inputs: What `make_inputs` returned.
        groups: What it was given.
        bands: Names of the bands; those of a group in the order of its channels.
        statistics: What `choose_statistics` returned.

    Returns:
        Group → shape (batch, y, x, channel), float32.
    """
    images = {}
    for group in groups:
        stored = [band.name for band in group.bands]
        chosen = [name for name in bands if name in stored]
        x = _put_last(inputs[group.name], group.name)
        x = _choose_bands(x, stored, chosen, f"{group.name}_choose")
        name = f"{group.name}_standardise"
        images[group.name] = _normalise(x, chosen, statistics, name)
    return images


def _normalise(
    images: keras.KerasTensor, bands: Sequence[str], statistics: Statistics, name: str
) -> keras.KerasTensor:
    from keras import layers

    return layers.Normalization(
        mean=[statistics[band]["mean"] for band in bands],
        variance=[statistics[band]["std"] ** 2 for band in bands],
        dtype=_DTYPE,
        name=name,
    )(images)


def scale_pictures(
    inputs: Mapping[str, keras.KerasTensor],
    groups: Sequence[BandGroup],
    bands: Sequence[str],
    rgb_max: int,
    size: int,
) -> keras.KerasTensor:
    """Makes pictures in [-1, 1]: 2 · clip(DN / rgb_max, 0, 1) - 1, resized bilinearly.

    Args:
        inputs: What `make_inputs` returned.
        groups: What it was given.
        bands: Names of the bands of the channels.
        rgb_max: Digital number of full brightness.
        size: Rows and columns of the pictures, in pixels.

    Returns:
        Shape (batch, y, x, channel) = (batch, size, size, len(bands)), float32.
    """
    from keras import layers

    x = _make_images(inputs, groups, bands, "bicubic")
    x = layers.Rescaling(1 / rgb_max, dtype=_DTYPE, name="brightness")(x)
    x = layers.ReLU(max_value=1, dtype=_DTYPE, name="clip")(x)
    if size != IMAGE_SIZE:
        x = layers.Resizing(size, size, dtype=_DTYPE, name="resize")(x)
    return layers.Rescaling(2, offset=-1, dtype=_DTYPE, name="centre")(x)


def _make_images(
    inputs: Mapping[str, keras.KerasTensor],
    groups: Sequence[BandGroup],
    bands: Sequence[str],
    upsampling: str,
) -> keras.KerasTensor:
    """Makes images of stored values, shape (batch, 120, 120, len(bands))."""
    from keras import layers

    images = [_resample(inputs[group.name], group, upsampling) for group in groups]
    joined = images[0]
    if len(images) > 1:
        joined = layers.Concatenate(dtype=_DTYPE, name="join")(images)
    order = [band.name for group in groups for band in group.bands]
    return _choose_bands(joined, order, bands, "choose_bands")


def _choose_bands(
    images: keras.KerasTensor, order: Sequence[str], bands: Sequence[str], name: str
) -> keras.KerasTensor:
    """Makes channels in some order those of bands."""
    if list(order) == list(bands):
        return images
    # A product with zeros and ones: choosing channels by index is no layer of Keras.
    chosen = np.zeros((len(order), len(bands)), np.float32)
    for channel, band in enumerate(bands):
        chosen[order.index(band), channel] = 1
    return _apply_weights(chosen, images, name)


def _put_last(pixels: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Makes (batch, band, y, x), as stored, (batch, y, x, band), float32."""
    from keras import layers

    # The type first: few converters know how to transpose uint16.
    x = layers.Rescaling(1, dtype=_DTYPE, name=f"{name}_float")(pixels)
    return layers.Permute((2, 3, 1), dtype=_DTYPE, name=f"{name}_last")(x)


def _resample(
    pixels: keras.KerasTensor, group: BandGroup, upsampling: str
) -> keras.KerasTensor:
    """Makes (batch, band, y, x), as stored, (batch, 120, 120, band), float32."""
    from keras import layers

    name = group.name
    if group.size_px == IMAGE_SIZE:
        return _put_last(pixels, name)
    x = layers.Rescaling(1, dtype=_DTYPE, name=f"{name}_float")(pixels)
    weights = upsampling_matrix(group.size_px, upsampling).T
    x = _apply_weights(weights, x, f"{name}_along_x")
    x = layers.Permute((1, 3, 2), dtype=_DTYPE, name=f"{name}_turn")(x)
    x = _apply_weights(weights, x, f"{name}_along_y")
    return layers.Permute((3, 2, 1), dtype=_DTYPE, name=f"{name}_last")(x)


def _apply_weights(
    weights: npt.NDArray[np.float32], x: keras.KerasTensor, name: str
) -> keras.KerasTensor:
    """Multiplies the last axis with weights that are never trained."""
    from keras import layers

    layer = layers.Dense(
        weights.shape[1], use_bias=False, trainable=False, dtype=_DTYPE, name=name
    )
    y = layer(x)
    layer.set_weights([weights])
    return y


def upsampling_matrix(size: int, upsampling: str) -> npt.NDArray[np.float32]:
    """Returns the weights that resample a line of pixels to IMAGE_SIZE.

    Args:
        size: Pixels of the line.
        upsampling: `bicubic` for `loading.images.resampling_matrix`; `bicubic_tf1` for
            `tf.image.resize_bicubic` of TensorFlow 1, which the authors' later code
            calls: pixel i lies at i · size / IMAGE_SIZE, a = -0.75, and beyond an edge
            the last pixel goes on. It shifts 20 m bands by 5 m, 60 m bands by 25 m.

    Returns:
        Shape (IMAGE_SIZE, size), float32; each row sums to 1.
    """
    if upsampling == "bicubic":
        return resampling_matrix(size)
    places = np.arange(IMAGE_SIZE) * size / IMAGE_SIZE
    first = np.floor(places).astype(int)
    fractions = np.round((places - first) * _TF1_STEPS) / _TF1_STEPS
    matrix = np.zeros((IMAGE_SIZE, size))
    for step in range(-1, 3):
        distance = np.abs(fractions - step)
        near = ((_TF1_A + 2) * distance - (_TF1_A + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * _TF1_A - 4 * _TF1_A
        columns = np.clip(first + step, 0, size - 1)
        np.add.at(
            matrix, (np.arange(IMAGE_SIZE), columns), np.where(distance <= 1, near, far)
        )
    return matrix.astype(np.float32)

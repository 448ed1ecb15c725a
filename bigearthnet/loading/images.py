"""Stored groups of bands → images that models take; TensorFlow only, no I/O."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release.bands import IMAGE_SIZE, BandGroup, order_bands
from bigearthnet.schema.configs import Config

if TYPE_CHECKING:
    import tensorflow as tf

# Blocks of output rows whose products leave out most weights that are zero; of two to
# twelve, as fast as any.
_BLOCKS = 5


@dataclass(frozen=True)
class ImagePlan:
    """How images are made of stored columns.

    Attributes:
        columns: The columns that are read.
        make: Batch of these → images; see `loading.load`.
    """

    columns: tuple[str, ...]
    make: Callable[[Mapping[str, tf.Tensor]], Any]


def plan_images(
    config: Config, bands: str | Sequence[str], image_size: int | None
) -> ImagePlan:
    """Says how the images that are asked for are made of what is stored.

    Args:
        config: What is stored.
        bands: See `loading.load`.
        image_size: IMAGE_SIZE, or None for the stored pixels.

    Raises:
        OptionError: If that cannot be done.
    """
    if image_size not in (IMAGE_SIZE, None):
        raise OptionError(
            f"image_size: expected {IMAGE_SIZE} or None, got {image_size!r}. Resize "
            "the images with tf.image.resize."
        )
    if config.choice.is_rgb:
        if bands not in ("all", "rgb") or image_size is None:
            raise OptionError(
                f"config {config.name} holds 8-bit pictures: expected bands='rgb' and "
                f"image_size={IMAGE_SIZE}, got {bands!r} and {image_size!r}."
            )
        return ImagePlan(("image",), lambda batch: decode_pictures(batch["image"]))
    names = choose_bands(bands, config)
    groups = choose_groups(config.groups, names)
    stored = tuple(group.name for group in groups)
    if image_size is not None:
        return ImagePlan(stored, lambda batch: make_images(batch, groups, names))
    if bands == "all":
        return ImagePlan(stored, lambda batch: {name: batch[name] for name in stored})

    def take(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Gives each band; a map is named like the feature of which it is the only."""
        return {n: batch[n][:, 0] if n in stored else batch[n] for n in names}

    return ImagePlan(names, take)


def choose_bands(bands: str | Sequence[str], config: Config) -> tuple[str, ...]:
    """Returns the names of the bands that are asked for, in the order asked.

    Args:
        bands: `all` (ascending wavelength), `rgb` (B04, B03, B02), or names.
        config: What is stored.

    Raises:
        OptionError: If a name is unknown or comes twice, or there is none.
    """
    known = [band.name for group in config.groups for band in group.bands]
    if isinstance(bands, str):
        images = [group for group in config.groups if not group.is_map]
        every = tuple(band.name for band in order_bands(images))
        named = {"all": every, "rgb": config.release.rgb}
        if named.get(bands):
            return named[bands]
        bands = (bands,)
    for name in bands:
        if name not in known:
            raise OptionError(
                f"unknown band: expected all, rgb, or a list of {', '.join(known)}, "
                f"got {name!r}."
            )
    if not bands or len(set(bands)) < len(bands):
        raise OptionError(f"bands: expected each of them once, got {list(bands)}.")
    return tuple(bands)


def choose_groups(
    groups: Sequence[BandGroup], bands: Sequence[str]
) -> tuple[BandGroup, ...]:
    """Returns those of the groups that hold some bands, in the same order."""
    return tuple(
        group for group in groups if any(band.name in bands for band in group.bands)
    )


@functools.cache
def resampling_matrix(size: int) -> npt.NDArray[np.float32]:
    """Returns the weights that resample a line of pixels to IMAGE_SIZE.

    Cubic convolution with a = -0.5 and half-pixel centres: output pixel i has its
    centre at (i + 0.5) · size / IMAGE_SIZE - 0.5 of the input, so that no band is
    shifted against another. At the edges, the weights inside are scaled to sum to 1.

    Args:
        size: Pixels of the line.

    Returns:
        Shape (IMAGE_SIZE, size), float32; each row sums to 1 and has at most four
        weights.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing",
    1981, equation 15. The same as Pillow's BICUBIC (tested).
    """
    centres = (np.arange(IMAGE_SIZE) + 0.5) * size / IMAGE_SIZE - 0.5
    distances = np.abs(centres[:, None] - np.arange(size))
    near = ((1.5 * distances - 2.5) * distances) * distances + 1
    far = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
    weights = np.where(distances <= 1, near, np.where(distances < 2, far, 0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def make_images(
    stored: Mapping[str, tf.Tensor], groups: Sequence[BandGroup], bands: Sequence[str]
) -> tf.Tensor:
    """Makes images of one size of some bands, those of 20 and 60 m resampled.

    Args:
        stored: Name of each group → shape (batch, band, y, x), of the group's dtype.
        groups: The groups that hold the bands.
        bands: Names of the bands, in the order of the channels.

    Returns:
        Shape (batch, y, x, channel) = (batch, 120, 120, len(bands)), float32, in the
        stored unit; resampled ones can lie a little outside of the stored range.
    """
    import tensorflow as tf

    parts: list[tf.Tensor] = []
    order: list[str] = []
    for group in groups:
        names = [band.name for band in group.bands]
        chosen = [name for name in bands if name in names]
        pixels = stored[group.name]
        if chosen != names:
            pixels = tf.gather(pixels, [names.index(name) for name in chosen], axis=1)
        parts.append(
            pixels if group.size_px == IMAGE_SIZE else resample(pixels, group.size_px)
        )
        order += chosen
    if len(parts) == 1:  # moved as they are: half the bytes
        return tf.cast(tf.transpose(parts[0], (0, 2, 3, 1)), tf.float32)
    # The order of bands is made before their axis becomes the last: whole bands are
    # copied then, not single pixels.
    images = tf.concat([tf.cast(part, tf.float32) for part in parts], axis=1)
    if order != list(bands):
        images = tf.gather(images, [order.index(name) for name in bands], axis=1)
    return tf.transpose(images, (0, 2, 3, 1))


def resample(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Resamples bands to IMAGE_SIZE, all at once; see `resampling_matrix`.

    Two products of matrices are faster than `tf.image.resize`, and do not round the
    weights as it does. Columns come first, in blocks, then rows, in one large product.

    Args:
        pixels: Shape (batch, band, y, x) = (batch, band, size, size), of any type.
        size: Height and width.

    Returns:
        Shape (batch, band, y, x) = (batch, band, 120, 120), float32.
    """
    import tensorflow as tf

    rows, weights = _cut_blocks(size)
    blocks = tf.cast(tf.gather(pixels, rows.reshape(-1), axis=2), tf.float32)
    # One axis of images: TensorFlow 2.21 with oneDNN crashes in products of shape
    # (batch, 1, y, x) with a matrix.
    columns = tf.matmul(weights, tf.reshape(blocks, (-1, *rows.shape, size)))
    lines = tf.reshape(columns, (-1, size))
    images = tf.matmul(lines, resampling_matrix(size), transpose_b=True)
    return tf.reshape(images, (-1, pixels.shape[1], IMAGE_SIZE, IMAGE_SIZE))


@functools.cache
def _cut_blocks(size: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Cuts `resampling_matrix` into blocks, which hold all weights that are not zero.

    Args:
        size: Pixels of the line.

    Returns:
        Pixels that each block takes, shape (block, weight), int32; and the weights,
        shape (block, output pixel of the block, weight), float32.
    """
    inputs = size // _BLOCKS
    # A weight reaches two pixels to either side.
    starts = np.arange(_BLOCKS) * inputs - 2
    rows = starts.clip(0, size - inputs - 4)[:, None] + np.arange(inputs + 4)
    matrix = resampling_matrix(size).reshape(_BLOCKS, -1, size)
    weights = np.take_along_axis(matrix, rows[:, None], axis=2)
    return rows.astype(np.int32), weights


def decode_pictures(files: tf.Tensor) -> tf.Tensor:
    """Decodes the pictures of `s2-rgb`.

    Args:
        files: PNG files, shape (batch,), string.

    Returns:
        Shape (batch, y, x, channel) = (batch, 120, 120, 3), uint8.
    """
    import tensorflow as tf

    pictures = tf.map_fn(
        lambda file: tf.io.decode_png(file, 3),
        files,
        fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
    )
    return tf.ensure_shape(pictures, (None, IMAGE_SIZE, IMAGE_SIZE, 3))

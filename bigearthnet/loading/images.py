"""Stored groups of bands → images that models take; TensorFlow only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bigearthnet.reading import images
from bigearthnet.reading.images import ImagePlan, cut_blocks, resampling_matrix
from bigearthnet.release.bands import IMAGE_SIZE, BandGroup
from bigearthnet.schema.configs import Config

if TYPE_CHECKING:
    import tensorflow as tf


def plan_images(
    config: Config,
    bands: str | Sequence[str],
    image_size: int | None,
    resampling: str = "bicubic",
) -> ImagePlan:
    """Says how images are made with TensorFlow; see `reading.images.plan_images`."""
    return images.plan_images(
        config, bands, image_size, resampling, make_images, decode_pictures
    )


def make_images(
    stored: Mapping[str, tf.Tensor],
    groups: Sequence[BandGroup],
    bands: Sequence[str],
    resampling: str = "bicubic",
) -> tf.Tensor:
    """Makes images of one size of some bands, those of 20 and 60 m resampled.

    Args:
        stored: Name of each group → shape (batch, band, y, x), of the group's dtype.
        groups: The groups that hold the bands.
        bands: Names of the bands, in the order of the channels.
        resampling: One of `reading.images.KERNELS`.

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
        if group.size_px != IMAGE_SIZE:
            pixels = resample(pixels, group.size_px, resampling)
        parts.append(pixels)
        order += chosen
    if len(parts) == 1:  # moved as they are: half the bytes
        return tf.cast(tf.transpose(parts[0], (0, 2, 3, 1)), tf.float32)
    # The order of bands is made before their axis becomes the last: whole bands are
    # copied then, not single pixels.
    images = tf.concat([tf.cast(part, tf.float32) for part in parts], axis=1)
    if order != list(bands):
        images = tf.gather(images, [order.index(name) for name in bands], axis=1)
    return tf.transpose(images, (0, 2, 3, 1))


def resample(pixels: tf.Tensor, size: int, resampling: str = "bicubic") -> tf.Tensor:
    """Resamples bands to IMAGE_SIZE, all at once; see `resampling_matrix`.

    Two products of matrices are faster than `tf.image.resize`, and do not round the
    weights as it does. Columns come first, in blocks, then rows, in one large product.

    Args:
        pixels: Shape (batch, band, y, x) = (batch, band, size, size), of any type.
        size: Height and width.
        resampling: One of `reading.images.KERNELS`.

    Returns:
        Shape (batch, band, y, x) = (batch, band, 120, 120), float32.
    """
    import tensorflow as tf

    rows, weights = cut_blocks(size, resampling)
    blocks = tf.cast(tf.gather(pixels, rows.reshape(-1), axis=2), tf.float32)
    # One axis of images: TensorFlow 2.21 with oneDNN crashes in products of shape
    # (batch, 1, y, x) with a matrix.
    columns = tf.matmul(weights, tf.reshape(blocks, (-1, *rows.shape, size)))
    lines = tf.reshape(columns, (-1, size))
    matrix = resampling_matrix(size, resampling)
    images = tf.matmul(lines, matrix, transpose_b=True)
    return tf.reshape(images, (-1, pixels.shape[1], IMAGE_SIZE, IMAGE_SIZE))


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

"""Patches turned and mirrored at random: the eight symmetries of the square.

It is done in the step of training, ahead of the model: what is exported has none of it.
Symmetries move pixels and change none; all groups of bands of a patch are moved alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

# Turns by quarters, each mirrored or not.
NUM_SYMMETRIES = 8


def augment(
    groups: dict[str, tf.Tensor],
    *,
    seed: int,
    batch_size: int,
    step: tf.Tensor,
    first: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Moves the pixels of a device's part of a batch, each patch as if it were alone.

    Args:
        groups: See `apply_symmetries`.
        seed: See `draw_symmetries`, like `step`.
        batch_size: Patches of a whole batch, at most.
        step: Steps done before.
        first: Number of the first of these patches in the batch.

    Returns:
        The same groups, shapes and type.
    """
    import tensorflow as tf

    symmetries = draw_symmetries(seed, step, batch_size)
    size = tf.shape(next(iter(groups.values())))[0]
    return apply_symmetries(groups, symmetries[first : first + size])


def draw_symmetries(seed: int, step: tf.Tensor, count: int) -> tf.Tensor:
    """Draws a symmetry for each patch of a batch, a function of seed and step alone.

    Args:
        seed: Seed of the training.
        step: Steps done before, an integer.
        count: Patches of a whole batch.

    Returns:
        Shape (patch,), int32, in [0, NUM_SYMMETRIES).
    """
    import tensorflow as tf

    seeds = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    return tf.random.stateless_uniform(
        (count,), seeds, maxval=NUM_SYMMETRIES, dtype=tf.int32
    )


def apply_symmetries(
    groups: dict[str, tf.Tensor], symmetries: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Moves the pixels of patches.

    Args:
        groups: Group → shape (batch, band, y, x), as stored; y and x have one length.
        symmetries: Shape (batch,), int32. Bit 0 mirrors x, bit 1 mirrors y, bit 2 then
            swaps them.

    Returns:
        The same groups, shapes and type.
    """
    import tensorflow as tf

    bits = [
        tf.reshape(tf.bitwise.bitwise_and(symmetries, bit) > 0, (-1, 1, 1, 1))
        for bit in (1, 2, 4)
    ]

    def move(pixels: tf.Tensor) -> tf.Tensor:
        # GPUs have no kernels of these for uint16, which float32 holds exactly.
        x = tf.cast(pixels, tf.float32)
        x = tf.where(bits[0], tf.reverse(x, [3]), x)
        x = tf.where(bits[1], tf.reverse(x, [2]), x)
        x = tf.where(bits[2], tf.transpose(x, (0, 1, 3, 2)), x)
        return tf.cast(x, pixels.dtype)

    return {name: move(pixels) for name, pixels in groups.items()}

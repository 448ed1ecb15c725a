from __future__ import annotations

import numpy as np
import tensorflow as tf

from baselines.models.augmentation import (
    NUM_SYMMETRIES,
    apply_symmetries,
    augment,
    draw_symmetries,
)


def make_groups(count: int) -> dict[str, tf.Tensor]:
    """Patches whose pixels all differ, up to the largest digital number."""
    draws = np.random.default_rng(0)
    return {
        name: tf.constant(
            draws.permutation(2**16)[: count * 2 * side**2]
            .reshape(count, 2, side, side)
            .astype(np.uint16)
        )
        for name, side in (("bands_10m", 6), ("bands_20m", 3))
    }


def test_symmetries_are_those_of_the_square() -> None:
    """There are eight, all different; every group is moved as NumPy moves it."""
    groups = make_groups(NUM_SYMMETRIES)
    moved = apply_symmetries(groups, tf.range(NUM_SYMMETRIES))

    for name, pixels in groups.items():
        seen = set()
        for number, (patch, found) in enumerate(
            zip(pixels.numpy(), moved[name].numpy(), strict=True)
        ):
            axes = [axis for bit, axis in ((1, 2), (2, 1)) if number & bit]
            expected = np.flip(patch, axes)
            if number & 4:
                expected = expected.transpose(0, 2, 1)
            np.testing.assert_array_equal(expected, found)
            square = {
                np.rot90(np.flip(patch, 2) if flip else patch, k, (1, 2)).tobytes()
                for k in range(4)
                for flip in (False, True)
            }
            assert found.tobytes() in square
            first = pixels.numpy()[:1]
            alone = apply_symmetries({name: first}, tf.constant([number]))
            seen.add(alone[name].numpy().tobytes())
        assert NUM_SYMMETRIES == len(seen)


def test_symmetries_are_drawn_from_seed_and_step() -> None:
    """The same seed and step draw the same, others others, and all come as often."""
    one = draw_symmetries(1, tf.constant(5), 8000).numpy()

    np.testing.assert_array_equal(one, draw_symmetries(1, tf.constant(5), 8000))
    assert not np.array_equal(one, draw_symmetries(2, tf.constant(5), 8000))
    assert not np.array_equal(one, draw_symmetries(1, tf.constant(6), 8000))
    counts = np.bincount(one, minlength=NUM_SYMMETRIES)
    assert NUM_SYMMETRIES == len(counts)
    assert (abs(counts - 1000) < 150).all()


def test_parts_of_a_batch_are_moved_as_the_whole() -> None:
    """A device moves its patches as one device would, whatever its part."""
    groups = make_groups(7)
    options = {"seed": 3, "batch_size": 16, "step": tf.constant(9)}
    whole = augment(groups, first=tf.constant(0), **options)

    for first, stop in ((0, 4), (4, 7), (7, 7)):
        part = {name: pixels[first:stop] for name, pixels in groups.items()}
        moved = augment(part, first=tf.constant(first), **options)
        for name, pixels in whole.items():
            np.testing.assert_array_equal(pixels[first:stop], moved[name])

"""Measures what resampling 20 and 60 m bands to 120 × 120 pixels costs a patch.

Ours against `tf.image.resize` with the same kernel, turn by turn, in one thread:
processor time of both groups of a batch, without start-up.

Example:
  python -m benchmarks.resampling --turns=30
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags

from bigearthnet.loading.images import resample
from bigearthnet.release.bands import GROUPS, IMAGE_SIZE
from bigearthnet.util import command

# Turns that do not count: TensorFlow traces its functions, memory is got.
_WARM_UP = 2


def measure(patches: int, turns: int) -> dict[str, float]:
    """Measures both ways.

    Args:
        patches: Patches of a batch.
        turns: Counted turns of each.

    Returns:
        Name of the way → median of processor milliseconds a patch.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    sizes = [group.size_px for group in GROUPS[1:]]
    batch = [
        tf.constant(random.integers(0, 10_000, (patches, *group.shape), np.uint16))
        for group in GROUPS[1:]
    ]

    def ours(*groups: Any) -> list[Any]:
        """Resamples both groups as `load` does."""
        return [resample(*pair) for pair in zip(groups, sizes, strict=True)]

    def theirs(*groups: Any) -> list[Any]:
        """Resamples both as TensorFlow does, which takes bands as the last axis."""
        shape = (IMAGE_SIZE, IMAGE_SIZE)
        last = [tf.transpose(pixels, (0, 2, 3, 1)) for pixels in groups]
        return [tf.image.resize(pixels, shape, "bicubic") for pixels in last]

    ways = {"resample": tf.function(ours), "tf.image.resize": tf.function(theirs)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_WARM_UP + turns):
        for name, way in ways.items():
            seconds[name].append(_time(way, batch))
    return {
        name: 1000 * statistics.median(found[_WARM_UP:]) / patches
        for name, found in seconds.items()
    }


def _time(way: Callable[..., Any], batch: list[Any]) -> float:
    """Returns the processor seconds of a call."""
    start = time.process_time()
    way(*batch)
    return time.process_time() - start


def _define_flags() -> None:
    flags.DEFINE_integer("patches", 256, "Patches of a batch.", lower_bound=1)
    flags.DEFINE_integer("turns", 30, "Counted turns of each way.", lower_bound=1)


def _main() -> None:
    found = measure(flags.FLAGS.patches, flags.FLAGS.turns)
    print("| resampling | CPU ms a patch |\n| --- | ---: |")
    for name, milliseconds in found.items():
        print(f"| {name} | {milliseconds:.3f} |")


if __name__ == "__main__":
    command.run(_main, _define_flags)

"""The limit of `ArrowReader`: copy the pixels of resident batches in memory."""

from __future__ import annotations

import numpy as np
from clock import BATCH_SIZE, Clock, parse_arguments, report

_SHAPES = ((4, 120, 120), (6, 60, 60), (2, 20, 20))
_PASSES = 2


def main() -> None:
    """Copies all patches in batches of three groups, into new arrays."""
    arguments, clock = parse_arguments(), Clock()
    groups = [np.ones((arguments.patches, *shape), np.uint16) for shape in _SHAPES]
    with clock.running():
        for _ in range(_PASSES):
            for first in range(0, arguments.patches, BATCH_SIZE):
                batch = [group[first : first + BATCH_SIZE].copy() for group in groups]
                del batch
    report(_PASSES * arguments.patches, clock.seconds)


if __name__ == "__main__":
    main()

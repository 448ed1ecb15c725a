"""How fast a training is, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pace:
    """How fast an epoch was trained, without its validation.

    Attributes:
        patches: Patches that were trained on.
        seconds: How long that took.
        waited: Seconds of it in which no batch was there to train on.
        memory: Most bytes of a GPU's memory that were taken; None on a CPU.
    """

    patches: int
    seconds: float
    waited: float
    memory: int | None

    def to_json(self) -> dict[str, float]:
        """Returns what training.json says of it."""
        seconds = max(self.seconds, 1e-9)
        found: dict[str, float] = {
            "patches_per_second": round(self.patches / seconds, 1),
            "waiting": round(self.waited / seconds, 4),
        }
        return found if self.memory is None else found | {"memory_bytes": self.memory}


def measure_memory() -> int | None:
    """Returns the most bytes that TensorFlow took of the first GPU; None without."""
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


class Waiting:
    """Passes batches on, and counts how long it waits for them.

    Attributes:
        seconds: How long it waited.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        """Takes the batches."""
        self._batches, self.seconds = batches, 0.0

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches."""
        start = time.monotonic()
        for batch in self._batches:
            self.seconds += time.monotonic() - start
            yield batch
            start = time.monotonic()

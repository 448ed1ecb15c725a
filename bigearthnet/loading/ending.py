"""Ends what TensorFlow's threads read, before the Python interpreter goes.

A thread that wants to run Python code while the interpreter is finalised is stopped for
good. tf.data, which then destroys the iterator that the program still had, waits for it
for ever. So a generator that reads for TensorFlow must have come to rest before.
"""

from __future__ import annotations

import atexit
import math
import threading
import time
from collections.abc import Iterator

from bigearthnet.reading.batches import Batch

# Seconds after which a generator that handed over a batch is at rest: TensorFlow's
# buffers are full. Else it asks for the next one within milliseconds.
_REST_S = 0.5
# Seconds after which the program ends in any case, a read that never ends included.
_LONGEST_S = 60

_ending = threading.Event()

# Each generator that has not ended → when it handed over a batch; infinity if it reads.
_handed_over: dict[object, float] = {}


def until_exit(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yields batches as long as the program runs, and no more once it ends."""
    generator = object()
    _handed_over[generator] = math.inf
    try:
        for batch in batches:
            if _ending.is_set():
                return
            _handed_over[generator] = time.monotonic()
            yield batch
            _handed_over[generator] = math.inf
            if _ending.is_set():
                return
    finally:
        del _handed_over[generator]


@atexit.register
def _end() -> None:
    """Lets every generator end, or come to rest."""
    _ending.set()
    last = time.monotonic() + _LONGEST_S
    while (now := time.monotonic()) < last:
        if all(now - at >= _REST_S for at in [*_handed_over.values()]):
            return
        time.sleep(0.01)

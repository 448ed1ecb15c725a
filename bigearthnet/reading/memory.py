"""Memory that batches are copied into: aligned, used again, and filled by two threads.

New memory costs as much as the copy that fills it, or more, where the system, and a
virtual machine's host, take back what was freed.
"""

from __future__ import annotations

import functools
import math
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

# TensorFlow takes over memory at a multiple of as many bytes without copying it
# (EIGEN_MAX_ALIGN_BYTES).
_ALIGNMENT = 64

# Arrays whose memory is kept: of five batches of three groups of bands, as many as a
# pipeline of TensorFlow holds. Small ones are got from the system as fast.
_MAX_FREE = 16
_MIN_RECYCLED_NBYTES = 2**18

# Bytes that two threads copy faster than one, though it takes time to hand over.
_PARALLEL_NBYTES = 2**22


def make_aligned(shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """Returns a new array at an address that TensorFlow can take over.

    Args:
        shape: Its shape.
        dtype: NumPy name of its type.
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + nbytes].view(dtype).reshape(shape)


class Recycler:
    """Hands out arrays, and takes back the memory of those that nobody uses any more.

    An array is in use as long as it, or a view of it, or a tensor made of it without a
    copy is there, so that nobody sees memory change. What is taken back is kept for
    arrays that take at least half of it, so that a last, short batch finds room; but of
    few: readers whose batches differ in size must not keep all of them. Several threads
    may share one, without a lock, which a process that is forked would find held for
    ever.
    """

    def __init__(self) -> None:
        self._free: deque[npt.NDArray[np.uint8]] = deque(maxlen=_MAX_FREE)

    def take(self, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
        """Returns an aligned array of any content; see `make_aligned`."""
        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        if nbytes < _MIN_RECYCLED_NBYTES:
            return make_aligned(shape, dtype)
        memory = self._find(nbytes)
        if memory is None:
            memory = make_aligned((nbytes,), "uint8")
        lent = np.asarray(_Loan(memory, self._free))[:nbytes]
        return lent.view(dtype).reshape(shape)

    def _find(self, nbytes: int) -> npt.NDArray[np.uint8] | None:
        """Takes the smallest memory that fits out of what is free."""
        found: npt.NDArray[np.uint8] | None = None
        for _ in range(len(self._free)):
            try:
                memory = self._free.popleft()
            except IndexError:  # another thread was faster
                break
            fits = nbytes <= memory.nbytes <= 2 * nbytes
            if not fits or (found is not None and memory.nbytes >= found.nbytes):
                self._free.append(memory)
                continue
            if found is not None:
                self._free.append(found)
            found = memory
        return found


class _Loan:
    """Owner of memory that is lent: the last array that refers to it deletes it."""

    def __init__(
        self, memory: npt.NDArray[np.uint8], free: deque[npt.NDArray[np.uint8]]
    ) -> None:
        self._memory, self._free = memory, free
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self._free.append(self._memory)


def fill_in_parallel(fill: Callable[[int, int], None], rows: int, nbytes: int) -> None:
    """Fills rows of an array, in two threads if they are large.

    NumPy lets others run while it copies, and one thread does not take all of the
    memory's speed.

    Args:
        fill: Fills the rows from one number to another, exclusive.
        rows: How many rows there are.
        nbytes: Bytes of all rows.
    """
    if nbytes < _PARALLEL_NBYTES:
        fill(0, rows)
        return
    half = rows // 2
    other = _make_executor(os.getpid()).submit(fill, half, rows)
    try:
        fill(0, half)
    finally:
        other.result()


@functools.cache
def _make_executor(process: int) -> ThreadPoolExecutor:
    """Returns the second thread of a process: one that was forked needs its own."""
    return ThreadPoolExecutor(1, thread_name_prefix="bigearthnet-copy")

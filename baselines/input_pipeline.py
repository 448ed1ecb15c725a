"""Patches → batches of inputs and labels, in a reproducible order.

Patches are read by number, so that an order is a permutation of numbers, and skipping
batches reads nothing.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.devices import distribute
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.store.compatibility import hash_lines
from bigearthnet.util.options import check_batch_size

if TYPE_CHECKING:
    import tensorflow as tf


def hash_ids(patch_ids: Iterable[str]) -> str:
    """Returns the sha256 of the sorted ids, joined by newlines, in UTF-8."""
    return hash_lines(sorted(patch_ids))


@dataclass(frozen=True)
class Order:
    """Which patches a batch has, and which batch comes when.

    Attributes:
        batch_size: Patches of a batch, over all devices.
        seed: Seed of the order; None for the stored order.
        epoch: Number of the epoch, from 0.
        start_batch: Number of the first batch; those before it are not read.

    Raises:
        OptionError: If the size of a batch is not at least 1.
    """

    batch_size: int
    seed: int | None = None
    epoch: int = 0
    start_batch: int = 0

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)

    def draw(self, num_patches: int) -> npt.NDArray[np.int64]:
        """Returns the numbers of patches, a function of seed and epoch alone.

        Args:
            num_patches: How many patches there are.

        Returns:
            Shape (patch,), int64: numbers in [0, num_patches), each once at most.
        """
        if self.seed is None:
            numbers = np.arange(num_patches)
        else:
            draws = np.random.default_rng([self.seed, self.epoch])
            numbers = draws.permutation(num_patches)
        return numbers[self.start_batch * self.batch_size :]


@dataclass(frozen=True)
class ReadAhead:
    """How far reading is ahead of the steps; it changes no bit of what is read.

    Attributes:
        parallel_reads: Batches that are read at the same time.
        batches_ahead: Batches that wait for their step; one of all bands has 20 MB.

    Raises:
        OptionError: If one of them is not at least 1.
    """

    parallel_reads: int = 2
    batches_ahead: int = 2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise OptionError(f"{name}: expected at least 1, got {value}.")


class PatchData(ABC):
    """Patches to train on or to evaluate, read by number.

    Attributes:
        patch_ids: Their ids, in stored order.
        num_patches: How many there are.
        ids_sha256: What `hash_ids` makes of their ids.
        ahead: How far they are read ahead.
    """

    def __init__(
        self, patch_ids: Sequence[str], ahead: ReadAhead | None = None
    ) -> None:
        """Takes the ids, in stored order, and how far to read ahead."""
        self.ahead = ahead or ReadAhead()
        self.patch_ids = list(patch_ids)
        self.num_patches = len(self.patch_ids)
        self.ids_sha256 = hash_ids(self.patch_ids)

    @abstractmethod
    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.uint8]]:
        """Reads some patches.

        Args:
            rows: Numbers of the patches, shape (batch,).

        Returns:
            Inputs of a model: an array, or a dict of arrays, whose first axis is the
            batch; and multi-hot labels, shape (batch, class), uint8.
        """

    def count_nbytes(self) -> int:
        """Returns the bytes of the inputs of a patch."""
        import tensorflow as tf

        inputs = tf.nest.flatten(self.read(np.arange(0))[0])
        return sum(math.prod(a.shape[1:]) * a.itemsize for a in inputs)

    def batches(
        self, order: Order, *, part: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Makes batches of every patch once, the last short one included.

        Args:
            order: Which patches come when.
            part: (index, count): each batch is cut into `count` parts that follow one
                another, of nearly equal size, and only part `index` is read. A part of
                a short batch can be empty.

        Returns:
            Data set of what `read` returns.
        """
        import tensorflow as tf

        nothing = self.read(np.arange(0))  # tells structure, shapes and types
        arrays = tf.nest.flatten(nothing)

        def gather(rows: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
            return tf.nest.flatten(self.read(rows))

        def read(rows: tf.Tensor) -> Any:
            # Unlike a generator, this reads several batches at the same time; but only
            # while no state is said to change: with op determinism, TensorFlow would
            # read each batch when it is asked for, and none ahead.
            types = [array.dtype for array in arrays]
            tensors = tf.numpy_function(gather, [rows], types, stateful=False)
            for tensor, array in zip(tensors, arrays, strict=True):
                tensor.set_shape((None, *array.shape[1:]))
            return tf.nest.pack_sequence_as(nothing, tensors)

        dataset = self.make_rows(order, part=part).map(
            read, num_parallel_calls=self.ahead.parallel_reads, deterministic=True
        )
        return dataset.prefetch(self.ahead.batches_ahead)

    def make_rows(self, order: Order, *, part: tuple[int, int]) -> tf.data.Dataset:
        """Makes batches of the numbers of patches; see `batches`."""
        import tensorflow as tf

        numbers = order.draw(self.num_patches)
        rows = tf.data.Dataset.from_tensor_slices(numbers).batch(order.batch_size)
        index, count = part
        if count == 1:
            return rows

        def cut(rows: tf.Tensor) -> tf.Tensor:
            size = tf.shape(rows)[0]
            # Where parts begin and end, as np.array_split cuts.
            start, stop = (
                size // count * i + tf.minimum(i, size % count)
                for i in (index, index + 1)
            )
            return rows[start:stop]

        return rows.map(cut)

    def feed(self, strategy: tf.distribute.Strategy, order: Order) -> Iterable[Any]:
        """Makes batches, cut for the devices.

        Args:
            strategy: Where to compute.
            order: Which patches come when.
        """
        batches: Iterable[Any] = distribute(
            strategy, functools.partial(self.batches, order)
        )
        return batches


class ChosenPatches(PatchData):
    """Some patches of others."""

    def __init__(self, data: PatchData, rows: npt.NDArray[np.int64]) -> None:
        """Takes patches, and the numbers of those to choose, shape (patch,)."""
        ids = [data.patch_ids[row] for row in rows.tolist()]
        super().__init__(ids, data.ahead)
        self._data, self._rows = data, rows

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.uint8]]:
        """Reads some patches; see `PatchData.read`."""
        return self._data.read(self._rows[rows])


@contextlib.contextmanager
def unwrap_errors() -> Iterator[None]:
    """Raises again the error of a reader that TensorFlow wrapped in one of its own.

    Raises:
        ShardError: If a shard is damaged.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as cause:
        # TensorFlow keeps the name of the class and the message, then the traceback.
        found = re.search(r"\bShardError: (.+)", cause.message)
        if found is None:
            raise
        raise ShardError(found[1]) from None

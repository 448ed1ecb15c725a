"""Patches → batches of inputs and labels, in a reproducible order.

Patches are read by number, so that an order is a permutation of numbers, and skipping
batches reads nothing.
"""

from __future__ import annotations

import contextlib
import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from baselines.settings import Settings
from baselines.stored_rows import open_rows
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.loading.labels import map_vectors
from bigearthnet.reading.choice import choose_patches
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.store import Store
from bigearthnet.store.compatibility import hash_lines
from bigearthnet.util.options import check_batch_size

if TYPE_CHECKING:
    import tensorflow as tf

# Makes the batches of one `part`, as `PatchData.batches` does.
MakeBatches: TypeAlias = "Callable[..., tf.data.Dataset]"

# Third number of the seeds of draws that are not an epoch's order.
_FRACTION, _LABELS = 1, 2


def hash_ids(patch_ids: Iterable[str]) -> str:
    """Returns the sha256 of the sorted ids, joined by newlines, in UTF-8."""
    return hash_lines(sorted(patch_ids))


def draw_order(num_patches: int, seed: int | None, epoch: int) -> npt.NDArray[np.int64]:
    """Returns the order of patches in an epoch, a function of seed and epoch alone.

    Args:
        num_patches: How many patches there are.
        seed: Seed; None for the stored order.
        epoch: Number of the epoch, from 0.

    Returns:
        Shape (patch,), int64: numbers in [0, num_patches), each once.
    """
    if seed is None:
        return np.arange(num_patches)
    return np.random.default_rng([seed, epoch]).permutation(num_patches)


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

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Makes batches of every patch once, the last short one included.

        Args:
            batch_size: Patches of a batch.
            seed: Seed of the order, see `draw_order`; None for the stored order.
            epoch: Number of the epoch, from 0.
            start_batch: Number of the first batch; those before it are not read.
            part: (index, count): each batch is cut into `count` parts that follow one
                another, of nearly equal size, and only part `index` is read. A part of
                a short batch can be empty.

        Returns:
            Data set of what `read` returns.
        """
        import tensorflow as tf

        check_batch_size(batch_size)
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

        rows = self.make_rows(batch_size, seed, epoch, start_batch, part)
        dataset = rows.map(
            read, num_parallel_calls=self.ahead.parallel_reads, deterministic=True
        )
        return dataset.prefetch(self.ahead.batches_ahead)

    def make_rows(
        self,
        batch_size: int,
        seed: int | None,
        epoch: int,
        start_batch: int,
        part: tuple[int, int],
    ) -> tf.data.Dataset:
        """Makes batches of the numbers of patches; see `batches`."""
        import tensorflow as tf

        order = draw_order(self.num_patches, seed, epoch)[start_batch * batch_size :]
        rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
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

    def feed(
        self,
        distribute: Callable[[MakeBatches], Iterable[Any]],
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
    ) -> Iterable[Any]:
        """Makes batches, cut for the devices.

        Args:
            distribute: Cuts what a function from `part` to a data set makes.
            batch_size: Patches of a batch, over all devices.
            seed: As in `batches`, like what follows.
            epoch: Number of the epoch.
            start_batch: Number of the first batch.
        """
        return distribute(
            functools.partial(
                self.batches,
                batch_size,
                seed=seed,
                epoch=epoch,
                start_batch=start_batch,
            )
        )


class StoreData(PatchData):
    """Patches of a store. Inputs: group → shape (batch, band, y, x), uint16.

    Attributes:
        store: The store.
        split: Names of the splits, joined by +.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        split: str | None = None,
        ahead: ReadAhead | None = None,
    ) -> None:
        """Opens splits of a store.

        Args:
            store: What `open_random_access` returned.
            settings: Bands and labels.
            split: Names of splits, joined by +, with all of their patches and their own
                labels; None for what the settings say to train on.
            ahead: How far to read ahead.

        Raises:
            OptionError: If there is no such split, or no train patch is left.
            StoreError: If a file of the store is not there.
            ShardError: If the store is damaged.
        """
        self.store, self.split = store, split or settings.train_split
        self._reader, ids, self._vectors = open_rows(store, self.split)
        self._groups, self._target = settings.groups, settings.nomenclature
        self._stored = store.config.release.label_sets[0]
        self._rows = np.arange(len(ids))
        seed = settings.seed
        if split is None:
            where = settings.where or None
            chosen = choose_patches(store, self.split, where).rows
            rows = self._rows if chosen is None else chosen
            self._rows = rows[_draw_rows(len(rows), settings.fraction, seed)]
        self._label_rows = self._rows
        if split is None and settings.shuffle_labels:
            draws = np.random.default_rng([seed, 0, _LABELS])
            self._label_rows = draws.permutation(self._rows)
        super().__init__([ids[row] for row in self._rows.tolist()], ahead)

    @property
    def synthetic_patches(self) -> int:
        """Those of these patches that are made up."""
        facts = self.store.manifest["patches"]
        if facts["synthetic"] in (0, facts["rows"]):  # none of the store, or all
            return len(self._rows) if facts["synthetic"] else 0
        source = self._reader.gather(self._rows, ["tile_source"])["tile_source"]
        return sum(SYNTHETIC in str(text) for text in source)

    def read(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[dict[str, npt.NDArray[np.uint16]], npt.NDArray[np.uint8]]:
        """Reads some patches; see `PatchData.read`.

        Raises:
            ShardError: If a shard is damaged.
        """
        if self._label_rows is not self._rows:
            inputs = self._reader.gather(self._rows[rows], self._groups)
            return inputs, self.read_labels(rows)
        columns = [*self._groups, self._stored.vector]
        batch = self._reader.gather(self._rows[rows], columns)
        return batch, self._map(batch.pop(self._stored.vector))

    def read_labels(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Returns the labels of some patches alone, of the table of patches."""
        return self._map(self._vectors[self._label_rows[rows]])

    def _map(self, vectors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return map_vectors(vectors, self._stored.nomenclature, self._target)


def count_patch_nbytes(data: PatchData) -> int:
    """Returns the bytes of the inputs of a patch."""
    import tensorflow as tf

    inputs, _ = data.read(np.arange(0))
    return sum(
        int(np.prod(array.shape[1:])) * array.itemsize
        for array in tf.nest.flatten(inputs)
    )


def _draw_rows(total: int, fraction: float, seed: int) -> npt.NDArray[np.int64]:
    """Draws a part of the rows, at least one, and returns them in ascending order."""
    if fraction == 1:
        return np.arange(total)
    count = max(1, round(fraction * total))
    draws = np.random.default_rng([seed, 0, _FRACTION])
    return np.sort(draws.permutation(total)[:count])


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

"""Splits of a store → batches of stored bands and labels, in a reproducible order.

Patches are read by number, so that an order is a permutation of numbers, and skipping
batches reads nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from baselines.errors import CacheError
from baselines.settings import Settings, split_names
from baselines.sources import PATCH_ID, open_random_access, open_source
from bigearthnet.engine.keys import hash_key
from bigearthnet.errors import BigEarthNetError, ShardError
from bigearthnet.loading.labels import STORED, map_labels
from bigearthnet.release.nomenclature import NOMENCLATURES
from bigearthnet.schema.features import S2_SCHEMA
from bigearthnet.store import PATCHES, Store
from bigearthnet.util.options import check_batch_size

if TYPE_CHECKING:
    import tensorflow as tf

# Batches that are read at the same time, and that wait; one of all bands has 20 MB.
_READ_AHEAD = 2
# Third number of the seeds of draws that are not an epoch's order.
_FRACTION, _LABELS = 1, 2


class TrainingData(Protocol):
    """Patches of one or more splits, as a training loop takes them."""

    @property
    def num_patches(self) -> int:
        """How many patches there are."""

    @property
    def ids_sha256(self) -> str:
        """What `hash_ids` makes of their ids."""

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
    ) -> tf.data.Dataset:
        """Makes batches of every patch once, the last short one included.

        Args:
            batch_size: Patches of a batch.
            seed: Seed of the order, see `draw_order`; None for the stored order.
            epoch: Number of the epoch, from 0.
            start_batch: Leaves out as many batches, without reading them.

        Returns:
            Data set of (inputs, multi-hot labels of shape (batch, class), uint8).
        """

    def labelled_batches(self, batch_size: int) -> tf.data.Dataset:
        """Makes batches in stored order, with patch ids.

        Args:
            batch_size: Patches of a batch.

        Returns:
            Data set of (inputs, multi-hot labels of shape (batch, class), uint8, patch
            ids of shape (batch,), string).
        """


def hash_ids(patch_ids: Iterable[str]) -> str:
    """Returns the sha256 of the sorted ids, joined by newlines, in UTF-8."""
    return hashlib.sha256("\n".join(sorted(patch_ids)).encode()).hexdigest()


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


def read_patch_ids(store: Store, split: str) -> list[str]:
    """Reads the ids of a split's stored patches, in the order of its shards.

    Raises:
        ShardError: If the table of patches is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = store.folder / PATCHES
    try:
        with path.open("rb") as file:
            table = pq.read_table(
                file,
                columns=[PATCH_ID],
                filters=[("stored", "=", True), ("split", "=", split)],
            )
    except (OSError, pa.ArrowException) as cause:
        raise ShardError.unreadable(path, cause) from None
    return sorted(table[PATCH_ID].to_pylist(), key=lambda i: hash_key(split, i))


def open_train_data(settings: Settings, data_dir: Path) -> StoreData:
    """Opens what a model is trained on; see `StoreData`."""
    return StoreData(
        data_dir,
        settings.train_split,
        config=settings.config,
        groups=settings.groups,
        labels=settings.labels,
        fraction=settings.fraction,
        seed=settings.seed,
        shuffle_labels=settings.shuffle_labels,
    )


def open_data(settings: Settings, data_dir: Path, split: str) -> StoreData:
    """Opens all patches of other splits with their own labels; see `StoreData`."""
    return StoreData(
        data_dir,
        split,
        config=settings.config,
        groups=settings.groups,
        labels=settings.labels,
    )


class StoreData:
    """Patches of a store. Inputs: group → shape (batch, band, y, x), uint16.

    Attributes:
        num_patches: How many patches there are.
        ids_sha256: What `hash_ids` makes of their ids.
        patch_ids: The ids, in stored order.
        statistics: The store's statistics.json.
        synthetic_patches: Patches of the store that are made up, of any split.
    """

    def __init__(
        self,
        data_dir: Path,
        split: str,
        *,
        config: str,
        groups: Sequence[str],
        labels: str,
        fraction: float = 1.0,
        seed: int = 0,
        shuffle_labels: bool = False,
    ) -> None:
        """Opens splits of the Arrow or TFRecord store of a data directory.

        Args:
            data_dir: The data directory of the build.
            split: Names of splits, joined by +.
            config: `s2` or `s2-random`.
            groups: Names of the stored groups of bands to read.
            labels: Name of the nomenclature.
            fraction: Part of the patches to use, in (0, 1].
            seed: Seed that draws the part, and shuffles labels.
            shuffle_labels: Gives each patch the labels of another one.

        Raises:
            OptionError: If there is no such split, or only a Parquet store.
            StoreError: If there is no store, or one of its files is not there.
            ShardError: If the store is damaged.
        """
        store = open_random_access(data_dir, config)
        names = split_names(split)
        chosen = [f for f in S2_SCHEMA if f.name in (*groups, STORED)]
        self._source = open_source(store, names, chosen)
        self._groups, self._target = tuple(groups), NOMENCLATURES[labels]
        ids = [patch for name in names for patch in read_patch_ids(store, name)]
        if len(ids) != self._source.num_rows:
            raise ShardError(
                f"{store.folder} is damaged: its shards of {split} hold "
                f"{self._source.num_rows:,} patches, its {PATCHES} {len(ids):,}. Build "
                "or download it again."
            )
        self._rows = _draw_rows(len(ids), fraction, seed)
        self._label_rows = self._rows
        if shuffle_labels:
            draws = np.random.default_rng([seed, 0, _LABELS])
            self._label_rows = draws.permutation(self._rows)
        self.patch_ids = [ids[row] for row in self._rows.tolist()]
        self.num_patches = len(self.patch_ids)
        self.ids_sha256 = hash_ids(self.patch_ids)
        self.statistics = store.statistics
        self.synthetic_patches: int = store.manifest["patches"]["synthetic"]

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
    ) -> tf.data.Dataset:
        """Makes batches of every patch once; see `TrainingData`."""
        order = draw_order(self.num_patches, seed, epoch)
        return self._read(batch_size, order[start_batch * batch_size :], with_ids=False)

    def labelled_batches(self, batch_size: int) -> tf.data.Dataset:
        """Makes batches in stored order, with patch ids; see `TrainingData`."""
        return self._read(batch_size, np.arange(self.num_patches), with_ids=True)

    def _read(
        self, batch_size: int, order: npt.NDArray[np.int64], *, with_ids: bool
    ) -> tf.data.Dataset:
        import tensorflow as tf

        check_batch_size(batch_size)
        shuffled = self._label_rows is not self._rows
        names = [*self._groups, STORED, *([PATCH_ID] if with_ids else [])]

        def read(rows: tf.Tensor, label_rows: tf.Tensor) -> tuple[Any, ...]:
            batch = self._source.read(rows, names)
            if shuffled:
                batch[STORED] = self._source.read(label_rows, [STORED])[STORED]
            inputs = {name: batch[name] for name in self._groups}
            labels = map_labels(batch[STORED], self._target)
            return (inputs, labels, batch[PATCH_ID]) if with_ids else (inputs, labels)

        rows = (self._rows[order], self._label_rows[order])
        dataset = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)
        dataset = dataset.map(read, num_parallel_calls=_READ_AHEAD, deterministic=True)
        return dataset.prefetch(_READ_AHEAD)


def _draw_rows(total: int, fraction: float, seed: int) -> npt.NDArray[np.int64]:
    """Draws a part of the rows, at least one, and returns them in ascending order."""
    if fraction == 1:
        return np.arange(total)
    count = max(1, round(fraction * total))
    draws = np.random.default_rng([seed, 0, _FRACTION])
    return np.sort(draws.permutation(total)[:count])


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Makes what a reader raised within TensorFlow the error that it was again.

    Raises:
        ShardError: If a shard is damaged.
        CacheError: If cached features are.
    """
    import tensorflow as tf

    kinds: dict[str, type[BigEarthNetError]] = {
        kind.__name__: kind for kind in (ShardError, CacheError)
    }
    try:
        yield
    except tf.errors.OpError as cause:
        # TensorFlow keeps the name of the class and the message, then the traceback.
        found = re.search(rf"\b({'|'.join(kinds)}): (.+)", cause.message)
        if found is None:
            raise
        raise kinds[found[1]](found[2]) from None

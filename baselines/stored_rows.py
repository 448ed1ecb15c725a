"""Patches of a store as numbered rows, which can be read in any order."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import PatchData, ReadAhead
from baselines.settings import Settings
from baselines.splits import NO_SPLIT, split_names
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.loading.labels import map_vectors
from bigearthnet.reading import open_shards
from bigearthnet.reading.choice import choose_patches, read_in_order
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.store import Store
from bigearthnet.store.nearby import advise_conversion
from bigearthnet.store.search import open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from bigearthnet.reading.arrow import ArrowReader
    from bigearthnet.reading.tfrecord import TFRecordReader

# Formats whose patches can be read in any order; Arrow copies least.
_FORMATS = ("arrow", "tfrecord")

# Third number of the seeds of draws that are not an epoch's order.
_FRACTION, _LABELS = 1, 2


class StoredRows(NamedTuple):
    """The patches of some splits, one split after the other.

    Attributes:
        reader: Reads them by number.
        patch_ids: Id of each.
        vectors: Labels of each in the stored classes, shape (patch, class), uint8; of
            the table of patches, so that no record is read for them.
    """

    reader: ArrowReader | TFRecordReader
    patch_ids: list[str]
    vectors: npt.NDArray[np.uint8]


def open_random_access(data_dir: Path, config: str) -> Store:
    """Opens a store whose patches can be read in any order.

    Raises:
        OptionError: If there is only a Parquet store.
        StoreError: If there is no store of the configuration.
    """
    chosen = get_config(config, RELEASES)
    for form in _FORMATS if chosen.columns else ("tfrecord",):
        with contextlib.suppress(StoreError):
            return open_store(data_dir, chosen, form)
    store = open_store(data_dir, chosen)
    raise OptionError(
        f"{store.folder} is {store.format.name}, which cannot be read in any order. "
        f"Make arrow of it, too: {advise_conversion(data_dir, config, 'arrow')}"
    )


def open_rows(store: Store, split: str) -> StoredRows:
    """Opens splits of a store.

    Args:
        store: What `open_random_access` returned.
        split: Names of the splits, joined by +.

    Raises:
        OptionError: If the store has no such split.
        StoreError: If one of the shards is not there.
        ShardError: If the store is damaged.
    """
    names = split_names(split, store.config.release.splits)
    reader = open_shards(
        store.format.name,
        [path for name in names for path in store.shards(name)],
        [count for name in names for count in store.rows(name)],
        store.features,
    )
    table = read_in_order(store, names, ["labels"])
    num_classes = len(store.config.release.label_sets[0].nomenclature)
    return StoredRows(
        cast("ArrowReader | TFRecordReader", reader),
        table["patch_id"].to_pylist(),
        _make_vectors(table["labels"].combine_chunks(), num_classes),
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


def open_train_data(
    chosen: Settings, data_dir: Path, ahead: ReadAhead | None = None
) -> tuple[StoreData, StoreData | None]:
    """Opens the patches to train on, and those of the validation split if any."""
    store = open_random_access(data_dir, chosen.config)
    validation = chosen.validation_split
    return (
        StoreData(store, chosen, None, ahead),
        None if validation == NO_SPLIT else StoreData(store, chosen, validation, ahead),
    )


def _make_vectors(labels: pa.ListArray, num_classes: int) -> npt.NDArray[np.uint8]:
    """Returns multi-hot vectors of lists of class ids, shape (patch, class)."""
    vectors = np.zeros((len(labels), num_classes), np.uint8)
    rows = np.repeat(np.arange(len(labels)), labels.value_lengths().to_numpy())
    vectors[rows, labels.flatten().to_numpy()] = 1
    return vectors


def _draw_rows(total: int, fraction: float, seed: int) -> npt.NDArray[np.int64]:
    """Draws a part of the rows, at least one, and returns them in ascending order."""
    if fraction == 1:
        return np.arange(total)
    count = max(1, round(fraction * total))
    draws = np.random.default_rng([seed, 0, _FRACTION])
    return np.sort(draws.permutation(total)[:count])

"""Patches of a store, or of a pair, as numbered rows, read in any order."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import PatchData, ReadAhead
from baselines.settings import Settings
from baselines.splits import NO_SPLIT, split_names
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.loading.labels import map_vectors
from bigearthnet.reading import open_stores
from bigearthnet.reading.choice import Choice, choose_patches, read_in_order
from bigearthnet.reading.reader import Reader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.store.nearby import advise_conversion
from bigearthnet.store.pairs import open_parts
from bigearthnet.store.remote import AnyStore

if TYPE_CHECKING:
    import pyarrow as pa

# Formats whose patches can be read in any order; Arrow copies least.
_FORMATS = ("arrow", "tfrecord")

# Third number of the seeds of draws that are not an epoch's order.
_FRACTION, _LABELS = 1, 2


@dataclass(frozen=True)
class Stores:
    """A store, or several of the same patches that are read as one.

    Attributes:
        config: The configuration that they are read as.
        parts: The stores; what all of them have is read of the first.
    """

    config: Config
    parts: tuple[AnyStore, ...]

    def __str__(self) -> str:
        return " and ".join(str(part.place) for part in self.parts)

    @property
    def statistics(self) -> Mapping[str, Any]:
        """Content of statistics.json, with the bands of all."""
        bands = [part.statistics.get("bands") or {} for part in self.parts]
        return {"bands": {name: s for found in bands for name, s in found.items()}}

    @property
    def manifests(self) -> list[Mapping[str, Any]]:
        """Content of the manifest.json of each."""
        return [part.manifest for part in self.parts]

    def files(self, split: str) -> list[Mapping[str, Any]]:
        """Returns what the manifests say of each shard of a split, in order."""
        return [file for part in self.parts for file in part.files(split)]


class StoredRows(NamedTuple):
    """The patches of some splits, one split after the other.

    Attributes:
        reader: Reads them by number.
        patch_ids: Id of each.
        vectors: Labels of each in the stored classes, shape (patch, class), uint8; of
            the table of patches, so that no record is read for them.
    """

    reader: Reader
    patch_ids: list[str]
    vectors: npt.NDArray[np.uint8]


def open_random_access(data_dir: Path, config: str) -> Stores:
    """Opens a store, or a pair, whose patches can be read in any order.

    Raises:
        OptionError: If there are only Parquet stores.
        StoreError: If there is no store of the configuration, nor a pair of its parts.
    """
    chosen = get_config(config, RELEASES)
    for form in _FORMATS if chosen.parts else ("tfrecord",):
        with contextlib.suppress(StoreError):
            return Stores(chosen, open_parts(data_dir, chosen, form))
    stores = Stores(chosen, open_parts(data_dir, chosen))
    commands = " && ".join(
        advise_conversion(data_dir, part.config.name, "arrow") for part in stores.parts
    )
    raise OptionError(
        f"{stores}: {stores.parts[0].format.name} cannot be read in any order. Make "
        f"arrow of it, too: {commands}"
    )


def open_rows(stores: Stores, split: str) -> StoredRows:
    """Opens splits of a store, or of a pair.

    Args:
        stores: What `open_random_access` returned.
        split: Names of the splits, joined by +.

    Raises:
        OptionError: If a store has no such split.
        StoreError: If one of the shards is not there, or the patches of a pair differ.
        ShardError: If a store is damaged.
    """
    names = split_names(split, stores.config.release.splits)
    reader = open_stores(stores.parts, Choice(names, None), stores.config)
    table = read_in_order(stores.parts[0], names, ["labels"])
    num_classes = len(stores.config.release.label_sets[0].nomenclature)
    return StoredRows(
        reader,
        table["patch_id"].to_pylist(),
        _make_vectors(table["labels"].combine_chunks(), num_classes),
    )


class StoreData(PatchData):
    """Patches of stores. Inputs: group → shape (batch, band, y, x), as stored.

    Attributes:
        stores: The store, or the pair.
        split: Names of the splits, joined by +.
    """

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        split: str | None = None,
        ahead: ReadAhead | None = None,
    ) -> None:
        """Opens splits of a store, or of a pair.

        Args:
            stores: What `open_random_access` returned.
            settings: Bands and labels.
            split: Names of splits, joined by +, with all of their patches and their own
                labels; None for what the settings say to train on.
            ahead: How far to read ahead.

        Raises:
            OptionError: If there is no such split, or no train patch is left.
            StoreError: If a file is not there, or the patches of a pair differ.
            ShardError: If a store is damaged.
        """
        self.stores, self.split = stores, split or settings.train_split
        self._reader, ids, self._vectors = open_rows(stores, self.split)
        self._groups, self._target = settings.groups, settings.nomenclature
        self._stored = stores.config.release.label_sets[0]
        self._rows = np.arange(len(ids))
        seed = settings.seed
        if split is None:
            where = settings.where or None
            chosen = choose_patches(stores.parts[0], self.split, where).rows
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
        patches = [manifest["patches"] for manifest in self.stores.manifests]
        facts = max(patches, key=lambda facts: int(facts["synthetic"]))
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
    stores = open_random_access(data_dir, chosen.config)
    data = StoreData(stores, chosen, None, ahead)
    if chosen.validation_split == NO_SPLIT:
        return data, None
    return data, StoreData(stores, chosen, chosen.validation_split, ahead)


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

"""Splits of a store as numbered rows, which can be read in any order."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from baselines.splits import split_names
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.reading import open_shards
from bigearthnet.reading.choice import read_in_order
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import Store
from bigearthnet.store.nearby import advise_conversion
from bigearthnet.store.search import open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from bigearthnet.reading.arrow import ArrowReader
    from bigearthnet.reading.tfrecord import TFRecordReader

# Formats whose patches can be read in any order; Arrow copies least.
_FORMATS = ("arrow", "tfrecord")


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


def _make_vectors(labels: pa.ListArray, num_classes: int) -> npt.NDArray[np.uint8]:
    """Returns multi-hot vectors of lists of class ids, shape (patch, class)."""
    vectors = np.zeros((len(labels), num_classes), np.uint8)
    rows = np.repeat(np.arange(len(labels)), labels.value_lengths().to_numpy())
    vectors[rows, labels.flatten().to_numpy()] = 1
    return vectors

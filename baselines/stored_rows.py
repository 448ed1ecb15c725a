"""Splits of a store as numbered rows, which can be read in any order."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from baselines.settings import split_names
from bigearthnet.engine.keys import hash_key
from bigearthnet.errors import OptionError, ShardError, StoreError
from bigearthnet.reading import open_shards
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import PATCHES, Store
from bigearthnet.store.nearby import advise_conversion
from bigearthnet.store.search import open_store

if TYPE_CHECKING:
    from bigearthnet.reading.arrow import ArrowReader
    from bigearthnet.reading.tfrecord import TFRecordReader

# Formats whose patches can be read in any order; Arrow copies least.
_FORMATS = ("arrow", "tfrecord")


class StoredRows(NamedTuple):
    """The patches of some splits, one split after the other.

    Attributes:
        reader: Reads them by number.
        patch_ids: Id of each.
    """

    reader: ArrowReader | TFRecordReader
    patch_ids: list[str]


def open_random_access(data_dir: Path, config: str) -> Store:
    """Opens a store whose patches can be read in any order.

    Raises:
        OptionError: If there is only a Parquet store.
        StoreError: If there is no store of the configuration.
    """
    chosen = get_config(config, RELEASES)
    for form in _FORMATS:
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
    names = split_names(split)
    reader = open_shards(
        store.format.name,
        [path for name in names for path in store.shards(name)],
        [count for name in names for count in store.rows(name)],
        store.features,
    )
    patch_ids = [patch for name in names for patch in _read_patch_ids(store, name)]
    if len(patch_ids) != len(reader):
        raise ShardError(
            f"{store.folder} is damaged: its shards of {split} hold {len(reader):,} "
            f"patches, its {PATCHES} {len(patch_ids):,}. Build or download it again."
        )
    return StoredRows(cast("ArrowReader | TFRecordReader", reader), patch_ids)


def _read_patch_ids(store: Store, split: str) -> list[str]:
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
                columns=["patch_id"],
                filters=[("stored", "=", True), ("split", "=", split)],
            )
    except (OSError, pa.ArrowException) as cause:
        raise ShardError.unreadable(path, cause) from None
    return sorted(table["patch_id"].to_pylist(), key=lambda i: hash_key(split, i))

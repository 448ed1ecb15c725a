"""Which patches a reader offers: parts of splits, and conditions; reads no pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError, ShardError, StoreError
from bigearthnet.reading.splits import parse_split
from bigearthnet.store import PATCHES, Described, read_patches
from bigearthnet.store.order import hash_key
from bigearthnet.util.wording import count_of

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from bigearthnet.reading.conditions import Where
    from bigearthnet.schema.configs import Config
    from bigearthnet.schema.features import Feature
    from bigearthnet.store.remote import AnyStore
    from bigearthnet.util.remote import RemotePath


class Choice(NamedTuple):
    """Some patches of a store.

    Attributes:
        splits: Names of the splits, one after the other.
        rows: Numbers of patches in these, in the order of the shards, counted through
            from the first split, ascending, int64; None for all.
    """

    splits: tuple[str, ...]
    rows: npt.NDArray[np.int64] | None

    def keep(self, kept: npt.NDArray[np.bool_]) -> Choice:
        """Returns those of the patches that are also kept, of all in the splits."""
        if self.rows is None:
            return self if kept.all() else Choice(self.splits, np.flatnonzero(kept))
        return Choice(self.splits, self.rows[kept[self.rows]])


def choose_patches(store: Described, split: str, where: Where | None = None) -> Choice:
    """Chooses patches by split, and by what the table of patches says of them.

    Args:
        store: The store.
        split: See `splits.parse_split`.
        where: See `conditions.match_patches`; of parts of splits, those that are there.

    Raises:
        OptionError: If one of them has no meaning, or no patch is left.
        StoreError: If the table of patches does not say what is asked for.
        ShardError, DownloadError: If it is damaged, or cannot be had.
    """
    chosen = Choice(*parse_split(split, store))
    if where is not None:
        from bigearthnet.reading import conditions

        parsed = conditions.parse_where(where)
        needed = conditions.needed_columns(parsed, store.config)
        table = read_in_order(store, chosen.splits, needed)
        chosen = chosen.keep(conditions.match_patches(table, parsed, store.config))
    if chosen.rows is not None and not len(chosen.rows):
        asked = "" if where is None else f" where {where}"
        raise OptionError(f"no patch: {store.place} has none of {split}{asked}.")
    return chosen


def list_shards(
    store: AnyStore, choice: Choice
) -> tuple[
    str,
    tuple[Path | RemotePath, ...],
    tuple[int, ...],
    tuple[Feature, ...],
    npt.NDArray[np.int64] | None,
    Config,
]:
    """Returns what `reading.open_shards` takes.

    Raises:
        OptionError, StoreError: If a split, or one of its files, is not there.
    """
    paths = tuple(path for split in choice.splits for path in store.shards(split))
    rows = tuple(count for split in choice.splits for count in store.rows(split))
    return store.format.name, paths, rows, store.features, choice.rows, store.config


def read_in_order(
    store: Described, splits: Sequence[str], columns: Iterable[str]
) -> pa.Table:
    """Reads what the table of patches says of stored patches, in the shards' order.

    Raises:
        StoreError: If the table has no such column.
        ShardError: If it is damaged, or is not that of the shards.
        DownloadError: If it cannot be had.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = ["patch_id", "split", "stored", *columns]
    table = read_patches(store, [*dict.fromkeys(wanted)])
    if missing := sorted(set(wanted) - set(table.column_names)):
        raise StoreError(
            f"{store.place / PATCHES} has no {', '.join(missing)}: an older version "
            "wrote it. Build the store again to choose patches by that."
        )
    table = table.filter(table["stored"])
    parts = []
    for split in splits:
        part = table.filter(pc.equal(table["split"], split))
        if len(part) != store.num_patches(split):
            raise ShardError(
                f"{store.place} is damaged: its shards of {split} hold "
                f"{count_of(store.num_patches(split), 'patch')}, its {PATCHES} "
                f"{len(part):,}. "
                "Build or download it again."
            )
        keys = [hash_key(split, patch_id) for patch_id in part["patch_id"].to_pylist()]
        parts.append(part.take(sorted(range(len(keys)), key=keys.__getitem__)))
    return pa.concat_tables(parts)

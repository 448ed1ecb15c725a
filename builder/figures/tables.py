"""The table of patches of a store, or such a table alone, checked and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.errors import OptionError, ShardError
from bigearthnet.formats.parquet import open_file
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import get_config
from bigearthnet.store import PATCHES, Store
from bigearthnet.store.search import find_stores
from builder.card.patches import make_masks

_NEEDED = ("patch_id", "labels", "split")


@dataclass(frozen=True)
class Patches:
    """Every patch of a table.

    Attributes:
        release: The release that they are of.
        path: The table's file.
        table: Columns as `manifest.make_patches_table` writes them; of those that are
            not needed for a count, some may be missing.
        masks: Class ids of each in the release's nomenclature, as bits, shape (patch,),
            uint64.
        store: The store whose table it is; None for a table alone.
    """

    release: Release
    path: Path
    table: pa.Table
    masks: npt.NDArray[np.uint64]
    store: Store | None = None

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def splits(self) -> npt.NDArray[np.object_]:
        """The split of each, shape (patch,), str."""
        return self.table["split"].to_numpy()

    @property
    def num_synthetic(self) -> int:
        """How many are made up, as far as the store says it."""
        return (
            0
            if self.store is None
            else self.store.manifest["patches"].get("synthetic", 0)
        )


def choose_stores(
    data_dir: Path, config: str | None = None, releases: Sequence[Release] = RELEASES
) -> list[Store]:
    """Finds the stores of a data directory that hold the same patches.

    Args:
        data_dir: The data directory, or the folder of a store.
        config: Name of a configuration; None where all stores have one split scheme.
        releases: The releases that they may be of.

    Returns:
        A store of each configuration of that release and split scheme, the chosen one
        first, or else the one of most archives.

    Raises:
        OptionError: If there are several schemes or releases, and none is chosen.
        StoreError, ShardError: If there is no store, or one cannot be read.
    """
    found = {store.config.name: store for store in find_stores(data_dir, releases)}
    if config is not None:
        asked = get_config(config, releases)
        names = [asked.name]
        if asked.name not in found and asked.parts:  # tables of several sensors
            names = [part.name for part in asked.parts]
        name = names[0]
        if not found.keys() >= set(names):
            raise OptionError(
                f"config: {data_dir} has no store of {asked.name}: expected one of "
                f"{', '.join(found)}."
            )
    else:
        kinds = {
            (s.config.release.name, s.config.choice.scheme) for s in found.values()
        }
        if len(kinds) > 1:
            raise OptionError(
                f"{data_dir} has stores of several releases or splits: choose one with "
                f"--config, of {', '.join(found)}."
            )
        name = max(found, key=lambda n: len(found[n].config.archives))
    first = found.pop(name)
    wanted = first.config.release, first.config.choice.scheme
    others = [
        store
        for store in found.values()
        if (store.config.release, store.config.choice.scheme) == wanted
    ]
    return [first, *others]


def read_store_patches(store: Store) -> Patches:
    """Reads the table of patches of a store; see `read_patches`."""
    return _make(store.folder / PATCHES, [store.config.release], store)


def read_patches(path: Path, releases: Sequence[Release] = RELEASES) -> Patches:
    """Reads a table of patches; its ids say which release it is of.

    Raises:
        OptionError: If it is no table of patches, or has none of a known release.
        ShardError: If the file is missing or damaged.
    """
    return _make(path, releases, None)


def _make(path: Path, releases: Sequence[Release], store: Store | None) -> Patches:
    with open_file(path) as file:
        table = file.read()
    if missing := [name for name in _NEEDED if name not in table.column_names]:
        raise OptionError(
            f"{path} has no column {', '.join(missing)}: expected the {PATCHES} of a "
            "store."
        )
    kind = table["labels"].type
    if (
        not (pa.types.is_list(kind) and pa.types.is_integer(kind.value_type))
        or table["labels"].null_count
    ):
        raise OptionError(
            f"{path}: expected lists of class ids as labels, got "
            f"{kind}, {table['labels'].null_count} of them null. The {PATCHES} of a "
            "store has them."
        )
    if not table.num_rows:
        raise OptionError(f"{path} has no patches.")
    first = str(table["patch_id"][0])
    release = next((r for r in releases if r.ids.matches(first)), None)
    if release is None:
        names = ", ".join(known.name for known in releases)
        raise OptionError(f"{path}: expected ids of {names}, got {first!r}.")
    ids = table["labels"].combine_chunks().flatten()
    if _is_outside(ids, len(release.nomenclature)):
        raise ShardError(
            f"{path} is damaged: expected class ids of {release.nomenclature.name}, 0 "
            f"to {len(release.nomenclature) - 1}, as labels."
        )
    return Patches(release, path, table, make_masks(table["labels"]), store)


def _is_outside(ids: pa.Array, count: int) -> bool:
    numbers = ids.to_numpy(zero_copy_only=False)
    return bool(len(numbers)) and not (numbers.min() >= 0 and numbers.max() < count)

"""The order of the examples of a split, which is TensorFlow Datasets' own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bigearthnet.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from bigearthnet.store import Described


def hash_key(split: str, patch_id: str) -> bytes:
    """Returns the 16 bytes that a split's examples are sorted by.

    Equal to `tfds.core.hashing.Hasher(split).hash_key(patch_id)` as a big-endian
    number: the md5 of the split's name followed by the patch id (tested equal).
    """
    return hashlib.md5((split + patch_id).encode(), usedforsecurity=False).digest()


def check_same_order(one: Described, other: Described) -> None:
    """Checks that two stores have the same patches in the same order.

    Args:
        one: A store.
        other: Another one, of the same release and split scheme.

    Raises:
        StoreError: If they differ.
        ShardError, DownloadError: If a table of patches cannot be read, which is done
            only where a manifest has no checksum of the ids.
    """
    stores = (one, other)
    digests = [
        {name: split.get("ids_sha256") for name, split in s.manifest["splits"].items()}
        for s in stores
    ]
    if None in [*digests[0].values(), *digests[1].values()]:
        # The order follows from splits and ids.
        same = _read_ids(one).equals(_read_ids(other))
    else:
        same = digests[0] == digests[1]
    if not same:
        counts = " and ".join(
            f"{store.place} ({', '.join(_count(store))})" for store in stores
        )
        raise StoreError(
            f"{counts} do not have the same patches in the same order, and cannot be "
            f"read together. Build {other.config.name} again beside the store of "
            f"{one.config.name}."
        )


def _read_ids(store: Described) -> pa.Table:
    """Reads ids and splits of the stored patches of a store, by id."""
    from bigearthnet.store import read_patches

    table = read_patches(store, ["patch_id", "split", "stored"])
    return table.filter(table["stored"])


def _count(store: Described) -> list[str]:
    return [f"{split} {store.num_patches(split):,}" for split in store.splits]

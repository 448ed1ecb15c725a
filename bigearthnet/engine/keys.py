"""The order of examples, and how a split is cut into shards.

Both are TensorFlow Datasets' own, so that our shards hold what its plain writer would
have put there. A change reorders the dataset: bump the major version.
"""

from __future__ import annotations

from bigearthnet.store.order import hash_key as hash_key

# Most patches of a shard. 4,000 patches are 640 MB, and the official splits become
# 128 + 32 + 32 shards.
MAX_PATCHES_PER_SHARD = 4_000


def num_shards(num_patches: int) -> int:
    """Returns the smallest power of two that keeps shards at or under the limit."""
    shards = 1
    while num_patches > shards * MAX_PATCHES_PER_SHARD:
        shards *= 2
    return shards


def shard_bounds(num_patches: int) -> list[tuple[int, int]]:
    """Cuts a split, sorted by key, into shards of equal size.

    The same cuts as TFDS's writer makes for that number of shards
    (`tensorflow_datasets/core/utils/shard_utils.py`, tested equal).

    Returns:
        First (included) and last (excluded) rank of each shard.
    """
    shards = num_shards(num_patches)
    ends = [round(num_patches * (i + 1) / shards) for i in range(shards)]
    return list(zip([0, *ends[:-1]], ends, strict=True))

from __future__ import annotations

import hashlib

import pytest

from bigearthnet.engine import keys
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2 = get_config("s2", RELEASES)

PATCH_IDS = ("S2A_MSIL2A_20170613T101031_0_45", "S2B_MSIL2A_20180204T94161_57_38", "")


def test_the_key_is_frozen() -> None:
    """The key is the md5 of the split's name followed by the patch id."""
    text = b"trainS2A_MSIL2A_20170613T101031_0_45"

    key = keys.hash_key("train", "S2A_MSIL2A_20170613T101031_0_45")

    assert hashlib.md5(text).digest() == key
    assert "4be2ad50cc553262d2b79c6d01757bda" == key.hex()


@pytest.mark.parametrize("split", ["train", "validation", "test", "excluded"])
@pytest.mark.parametrize("patch_id", PATCH_IDS)
def test_the_key_is_that_of_tfds(split: str, patch_id: str) -> None:
    """The key, as a big-endian number, is what TFDS's own hasher gives."""
    from tensorflow_datasets.core import hashing

    expected = hashing.Hasher(split).hash_key(patch_id)

    assert expected == int.from_bytes(keys.hash_key(split, patch_id), "big")


@pytest.mark.parametrize(
    ("patches", "shards"),
    [
        *[(0, 1), (1, 1), (4_000, 1), (4_001, 2), (8_000, 2), (8_001, 4)],
        *[(269_695, 128), (123_723, 32), (125_866, 32), (71_042, 32)],
        *[(311_603, 128), (103_868, 32), (70_987, 32)],
    ],
)
def test_shards_are_the_smallest_power_of_two(patches: int, shards: int) -> None:
    """The number of patches alone says how many shards hold at most 4,000 each."""
    assert shards == keys.num_shards(patches)


@pytest.mark.parametrize("count", [1, 3, 4_000, 4_001, 9_999, 71_042, 125_866, 269_695])
def test_shards_are_cut_where_tfds_cuts(count: int) -> None:
    """The bounds of the shards are those of TFDS's writer for as many shards."""
    from tensorflow_datasets.core.utils import shard_utils

    expected = shard_utils.get_shard_boundaries(count, keys.num_shards(count))

    bounds = keys.shard_bounds(count)

    assert list(expected) == [last for _, last in bounds]


@pytest.mark.parametrize("count", [1, 4_001, 12_345, 103_868, 269_695])
def test_shards_leave_no_gap(count: int) -> None:
    """Every patch is in exactly one shard, and no shard exceeds the limit."""
    bounds = keys.shard_bounds(count)
    ends = [last for _, last in bounds]

    assert [0, *ends[:-1]] == [first for first, _ in bounds]
    assert count == ends[-1]
    assert max(last - first for first, last in bounds) <= 4_000


def test_shards_of_tfds_have_our_names() -> None:
    """A shard has the file name that TFDS looks for."""
    from tensorflow_datasets.core import naming

    template = naming.ShardedFileTemplate(
        data_dir="/data",
        dataset_name="bigearthnet",
        split="validation",
        filetype_suffix="tfrecord",
    )
    expected = template.sharded_filepath(shard_index=7, num_shards=32)

    name = FORMATS["tfrecord"].shard_file(S2, "validation", 7, 32)

    assert "bigearthnet-validation.tfrecord-00007-of-00032" == name
    assert expected.name == name

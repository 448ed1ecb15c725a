from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bigearthnet.engine.shards import ShardPlan
from bigearthnet.engine.spool import bucket_path
from bigearthnet.engine.stage_two import (
    Buckets,
    decode_entry,
    encode_entry,
    find_written,
)
from bigearthnet.engine.storage import list_sizes
from bigearthnet.engine.workspace import Workspace, open_workspace
from bigearthnet.errors import JournalError
from bigearthnet.release.bands import GROUPS
from bigearthnet.store.result import ShardInfo
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.files import FileInfo

PLACE = np.dtype([("bucket", "<u2"), ("nbytes", "<u4"), ("offset", "<u8")])

FILES = {
    "tfrecord": FileInfo("train.tfrecord", 3, 2**40, "a" * 64),
    "arrow": FileInfo("train/data.arrow", 5, 0, "b" * 64),
}


def make_sums() -> BandSums:
    """Sums that no float holds."""
    sums = BandSums(GROUPS)
    pixels = {
        group.name: np.arange(7, 7 + group.nbytes // 2)
        .astype(group.dtype)
        .reshape(group.shape)
        for group in GROUPS
    }
    for _ in range(3):
        sums.add_pixels(pixels)
    sums._sums[1, 0] = 2**70 + 1
    return sums


def make_shard() -> ShardInfo:
    """A shard of two formats."""
    return ShardInfo("train", 3, FILES, make_sums())


NAME = "train-00000-of-00001"


def plan(split: str, *places: Sequence[tuple[int, int, int]]) -> ShardPlan:
    """A shard whose records are in these buckets of each source."""
    rows = np.arange(len(places[0]))
    stored = np.array([np.array(source, PLACE) for source in places])
    return ShardPlan(split, 0, 1, rows, stored)


def write_files(folder: Path) -> None:
    """Writes files of the sizes of FILES."""
    for form, file in FILES.items():
        path = folder / form / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(file.nbytes))


def find(work: Workspace) -> dict[str, ShardInfo]:
    """Returns what is written, of what is there."""
    sizes = {form: list_sizes(work.folder / form) for form in FILES}
    return find_written(work, GROUPS, sizes)


def test_a_shard_comes_back_from_json() -> None:
    """Names, sizes, checksums and exact sums survive the journal."""
    shard = make_shard()
    entry = json.loads(json.dumps(encode_entry(TODO[0], shard)))
    found = decode_entry(entry, GROUPS)

    assert ("shard", NAME) == (entry["kind"], entry["name"])
    assert ("train", 3, FILES) == (found.split, found.num_patches, found.files)
    assert shard.sums.to_json("train") == found.sums.to_json("train")
    assert str(2**70 + 1) in json.dumps(found.sums.to_json("train"))


TODO = [plan("train", []), plan("validation", [])]


def test_written_shards_are_found(tmp_path: Path) -> None:
    """A shard of which all files are there is not written again."""
    with open_workspace(tmp_path / "work", {}) as work:
        write_files(work.folder)
        for shard in (TODO[1], TODO[0]):
            work.journal.append(encode_entry(shard, make_shard()))
        work.journal.append({"kind": "other", "name": NAME})
        found = find(work)

    assert {plan.name for plan in TODO} == set(found)
    assert FILES == found[NAME].files


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("state", ["missing", "short", "long", "folder"])
def test_a_shard_without_one_of_its_files_is_not_written(
    state: str, form: str, tmp_path: Path
) -> None:
    """A file that went or has another size makes all of its shard be written again."""
    with open_workspace(tmp_path / "work", {}) as work:
        write_files(work.folder)
        work.journal.append(encode_entry(TODO[0], make_shard()))
        path = work.folder / form / FILES[form].name
        if state in ("missing", "folder"):
            path.unlink()
        if state == "folder":
            path.mkdir()
        if state in ("short", "long"):
            path.write_bytes(bytes(FILES[form].nbytes + (1 if state == "long" else -1)))

        assert {} == find(work)


def test_published_shards_are_not_looked_for(tmp_path: Path) -> None:
    """Once stores may be renamed, the journal is believed."""
    with open_workspace(tmp_path / "work", {}) as work:
        work.journal.append(encode_entry(TODO[0], make_shard()))
        before = list(find(work))
        work.journal.append({"kind": "publish"})

        assert [[], [NAME]] == [before, list(find(work))]


PLANS = [
    plan("train", [(1, 10, 0), (2, 10, 5)]),
    plan("train", [(2, 10, 15), (3, 10, 0)]),
    plan("validation", [(2, 10, 0)]),
]
# The bytes that each bucket must have at least.
NEEDED = {
    ("train", 1): 10,
    ("train", 2): 25,
    ("train", 3): 10,
    ("validation", 2): 10,
}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool of which every bucket is as long as it must be, and one of no shard."""
    for (split, bucket), nbytes in {**NEEDED, ("excluded", 0): 1}.items():
        bucket_path(tmp_path, split, bucket).write_bytes(bytes(nbytes))
    return tmp_path


def names(spool: Path) -> list[str]:
    """The buckets that are there."""
    return sorted(path.name for path in spool.iterdir())


def test_a_bucket_goes_with_its_last_shard(spool: Path) -> None:
    """A bucket that no shard needs any more is deleted, and no other."""
    buckets = Buckets(PLANS, [spool])
    buckets.check()
    found = []
    for shard in (PLANS[1], PLANS[0], PLANS[2]):
        buckets.release(shard)
        found.append(names(spool))

    assert [
        ["excluded-000", "train-001", "train-002", "validation-002"],
        ["excluded-000", "validation-002"],
        ["excluded-000"],
    ] == found


def test_buckets_of_all_sources_are_deleted(tmp_path: Path) -> None:
    """Each source has buckets of its own, which go when no shard needs them."""
    spools = [tmp_path / "s2", tmp_path / "s1"]
    plans = [
        plan("train", [(1, 10, 0)], [(1, 20, 0)]),
        plan("train", [(2, 10, 0)], [(1, 20, 20)]),
    ]
    for spool, needed in zip(spools, ({1: 10, 2: 10}, {1: 40}), strict=True):
        spool.mkdir()
        for bucket, nbytes in needed.items():
            bucket_path(spool, "train", bucket).write_bytes(bytes(nbytes))
    buckets = Buckets(plans, spools)
    buckets.check()
    buckets.release(plans[0])

    assert [["train-002"], ["train-001"]] == [names(spool) for spool in spools]

    buckets.release(plans[1])

    assert [[], []] == [names(spool) for spool in spools]


@pytest.mark.parametrize(("place", "nbytes"), NEEDED.items())
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_bucket_that_lost_something_is_an_error(
    is_missing: bool, place: tuple[str, int], nbytes: int, spool: Path
) -> None:
    """A record that is not there is noticed before any shard is written."""
    path = bucket_path(spool, *place)
    path.write_bytes(bytes(nbytes - 1))
    if is_missing:
        path.unlink()

    with pytest.raises(JournalError, match=f"{path} is missing, or shorter.*--re"):
        Buckets(PLANS, [spool]).check()


def test_only_what_is_to_be_written_is_checked(spool: Path) -> None:
    """A bucket whose shards are all written may be gone."""
    bucket_path(spool, "train", 1).unlink()
    bucket_path(spool, "validation", 2).unlink()
    Buckets([PLANS[1]], [spool]).check()

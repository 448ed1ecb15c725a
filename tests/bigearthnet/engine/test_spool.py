from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from bigearthnet.engine import records, spool
from bigearthnet.engine.spool import SpoolWriter
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchFacts, PatchIndex
from bigearthnet.source.metadata import PatchMetadata
from bigearthnet.source.patch import Patch, RawPatch, decode_patch

SPLITS = V1.splits

Patches = dict[str, dict[str, bytes]]

EXTREME = PatchMetadata(
    labels=tuple(range(43)),
    coordinates=(2**63 - 1, -(2**63), 0, -1),
    projection="\U0001f30d" * 10_000,
    epsg=99_999,
    tile_source="é",
    acquisition_date="2017-06-13 10:10:31",
)
PIXELS = (np.arange(80_000, dtype="<u2").tobytes(),)


# Values that differ from each other, so that a swap shows.
FACTS = PatchFacts(1, 3, 9, True, False, "S1A_IW_GRDH_1SDV_x")


def round_trip(patch: Patch, facts: PatchFacts = FACTS) -> tuple[Patch, PatchFacts]:
    """Encodes and decodes a patch."""
    record = b"".join(records.encode_record(patch, facts))
    found, found_facts = records.decode_record(record)
    return join_pixels(found), found_facts


def join_pixels(patch: Patch) -> Patch:
    """The same patch with its pixels in one piece of bytes."""
    return dataclasses.replace(patch, pixels=(b"".join(patch.pixels),))


def decode_all(patches: Patches) -> list[Patch]:
    """Decodes patches."""
    return [decode_patch(RawPatch(0, i, files)) for i, files in patches.items()]


def find_rows(
    patches: list[Patch], index: PatchIndex
) -> dict[int, tuple[Patch, PatchFacts]]:
    """Row of each patch → the patch and its facts."""
    rows = {index.find(patch.patch_id): patch for patch in patches}
    return {
        row: (patch, index.facts(row)) for row, patch in rows.items() if row is not None
    }


def limit_open_files(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Makes the system allow as many open files."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))


def test_real_patches_survive_the_spool(
    sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """A record gives back every field of a real patch, and what the lists say of it."""
    for patch in decode_all(sample_patches):
        row = patch_index.find(patch.patch_id)
        assert row is not None
        facts = patch_index.facts(row)

        assert (join_pixels(patch), facts) == round_trip(patch, facts)


@pytest.mark.parametrize("facts", [FACTS, FACTS._replace(s1_name="")])
def test_extreme_values_survive_the_spool(facts: PatchFacts) -> None:
    """The longest texts, largest numbers and all labels at once come back."""
    patch = Patch("id", EXTREME, PIXELS)

    assert (patch, facts) == round_trip(patch, facts)


def test_no_value_takes_the_place_of_another() -> None:
    """Coordinates, facts and texts of a record keep their order and types."""
    metadata = PatchMetadata((5,), (1, 2, 3, 4), "projection", 5, "source", "date")
    swapped = PatchFacts(2, 0, 4, False, True, "S1")
    patch = Patch("id", metadata, (memoryview(PIXELS[0]),))

    found, facts = round_trip(patch, swapped)

    assert ("id", metadata, PIXELS) == (found.patch_id, found.metadata, found.pixels)
    assert swapped == facts
    assert [int, int, int, bool, bool, str] == [type(value) for value in facts]


@pytest.mark.parametrize(
    ("labels", "mask"),
    [((), 0), ((0,), 1), ((1, 3), 0b1010), ((42,), 2**42), ((0, 63), 2**63 + 1)],
)
def test_masks_hold_class_ids(labels: tuple[int, ...], mask: int) -> None:
    """Class id n is bit n, and the ids come back ascending."""
    assert mask == records.encode_mask(labels)
    assert labels == records.decode_mask(mask)


def test_the_index_sorts_like_sorted() -> None:
    """Rows come in the order of their keys as bytes, trailing zeros included."""
    keys = [hashlib.md5(str(n).encode()).digest() for n in range(300)]
    keys += [bytes(16), b"\0" * 15 + b"\1", b"\1" + bytes(15), b"\xff" * 16]
    keys += [keys[0][:8] + bytes(8), keys[0][:8] + b"\xff" * 8, keys[0][:15] + b"\0"]
    keys += [b"a" * 14 + b"\0\0", b"a" * 15 + b"\0", b"a" * 14 + b"\0\1"]
    index = SpoolIndex(np.zeros(len(keys), np.uint8))
    for row, key in enumerate(keys):
        index.add_record(row, key, 0, 0, 1)

    rows = index.sorted_rows(0)

    assert sorted(keys) == [keys[row] for row in rows]
    assert len(keys) == len(set(rows.tolist()))


def test_the_index_tells_splits_and_states_apart() -> None:
    """Only stored patches of the split are sorted; read ones are known as read."""
    index = SpoolIndex(np.array([0, 1, 0, 0], np.uint8))
    for row in (0, 1, 2):
        index.add_read(row, (row, 42))
    index.add_record(0, b"b" * 16, 3, 10, 20)
    index.add_record(1, b"a" * 16, 1, 30, 40)

    assert [True, True, True, False] == index.read.tolist()
    assert [True, True, False, False] == index.stored.tolist()
    assert [[0], [1], []] == [index.sorted_rows(s).tolist() for s in (0, 1, 2)]
    assert [1 + 2**42, 2 + 2**42, 4 + 2**42, 0] == index.labels.tolist()
    assert [(1, 40, 30), (3, 20, 10)] == index.locate(np.array([1, 0])).tolist()


def test_the_index_locates_beyond_32_bits() -> None:
    """Offsets of a bucket may exceed four gigabytes."""
    index = SpoolIndex(np.zeros(1, np.uint8))

    index.add_record(0, bytes(16), 63, 2**40, 161_000)
    places = index.locate(np.array([0]))

    assert ("bucket", "nbytes", "offset") == places.dtype.names
    assert [(63, 161_000, 2**40)] == places.tolist()


@pytest.mark.parametrize(
    ("limit", "bits"),
    [
        *[(-1, 6), (10**6, 6), (1024, 6), (512, 6), (511, 5), (256, 5), (64, 3)],
        *[(16, 1), (15, 0), (8, 0), (1, 0), (0, 0)],
    ],
)
def test_buckets_fit_into_half_the_open_files(
    monkeypatch: pytest.MonkeyPatch, limit: int, bits: int
) -> None:
    """All buckets of four splits together take at most half the files allowed."""
    limit_open_files(monkeypatch, limit)

    assert bits == spool.choose_bucket_bits()
    assert bits == 0 or limit < 0 or len(SPLITS) * 2**bits <= limit / 2


def test_without_limits_windows_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no module `resource`, 512 files may be open."""
    monkeypatch.setitem(sys.modules, "resource", None)

    assert 6 == spool.choose_bucket_bits()


@pytest.mark.parametrize("limit", [8, 64, 1024])
def test_records_stand_in_the_bucket_of_their_key(
    limit: int,
    tmp_path: Path,
    fake_patches: Patches,
    patch_index: PatchIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every record can be read from the file and place that the index gives."""
    limit_open_files(monkeypatch, limit)
    bits = spool.choose_bucket_bits()
    index = SpoolIndex(patch_index.splits)
    expected = find_rows(decode_all(fake_patches), patch_index)
    with SpoolWriter(tmp_path, index) as writer:
        for row, (patch, facts) in expected.items():
            writer.append(row, patch, facts)

    places = index.locate(np.array(list(expected))).tolist()
    paths = []
    for (patch, facts), place in zip(expected.values(), places, strict=True):
        bucket, nbytes, offset = place
        split = SPLITS[facts.split]
        key = hashlib.md5((split + patch.patch_id).encode()).digest()
        paths.append(spool.bucket_path(tmp_path, facts.split, bucket))
        record = paths[-1].read_bytes()[offset : offset + nbytes]
        found, found_facts = records.decode_record(record)

        assert int.from_bytes(key, "big") >> (128 - bits) == bucket
        assert f"{split}-{bucket:03d}" == paths[-1].name
        assert facts == found_facts
        assert join_pixels(patch) == join_pixels(found)
    assert set(paths) == set(tmp_path.iterdir())
    assert sum(n for _, n, _ in places) == sum(p.stat().st_size for p in set(paths))


def test_a_disk_that_takes_less_loses_nothing(
    tmp_path: Path,
    fake_patches: Patches,
    patch_index: PatchIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A write that stores a part of the bytes is continued until all are stored."""
    monkeypatch.setattr(
        "os.writev", lambda file, parts: write(file, b"".join(parts)[:1000])
    )
    write = spool.os.write
    monkeypatch.setattr("os.write", lambda file, rest: write(file, rest[:77_777]))
    ((row, (patch, facts)), *_) = find_rows(
        decode_all(fake_patches), patch_index
    ).items()
    with SpoolWriter(tmp_path, SpoolIndex(patch_index.splits)) as writer:
        writer.append(row, patch, facts)

    (path,) = tmp_path.iterdir()

    assert b"".join(records.encode_record(patch, facts)) == path.read_bytes()

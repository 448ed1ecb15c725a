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
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.patch import Patch, RawPatch, decode_patch

ARCHIVE = V1.archive("s2")

Patches = dict[str, dict[str, bytes]]

PIXELS = (np.arange(80_000, dtype="<u2").tobytes(),)


def round_trip(patch: Patch) -> Patch:
    """Encodes and decodes a patch."""
    record = b"".join(records.encode_record(patch))
    return join_pixels(records.decode_record(record, ARCHIVE))


def join_pixels(patch: Patch) -> Patch:
    """The same patch with its pixels in one piece of bytes."""
    return dataclasses.replace(patch, pixels=(b"".join(patch.pixels),))


def decode_all(patches: Patches, index: PatchIndex) -> dict[int, Patch]:
    """Row of each patch → the patch."""
    rows = {index.find(name): (name, files) for name, files in patches.items()}
    return {
        row: decode_patch(RawPatch(row, *patch), ARCHIVE, V1.nomenclature)
        for row, patch in rows.items()
        if row is not None
    }


def limit_open_files(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Makes the system allow as many open files."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))


def test_real_patches_survive_the_spool(
    sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """A record gives back all that the files of a real patch say."""
    patches = decode_all(sample_patches, patch_index)

    assert 6 == len(patches)
    for patch in patches.values():
        assert join_pixels(patch) == round_trip(patch)


def test_extreme_values_survive_the_spool() -> None:
    """The longest texts, largest numbers and all labels at once come back."""
    fields = {
        "coordinates/ulx": 2**63 - 1,
        "coordinates/uly": -(2**63),
        "coordinates/lrx": 0,
        "coordinates/lry": -1,
        "projection": "\U0001f30d" * 10_000,
        "epsg": 99_999,
        "tile_source": "é",
        "acquisition_date": "2017-06-13 10:10:31",
    }
    patch = Patch(PIXELS, tuple(range(43)), fields)

    assert patch == round_trip(patch)


def test_no_value_takes_the_place_of_another() -> None:
    """Labels and fields of a record keep their names and types."""
    fields = {"a": 1, "b": "1", "c": 2, "d": ""}
    found = round_trip(Patch((memoryview(PIXELS[0]),), (5, 7), fields))

    assert Patch(PIXELS, (5, 7), fields) == found
    assert [int, str, int, str] == [type(value) for value in found.fields.values()]


def test_a_patch_without_metadata_is_its_pixels() -> None:
    """Of an archive without JSON, the record has no byte more than the bands."""
    patch = Patch(PIXELS)

    assert PIXELS == records.encode_record(patch)
    assert patch == round_trip(patch)


@pytest.mark.parametrize(
    ("labels", "mask"),
    [((), 0), ((0,), 1), ((1, 3), 0b1010), ((42,), 2**42), ((0, 63), 2**63 + 1)],
)
def test_the_index_holds_class_ids(labels: tuple[int, ...], mask: int) -> None:
    """Class id n is bit n of a row's labels."""
    index = SpoolIndex(1)
    index.add_read(0, labels)

    assert [mask] == index.labels.tolist()


def test_the_index_sorts_like_sorted() -> None:
    """Rows come in the order of their keys as bytes, trailing zeros included."""
    keys = [hashlib.md5(str(n).encode()).digest() for n in range(300)]
    keys += [bytes(16), b"\0" * 15 + b"\1", b"\1" + bytes(15), b"\xff" * 16]
    keys += [keys[0][:8] + bytes(8), keys[0][:8] + b"\xff" * 8, keys[0][:15] + b"\0"]
    keys += [b"a" * 14 + b"\0\0", b"a" * 15 + b"\0", b"a" * 14 + b"\0\1"]
    index = SpoolIndex(len(keys))
    for row, key in enumerate(keys):
        index.add_record(row, key, 0, 0, 1)

    rows = index.sort(np.arange(len(keys))[::-1])

    assert sorted(keys) == [keys[row] for row in rows]
    assert len(keys) == len(set(rows.tolist()))


def test_the_index_tells_states_apart() -> None:
    """Patches that were read and those that are stored are known as such."""
    index = SpoolIndex(4)
    for row in (0, 1, 2):
        index.add_read(row, (row, 42))
    index.add_record(0, b"b" * 16, 3, 10, 20)
    index.add_record(1, b"a" * 16, 1, 30, 40)

    assert [True, True, True, False] == index.read.tolist()
    assert [True, True, False, False] == index.stored.tolist()
    assert [1, 0] == index.sort(np.array([0, 1])).tolist()
    assert [1 + 2**42, 2 + 2**42, 4 + 2**42, 0] == index.labels.tolist()
    assert [(1, 40, 30), (3, 20, 10)] == index.locate(np.array([1, 0])).tolist()


@pytest.mark.parametrize(
    ("scene", "place"),
    [
        ((0, 0, 0, 0), None),
        (
            (17_330, 32634, 499_980, 7_046_040),
            Georeference(32634, 499_980, 7_046_040, 501_180, 7_044_840),
        ),
    ],
)
def test_the_index_keeps_where_patches_lie(
    scene: tuple[int, int, int, int], place: Georeference | None
) -> None:
    """A place comes back as it was, from what is kept of an index, too."""
    index, again = SpoolIndex(2), SpoolIndex(2)
    index.add_read(1, (3,), scene=scene)
    index.add_record(1, bytes(16), 0, 0, 1)
    again.load(index.dump())

    assert [place, place] == [index.place(1), again.place(1)]


def test_the_index_locates_beyond_32_bits() -> None:
    """Offsets of a bucket may exceed four gigabytes."""
    index = SpoolIndex(1)

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

    assert bits == spool.choose_bucket_bits(4)
    assert bits == 0 or limit < 0 or 4 * 2**bits <= limit / 2


def test_without_limits_windows_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no module `resource`, 512 files may be open."""
    monkeypatch.setitem(sys.modules, "resource", None)

    assert 6 == spool.choose_bucket_bits(4)


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
    bits = spool.choose_bucket_bits(len(V1.splits))
    index = SpoolIndex(len(patch_index))
    expected = decode_all(fake_patches, patch_index)
    with SpoolWriter(tmp_path, index, patch_index) as writer:
        for row, patch in expected.items():
            writer.append(row, patch)

    places = index.locate(np.array(list(expected))).tolist()
    paths = []
    for (row, patch), place in zip(expected.items(), places, strict=True):
        bucket, nbytes, offset = place
        split = V1.splits[patch_index.splits[row]]
        key = hashlib.md5((split + patch_index.patch_id(row)).encode()).digest()
        paths.append(spool.bucket_path(tmp_path, split, bucket))
        record = paths[-1].read_bytes()[offset : offset + nbytes]

        assert int.from_bytes(key, "big") >> (128 - bits) == bucket
        assert f"{split}-{bucket:03d}" == paths[-1].name
        assert join_pixels(patch) == join_pixels(records.decode_record(record, ARCHIVE))
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
    (row, patch), *_ = decode_all(fake_patches, patch_index).items()
    with SpoolWriter(tmp_path, SpoolIndex(len(patch_index)), patch_index) as writer:
        writer.append(row, patch)

    (path,) = tmp_path.iterdir()

    assert b"".join(records.encode_record(patch)) == path.read_bytes()

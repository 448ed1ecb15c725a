from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release.bands import BANDS, GROUPS
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.metadata import PatchMetadata
from bigearthnet.source.patch import (
    Patch,
    PatchId,
    RawPatch,
    decode_patch,
    file_names,
)

Patches = dict[str, dict[str, bytes]]

PATCH_ID = "S2A_MSIL2A_20170613T101031_0_45"
FILE = f"{PATCH_ID}_labels_metadata.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "S2B_MSIL2A_20170924T93020_69_24",
            ("S2B", datetime.date(2017, 9, 24), "93020", 69, 24),
        ),
        (
            "S2A_MSIL2A_20171221T112501_5_135",
            ("S2A", datetime.date(2017, 12, 21), "112501", 5, 135),
        ),
        (  # 94161 is no time of day
            "S2B_MSIL2A_20180204T94161_0_0",
            ("S2B", datetime.date(2018, 2, 4), "94161", 0, 0),
        ),
        (  # nor is 94160
            "S2B_MSIL2A_20180204T94160_12_3",
            ("S2B", datetime.date(2018, 2, 4), "94160", 12, 3),
        ),
    ],
)
def test_patch_ids_are_taken_apart(text: str, expected: tuple[object, ...]) -> None:
    """Ids with times of six or five digits, even impossible ones, are parsed."""
    assert expected == dataclasses.astuple(PatchId.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S2A",
        "S2C_MSIL2A_20170613T101031_0_45",
        "S2A_MSIL1C_20170613T101031_0_45",
        "s2a_MSIL2A_20170613T101031_0_45",
        "S2A_MSIL2A_20170613T101031_0",
        "S2A_MSIL2A_20170613T101031_0_45_B01",
        "S2A_MSIL2A_20170613T101031_0_45\n",
        " S2A_MSIL2A_20170613T101031_0_45",
        "S2A_MSIL2A_20170613T101031_-1_45",
        "S2A_MSIL2A_20170613T101031_0_1234",
        "S2A_MSIL2A_20170613T1010_0_45",
        "S2A_MSIL2A_20170613T1010311_0_45",
        "S2A_MSIL2A_20171313T101031_0_45",
        "S2A_MSIL2A_20170230T101031_0_45",
        "S2A_MSIL2A_00000101T101031_0_45",
        "S2A_MSIL2A_2017061\u0663T101031_0_45",
        "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48",
    ],
)
def test_other_texts_are_not_patch_ids(text: str) -> None:
    """A text of another form, or with an impossible day, is an error that shows it."""
    with pytest.raises(PatchError) as caught:
        PatchId.parse(text)

    assert f"got {text!r}." in str(caught.value)
    assert text == caught.value.patch_id


def test_every_time_of_the_release_is_read(patch_index: PatchIndex) -> None:
    """The 22 prefixes of the release with a time of five digits are like the others."""
    prefixes = {
        patch_id.rpartition("_")[0].rpartition("_")[0]: patch_id
        for patch_id in map(patch_index.patch_id, range(len(patch_index)))
    }
    times = {prefix: PatchId.parse(one).time for prefix, one in prefixes.items()}

    assert 125 == len(times)
    assert 22 == sum(len(time) == 5 for time in times.values())
    assert all(prefix.endswith(f"T{time}") for prefix, time in times.items())
    assert all(patch_index.find(one) is not None for one in prefixes.values())


def test_a_patch_has_13_files() -> None:
    """The files of a patch are its 12 bands in order, and its JSON."""
    names = file_names(PATCH_ID)

    assert [f"{PATCH_ID}_{band.name}.tif" for band in BANDS] == list(names[:-1])
    assert FILE == names[-1]
    assert len(set(names)) == 13


def test_a_patch_has_its_bands_in_order(fake_patches: Patches) -> None:
    """Every pixel of a decoded patch stands at its band, row and column."""
    for number, (patch_id, files) in enumerate(fake_patches.items()):
        shuffled = dict(sorted(files.items(), reverse=True))
        groups = decode_patch(RawPatch(0, patch_id, shuffled)).groups()

        assert [group.name for group in GROUPS] == list(groups)
        for group in GROUPS:
            band, y, x = np.indices(group.shape)
            places = np.array([BANDS.index(b) for b in group.bands])
            expected = 5000 * number + 400 * places[band] + 2 * y + x

            assert np.array_equal(expected, groups[group.name])


def test_pixels_of_a_patch_are_read_only(fake_patches: Patches) -> None:
    """The arrays of a patch are views of its bytes, little-endian and read-only."""
    patch_id, files = next(iter(fake_patches.items()))

    patch = decode_patch(RawPatch(0, patch_id, files))
    groups = patch.groups()

    assert 160_000 == sum(map(len, patch.pixels))
    assert {"uint16"} == {str(array.dtype) for array in groups.values()}
    assert not any(array.flags.writeable for array in groups.values())
    assert b"".join(patch.pixels) == b"".join(a.tobytes() for a in groups.values())


@pytest.mark.parametrize("file", file_names(PATCH_ID))
def test_any_damaged_file_is_named(fake_patches: Patches, file: str) -> None:
    """Damage to any of the 13 files is an error that names patch and file."""
    files = fake_patches[PATCH_ID] | {file: b"II*\0"}

    with pytest.raises(PatchError, match=f"{PATCH_ID}/{file}: "):
        decode_patch(RawPatch(0, PATCH_ID, files))


def test_groups_take_pixels_of_any_buffer() -> None:
    """A patch may hold its pixels as bytes, as a view, or in several pieces."""
    pixels = np.arange(80_000, dtype="<u2").tobytes()
    metadata = PatchMetadata((1,), (0, 0, 1200, -1200), "wkt", 32633, "tile", "date")
    view = memoryview(b"\1" + pixels)[1:]

    pieces = (pixels,), (view,), (pixels[:77], view[77:])
    arrays = [Patch(PATCH_ID, metadata, p).groups() for p in pieces]

    assert np.array_equal(arrays[0]["bands_20m"], arrays[1]["bands_20m"])
    assert np.array_equal(arrays[0]["bands_20m"], arrays[2]["bands_20m"])
    assert 57_600 == arrays[0]["bands_20m"][0, 0, 0]

from __future__ import annotations

import dataclasses
import struct

import numpy as np
import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS, GROUPS
from bigearthnet.source.patch import Patch, PlaceCounts, RawPatch, decode_patch

Patches = dict[str, dict[str, bytes]]

ARCHIVE = V1.archive("s2")

PATCH_ID = "S2A_MSIL2A_20170613T101031_0_45"


def decode(patch_id: str, files: dict[str, bytes]) -> Patch:
    """Decodes the files of a patch of the first release."""
    return decode_patch(RawPatch(0, patch_id, files), ARCHIVE, V1.nomenclature)


def test_a_patch_has_its_bands_in_order(fake_patches: Patches) -> None:
    """Every pixel of a decoded patch stands at its band, row and column."""
    for number, (patch_id, files) in enumerate(fake_patches.items()):
        shuffled = dict(sorted(files.items(), reverse=True))
        groups = decode(patch_id, shuffled).groups(ARCHIVE)

        assert [group.name for group in GROUPS] == list(groups)
        for group in GROUPS:
            band, y, x = np.indices(group.shape)
            places = np.array([BANDS.index(b) for b in group.bands])
            expected = 5000 * number + 400 * places[band] + 2 * y + x

            assert np.array_equal(expected, groups[group.name])


def test_pixels_of_a_patch_are_read_only(fake_patches: Patches) -> None:
    """The arrays of a patch are views of its bytes, little-endian and read-only."""
    patch_id, files = next(iter(fake_patches.items()))

    patch = decode(patch_id, files)
    groups = patch.groups(ARCHIVE)

    assert 160_000 == sum(map(len, patch.pixels))
    assert {"uint16"} == {str(array.dtype) for array in groups.values()}
    assert not any(array.flags.writeable for array in groups.values())
    assert b"".join(patch.pixels) == b"".join(a.tobytes() for a in groups.values())


@pytest.mark.parametrize("file", ARCHIVE.file_names(PATCH_ID))
def test_any_damaged_file_is_named(fake_patches: Patches, file: str) -> None:
    """Damage to any of the 13 files is an error that names patch and file."""
    files = fake_patches[PATCH_ID] | {file: b"II*\0"}

    with pytest.raises(PatchError, match=f"{PATCH_ID}/{file}: "):
        decode(PATCH_ID, files)


def test_groups_take_pixels_of_any_buffer() -> None:
    """A patch may hold its pixels as bytes, as a view, or in several pieces."""
    pixels = np.arange(80_000, dtype="<u2").tobytes()
    view = memoryview(b"\1" + pixels)[1:]

    pieces = (pixels,), (view,), (pixels[:77], view[77:])
    arrays = [Patch(p).groups(ARCHIVE) for p in pieces]

    assert np.array_equal(arrays[0]["bands_20m"], arrays[1]["bands_20m"])
    assert np.array_equal(arrays[0]["bands_20m"], arrays[2]["bands_20m"])
    assert 57_600 == arrays[0]["bands_20m"][0, 0, 0]


def test_a_patch_knows_labels_and_fields_of_its_json(fake_patches: Patches) -> None:
    """Label ids, and each field under the name it is stored by."""
    patch = decode(PATCH_ID, fake_patches[PATCH_ID])

    assert V1.nomenclature.encode(["Pastures", "Water bodies"]) == patch.labels
    assert 300000 == patch.fields["coordinates/ulx"]
    assert "2017-06-13 10:10:30" == patch.fields["acquisition_date"]


def test_an_archive_without_json_has_pixels_alone(fake_patches: Patches) -> None:
    """Then neither labels nor fields are known, and no JSON is looked for."""
    archive = dataclasses.replace(ARCHIVE, metadata=None)
    files = fake_patches[PATCH_ID]
    tiffs = {name: data for name, data in files.items() if name.endswith(".tif")}

    patch = decode_patch(RawPatch(0, PATCH_ID, tiffs), archive, V1.nomenclature)

    assert ((), {}) == (patch.labels, patch.fields)
    assert decode(PATCH_ID, files).pixels == patch.pixels


def real_patch(sample_patches: Patches, number: int) -> tuple[str, dict[str, bytes]]:
    """The id and the files of a real patch."""
    return list(sample_patches.items())[number]


def move_band(tiff: bytes, metres: float) -> bytes:
    """Moves a real band to the east."""
    old = struct.pack("<2d", 404_400.0, 5_342_400.0)
    assert tiff.count(old) == 1
    return tiff.replace(old, struct.pack("<2d", 404_400.0 + metres, 5_342_400.0))


def test_real_patches_lie_where_their_json_says(sample_patches: Patches) -> None:
    """Every band of the six real patches lies exactly where the JSON says."""
    for patch_id, files in sample_patches.items():
        patch = decode(patch_id, files)

        assert (0, 0) == (patch.shift_m, patch.num_unplaced)


@pytest.mark.parametrize("band", [band.name for band in BANDS])
def test_a_band_of_another_place_is_refused(sample_patches: Patches, band: str) -> None:
    """A band of another patch under the right name is a bad patch, and named."""
    patch_id, files = real_patch(sample_patches, 0)
    other_id, others = real_patch(sample_patches, 1)
    name = f"{patch_id}_{band}.tif"

    with pytest.raises(PatchError, match="lies elsewhere than the JSON says") as error:
        decode(patch_id, files | {name: others[f"{other_id}_{band}.tif"]})
    assert name == error.value.file
    assert "404400" in str(error.value)


@pytest.mark.parametrize("metres", [-9.99, 0.5, 9.99, 10, -10, 60])
def test_only_a_pixel_of_shift_is_bad(sample_patches: Patches, metres: float) -> None:
    """A band that is moved by less than 10 m is stored, and its shift is said."""
    patch_id, files = real_patch(sample_patches, 0)
    name = f"{patch_id}_B8A.tif"
    moved = files | {name: move_band(files[name], metres)}

    if abs(metres) >= 10:
        with pytest.raises(PatchError, match=name):
            decode(patch_id, moved)
    else:
        assert decode(patch_id, moved).shift_m == pytest.approx(abs(metres))


def test_another_zone_is_refused(sample_patches: Patches) -> None:
    """A band in another projected system is a bad patch, whatever its corners are."""
    patch_id, files = real_patch(sample_patches, 0)
    name = f"{patch_id}_B09.tif"
    zone_33, zone_34 = struct.pack("<2H", 1, 32633), struct.pack("<2H", 1, 32634)

    with pytest.raises(PatchError, match=r"expected EPSG:32633.*got EPSG:32634"):
        decode(patch_id, files | {name: files[name].replace(zone_33, zone_34)})


def test_without_a_json_bands_are_compared_with_each_other(
    sample_patches: Patches,
) -> None:
    """In an archive without JSON, all bands lie where the first one does."""
    archive = dataclasses.replace(ARCHIVE, metadata=None)
    patch_id, files = real_patch(sample_patches, 0)
    name = f"{patch_id}_B01.tif"

    def read(metres: float) -> Patch:
        moved = files | {name: move_band(files[name], metres)}
        return decode_patch(RawPatch(0, patch_id, moved), archive, V1.nomenclature)

    assert [0, 3] == [read(0).shift_m, read(3).shift_m]
    with pytest.raises(PatchError, match="elsewhere than the first band says"):
        read(10)


def test_doubtful_places_are_counted(
    sample_patches: Patches, fake_patches: Patches
) -> None:
    """Shifted patches and those without a place are counted, and the farthest shift."""
    patch_id, files = real_patch(sample_patches, 0)
    name = f"{patch_id}_B8A.tif"
    counts = PlaceCounts()

    for metres in (0, 2, 5, 3):
        moved = files | {name: move_band(files[name], metres)}
        counts.add(decode(patch_id, moved))
    for fake_id, fakes in fake_patches.items():
        counts.add(decode(fake_id, fakes))

    assert PlaceCounts(3, 5.0, len(fake_patches)) == counts

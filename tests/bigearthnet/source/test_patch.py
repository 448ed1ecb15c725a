from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS, GROUPS
from bigearthnet.source.patch import Patch, RawPatch, decode_patch

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
    archive = dataclasses.replace(ARCHIVE, metadata_suffix=None)
    files = fake_patches[PATCH_ID]
    tiffs = {name: data for name, data in files.items() if name.endswith(".tif")}

    patch = decode_patch(RawPatch(0, PATCH_ID, tiffs), archive, V1.nomenclature)

    assert ((), {}) == (patch.labels, patch.fields)
    assert decode(PATCH_ID, files).pixels == patch.pixels

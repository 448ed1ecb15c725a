from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from baselines.patch_folders import read_patch_folder
from bigearthnet.errors import OptionError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.bands import BY_NAME, split
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.source.limits import MAX_FILE_NBYTES

PATCH = "S2A_MSIL2A_20170613T101031_87_48"
ARCHIVE = V1.archive("s2")


def band_file(name: str) -> str:
    """The name of the file of a band."""
    return ARCHIVE.band_file(PATCH, BY_NAME[name])


@pytest.fixture
def folder(sample_folder: Path, tmp_path: Path) -> Path:
    """A copy of one real patch."""
    return shutil.copytree(sample_folder / PATCH, tmp_path / PATCH)


def test_a_real_patch_is_read_as_rasterio_reads_it(folder: Path) -> None:
    """Every band stands in its group, and the labels are those of the JSON."""
    import rasterio

    patch = read_patch_folder(folder)
    bands = split(patch.groups)

    assert set(BY_NAME) == set(bands)
    for name, pixels in bands.items():
        with rasterio.open(folder / band_file(name)) as dataset:
            np.testing.assert_array_equal(dataset.read(1), pixels)
    assert PATCH == patch.patch_id
    assert "Non-irrigated arable land" in CLC43.decode(patch.labels)


def test_what_is_no_patch_is_refused(folder: Path, sample_folder: Path) -> None:
    """A missing folder, one of another name, and a file in place of one are named."""
    with pytest.raises(PatchError, match="no folder of a patch at"):
        read_patch_folder(folder / "missing")
    with pytest.raises(PatchError, match=r"has no file of B01, B02, .*, B12: expected"):
        read_patch_folder(sample_folder)
    with pytest.raises(PatchError, match="no folder of a patch at"):
        read_patch_folder(folder / band_file("B02"))


@pytest.mark.parametrize(
    "name",
    [
        "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP",
        "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_61_39",
        "BigEarthNet-S2",
    ],
)
def test_patches_of_another_release_are_named(name: str, tmp_path: Path) -> None:
    """Good data of another release is told from damage."""
    (tmp_path / name).mkdir()

    with pytest.raises(PatchError, match=r"This is .*BigEarthNet.*the configs? .*v2-"):
        read_patch_folder(tmp_path / name)


def test_litter_is_left_alone(folder: Path) -> None:
    """What other programs left in the folder of a patch changes nothing."""
    before = read_patch_folder(folder).groups
    for name in (".DS_Store", f"._{band_file('B02')}", f"{band_file('B02')}.aux.xml"):
        (folder / name).write_bytes(b"x")

    for name, pixels in read_patch_folder(folder).groups.items():
        np.testing.assert_array_equal(before[name], pixels)


def test_a_missing_file_is_named(folder: Path) -> None:
    """A patch without one of its bands is incomplete."""
    (folder / band_file("B8A")).unlink()

    with pytest.raises(PatchError, match=r"B8A\.tif: missing file"):
        read_patch_folder(folder)


def test_damaged_files_are_named(folder: Path) -> None:
    """A band that is no TIFF, a broken JSON and a file without end give an error."""
    band = folder / band_file("B02")
    metadata = folder / f"{PATCH}{ARCHIVE.metadata_suffix}"
    whole = metadata.read_bytes()
    metadata.write_bytes(whole[:50])
    with pytest.raises(PatchError, match="broken JSON"):
        read_patch_folder(folder)
    metadata.write_bytes(whole)
    band.write_bytes(bytes(MAX_FILE_NBYTES + 1))
    with pytest.raises(PatchError, match=r"B02\.tif: larger than"):
        read_patch_folder(folder)
    band.write_bytes(b"no TIFF")
    with pytest.raises(PatchError, match=r"B02\.tif"):
        read_patch_folder(folder)


def test_only_regular_files_are_read(folder: Path, tmp_path: Path) -> None:
    """A link, a pipe and a folder in place of a band are refused, without waiting."""
    band = folder / band_file("B02")
    band.rename(tmp_path / "B02.tif")
    band.symlink_to(tmp_path / "B02.tif")
    with pytest.raises(PatchError, match=r"B02\.tif: a symbolic link"):
        read_patch_folder(folder)
    band.unlink()
    os.mkfifo(band)
    with pytest.raises(PatchError, match=r"B02\.tif: not a regular file"):
        read_patch_folder(folder)
    band.unlink()
    band.mkdir()
    with pytest.raises(PatchError, match=r"B02\.tif: not a regular file"):
        read_patch_folder(folder)


NAMES = [
    ("{band}.tif", "patch"),
    ("S2C_MSIL2A_20250613T101031_87_48_{band}.tif", "S2C_MSIL2A_20250613T101031_87_48"),
    ("T33UUP_20250613T101031_{band}_10m.TIFF", "my patch"),
    ("x.{lower}.tiff", "2024-06"),
]


@pytest.mark.parametrize(("pattern", "name"), NAMES)
def test_bands_of_ones_own_are_found_by_their_endings(
    pattern: str, name: str, folder: Path, tmp_path: Path
) -> None:
    """Whatever they are called, pixels are those of the folder of the archive."""
    expected, own = read_patch_folder(folder), tmp_path / name
    own.mkdir()
    for band in BY_NAME:
        file = pattern.format(band=band, lower=band.lower())
        shutil.copyfile(folder / band_file(band), own / file)
    (own / "._B02.tif").write_bytes(b"x")
    patch = read_patch_folder(own)

    assert (name, None) == (patch.patch_id, patch.labels)
    for group, pixels in expected.groups.items():
        np.testing.assert_array_equal(pixels, patch.groups[group])


def test_labels_may_be_unknown(folder: Path, tmp_path: Path) -> None:
    """Without a JSON, or with an empty list, labels are None; else they are read."""
    own = shutil.copytree(folder, tmp_path / "own")
    expected = read_patch_folder(folder).labels
    assert expected
    assert expected == read_patch_folder(own).labels
    for copy in (folder, own):
        metadata = copy / f"{PATCH}{ARCHIVE.metadata_suffix}"
        metadata.write_text(json.dumps({"labels": []}))
        assert read_patch_folder(copy).labels is None
        metadata.unlink()
        assert read_patch_folder(copy).labels is None


def test_bands_of_ones_own_must_be_clear(folder: Path, tmp_path: Path) -> None:
    """A band that is missing, there twice, of another place or damaged is named."""
    own = shutil.copytree(folder, tmp_path / "own")
    shutil.copyfile(own / band_file("B02"), own / "other_B02.tif")
    with pytest.raises(PatchError, match=r"_B02\.tif and other_B02\.tif both end like"):
        read_patch_folder(own)
    (own / "other_B02.tif").unlink()
    (own / band_file("B8A")).rename(own / "x_B8A.tif")
    (own / "x_B8A.tif").write_bytes(b"no TIFF")
    with pytest.raises(PatchError, match=r"own/x_B8A\.tif"):
        read_patch_folder(own)
    (own / "x_B8A.tif").unlink()
    with pytest.raises(PatchError, match="has no file of B8A: expected one for each"):
        read_patch_folder(own)


def test_the_archives_own_folders_are_strict(folder: Path) -> None:
    """In a folder that is named like a patch of it, files must be named like its."""
    (folder / band_file("B8A")).rename(folder / "x_B8A.tif")
    with pytest.raises(PatchError, match=r"_B8A\.tif: missing file"):
        read_patch_folder(folder)


def test_an_offset_is_taken_off(folder: Path) -> None:
    """Digital numbers that would be negative are zero; nonsense is refused."""
    expected = read_patch_folder(folder).groups
    for name, pixels in read_patch_folder(folder, -1000).groups.items():
        assert pixels.dtype == np.uint16
        whole = expected[name].astype(int) - 1000
        np.testing.assert_array_equal(np.maximum(whole, 0), pixels)
        assert (whole < 0).any()
    with pytest.raises(OptionError, match=r"dn_offset: expected up to 65535, got -1"):
        read_patch_folder(folder, -100_000)

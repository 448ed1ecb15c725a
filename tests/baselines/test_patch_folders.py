from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from baselines.patch_folders import read_patch_folder
from bigearthnet.errors import PatchError
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
    with pytest.raises(PatchError, match="no folder at"):
        read_patch_folder(folder / "missing")
    with pytest.raises(PatchError, match="not a patch id"):
        read_patch_folder(sample_folder)
    with pytest.raises(PatchError, match="no folder at"):
        read_patch_folder(folder / band_file("B02"))


@pytest.mark.parametrize(
    "name",
    [
        "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57",
        "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_61_39",
        "BigEarthNet-S2",
    ],
)
def test_patches_of_another_release_are_named(name: str, tmp_path: Path) -> None:
    """Good data of another release is told from damage."""
    (tmp_path / name).mkdir()

    with pytest.raises(PatchError, match=r"This is .*BigEarthNet.*the config v2-"):
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

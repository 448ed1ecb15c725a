"""Good data of another release is called by its name, not damaged."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import open_source

Patches = dict[str, dict[str, bytes]]

ARCHIVE = V1.archive("s2")

TILE = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
PATCH = f"{TILE}_26_57"
S1 = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_61_39"
# File → what it is.
V2 = "BigEarthNet v2.0"
FILES = {
    f"BigEarthNet-S2/{TILE}/{PATCH}/{PATCH}_B01.tif": V2,
    f"Reference_Maps/{TILE}/{PATCH}/{PATCH}_reference_map.tif": f"a map of {V2}",
    f"BigEarthNet-S1/S1A_IW_GRDH_1SDV_20170613T165043/{S1}/{S1}_VV.tif": "Sentinel-1",
    f"BigEarthNet-S1-v1.0/{S1}/{S1}_VH.tif": "Sentinel-1",
    "metadata.parquet": f"metadata of {V2}",
}


def make_folder(path: Path, file: str) -> Path:
    """Makes a file below a folder."""
    (path / file).parent.mkdir(parents=True, exist_ok=True)
    (path / file).write_bytes(b"x")
    return path


@pytest.mark.parametrize(("file", "what"), FILES.items())
def test_folders_of_another_release_are_named(
    file: str, what: str, tmp_path: Path
) -> None:
    """Whichever of its folders is given: the patch's, those above it, their parent."""
    make_folder(tmp_path, file)
    for folder in (tmp_path / file).parents[: file.count("/") + 1]:
        with pytest.raises(ArchiveError, match="no patch folders in") as error:
            open_source(folder, ARCHIVE)

        assert "This is " in str(error.value)
        assert re.search("which (the config|cannot be read|is part)", str(error.value))


@pytest.mark.parametrize(("file", "what"), FILES.items())
def test_archives_of_another_release_are_named(
    file: str, what: str, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """By what they hold, whatever they are called."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(file), io.BytesIO())

    with (
        open_source(tmp_path / "a.tar", ARCHIVE) as source,
        pytest.raises(PatchError, match=f"not a patch of the release.*This is {what}"),
    ):
        list(source.patches(patch_index))


@pytest.mark.parametrize(("file", "what"), FILES.items())
def test_another_release_beside_patches_is_named(
    file: str,
    what: str,
    fake_patches: Patches,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A folder of good patches may hold others, too."""
    patch_id, files = next(iter(fake_patches.items()))
    for name, content in files.items():
        make_folder(tmp_path, f"{patch_id}/{name}")
        (tmp_path / patch_id / name).write_bytes(content)
    make_folder(tmp_path, file)

    with (
        open_source(tmp_path, ARCHIVE) as source,
        pytest.raises(PatchError, match=r"not a patch.*This is .*BigEarthNet"),
    ):
        list(source.patches(patch_index))


def test_a_table_of_another_release_is_named(tmp_path: Path) -> None:
    """A file that is no archive may be known by its name."""
    make_folder(tmp_path, "metadata.parquet")

    with pytest.raises(ArchiveError, match=f"This is metadata of {V2}"):
        open_source(tmp_path / "metadata.parquet", ARCHIVE)

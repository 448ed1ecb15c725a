from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import V1
from bigearthnet.release.patch_ids import PatchId
from builder import sample


def test_the_sample_is_six_complete_patches(sample_folder: Path) -> None:
    """Each of the six folders holds the 13 files of the patch it is named after."""
    folders = sorted(sample_folder.iterdir())

    assert 6 == len(folders)
    for folder in folders:
        assert PatchId.parse(folder.name)
        assert sorted(V1.archive("s2").file_names(folder.name)) == sorted(
            file.name for file in folder.iterdir()
        )


def test_the_folder_is_made_and_may_exist(tmp_path: Path) -> None:
    """The sample can be written into a new folder, and again over itself."""
    output = tmp_path / "new" / "folder"

    first, second = sample.write_sample(output), sample.write_sample(output)

    assert output / "BigEarthNet-S2-Example" == first == second
    assert 6 == len(list(first.iterdir()))


def test_package_files_are_found_without_an_import() -> None:
    """A data file of the package is located as a file."""
    path = sample.package_file("bigearthnet_common/train.csv.bz2")

    assert path.is_file()
    assert b"BZh" == path.read_bytes()[:3]


def test_a_missing_file_says_what_to_install() -> None:
    """A file that the package lacks is an error with its name and the extra."""
    message = r"bigearthnet-common has no no/such\.file.*the extra \[sample\]"

    with pytest.raises(OptionError, match=message):
        sample.package_file("no/such.file")


def test_a_missing_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the package, the error names it and the extra that brings it."""
    monkeypatch.setattr(sample, "PACKAGE", "bigearthnet-absent")

    with pytest.raises(OptionError, match=r"bigearthnet-absent .*\[sample\]"):
        sample.write_sample(tmp_path)


def test_a_folder_is_no_package_file() -> None:
    """Only a file counts as a data file."""
    with pytest.raises(OptionError, match="has no bigearthnet_common"):
        sample.package_file("bigearthnet_common")

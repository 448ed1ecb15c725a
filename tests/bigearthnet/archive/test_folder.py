from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.archive import limits, open_source
from bigearthnet.archive.folder import FolderMembers
from bigearthnet.errors import ArchiveError

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


@pytest.fixture
def folder(fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path) -> Path:
    """A folder that holds the fake patch folders."""
    return write_archive(tmp_path, fake_patches, kind="folder") / "BigEarthNet-v1.0"


def find_problem(folder: Path) -> str:
    """The first thing that is wrong with what a folder holds."""
    return next(str(c) for _, _, c in FolderMembers(folder) if isinstance(c, Exception))


def test_patches_come_in_the_order_of_names(
    folder: Path, fake_patches: Patches
) -> None:
    """The order does not depend on the file system."""
    order = list(dict.fromkeys(patch for patch, _, _ in FolderMembers(folder)))

    assert sorted(fake_patches) == order


def test_position_counts_the_bytes_read(folder: Path, fake_patches: Patches) -> None:
    """A folder has no size, but says how much of it was read."""
    members = FolderMembers(folder)
    for _ in members:
        pass

    assert members.nbytes is None
    assert members.sha256 is None
    assert members.position == sum(
        len(content) for files in fake_patches.values() for content in files.values()
    )


def test_an_empty_patch_folder_is_an_error(folder: Path, fake_patches: Patches) -> None:
    """A patch folder without files is named, not skipped."""
    patch_id = "S2A_MSIL2A_20170613T101031_0_46"
    (folder / patch_id).mkdir()

    assert f"{patch_id}: the patch folder is empty" in find_problem(folder)


def test_a_file_beside_the_patch_folders_is_an_error(folder: Path) -> None:
    """A stray file where patch folders lie is named, not skipped."""
    (folder / "notes.txt").write_text("hello")

    assert "notes.txt lies beside patches" in find_problem(folder)


def test_a_folder_within_a_patch_is_an_error(folder: Path) -> None:
    """A folder where a patch's files lie is named, not entered."""
    patch = next(folder.iterdir())
    (patch / "more").mkdir()

    assert f"{patch.name}/more: not a regular file" in find_problem(folder)


def test_a_huge_file_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file far larger than a patch's is refused before it is read whole."""
    monkeypatch.setattr("bigearthnet.archive.folder.MAX_FILE_NBYTES", 1000)

    assert "larger than 1000 bytes" in find_problem(folder)

    assert limits.MAX_FILE_NBYTES > 29_192


def test_two_folders_of_patches_are_ambiguous(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """The parent of two folders of patches is refused rather than guessed at."""
    parent = write_archive(tmp_path, fake_patches, kind="folder")
    (parent / "BigEarthNet-v1.0").rename(parent / "one")
    (parent / "two" / next(iter(fake_patches))).mkdir(parents=True)

    with pytest.raises(ArchiveError, match="2 folders with patch folders"):
        open_source(parent)

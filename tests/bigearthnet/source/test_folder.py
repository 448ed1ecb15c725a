from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import limits, open_source
from bigearthnet.source.folder import FolderMembers

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ARCHIVE = V1.archive("s2")


@pytest.fixture
def folder(fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path) -> Path:
    """A folder that holds the fake patch folders."""
    return write_archive(tmp_path, fake_patches, kind="folder") / "BigEarthNet-v1.0"


def find_problem(folder: Path) -> str:
    """The first thing that is wrong with what a folder holds."""
    return next(
        str(c) for _, _, c in FolderMembers(folder, ARCHIVE) if isinstance(c, Exception)
    )


def test_patches_come_in_the_order_of_names(
    folder: Path, fake_patches: Patches
) -> None:
    """The order does not depend on the file system."""
    order = list(dict.fromkeys(patch for patch, _, _ in FolderMembers(folder, ARCHIVE)))

    assert sorted(fake_patches) == order


def test_position_counts_the_bytes_read(folder: Path, fake_patches: Patches) -> None:
    """A folder has no size, but says how much of it was read."""
    members = FolderMembers(folder, ARCHIVE)
    for _ in members:
        pass

    assert members.nbytes is None
    assert {} == members.digests
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
    (folder / "notes.doc").write_text("hello")

    assert "notes.doc lies beside patches" in find_problem(folder)


def test_a_folder_within_a_patch_is_an_error(folder: Path) -> None:
    """A folder where a patch's files lie is named, not entered."""
    patch = next(folder.iterdir())
    (patch / "more").mkdir()

    assert f"{patch.name}/more: not a regular file" in find_problem(folder)


def test_a_huge_file_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file far larger than a patch's is refused before it is read whole."""
    monkeypatch.setattr("bigearthnet.source.folder.MAX_FILE_NBYTES", 1000)

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
        open_source(parent, ARCHIVE)


def read_patches(root: Path, index: PatchIndex) -> list[str]:
    """Reads the ids of all patches below a folder."""
    with open_source(root, ARCHIVE) as source:
        return [raw.name for raw in source.patches(index)]


@pytest.mark.parametrize("inside", [True, False])
def test_a_link_in_a_patch_folder_is_an_error(
    inside: bool, folder: Path, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A symbolic link is not followed, wherever it leads."""
    patch = next(folder.iterdir())
    file = patch / f"{patch.name}_B01.tif"
    secret = (patch if inside else tmp_path) / "secret"
    if inside:
        secret = patch / f"{patch.name}_B09.tif"
    else:
        secret.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(secret)

    with pytest.raises(PatchError, match=r"_B01\.tif: a symbolic link"):
        read_patches(folder, patch_index)


def test_a_link_to_a_patch_folder_is_read(
    folder: Path, fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """Whoever lays out a folder may choose patches by links to their folders."""
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    patch_id = next(iter(fake_patches))
    (chosen / patch_id).symlink_to(folder / patch_id)

    assert [patch_id] == read_patches(chosen, patch_index)


def test_a_pipe_in_a_patch_folder_is_an_error(
    folder: Path, patch_index: PatchIndex
) -> None:
    """A pipe in place of a file is named, not waited for."""
    patch = next(folder.iterdir())
    file = patch / f"{patch.name}_B01.tif"
    file.unlink()
    os.mkfifo(file)

    with pytest.raises(PatchError, match=r"_B01\.tif: not a regular file"):
        read_patches(folder, patch_index)


def test_what_takes_the_place_of_a_file_is_not_read(
    folder: Path, patch_index: PatchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that turns into a pipe between look and opening is no trap either."""
    patch = next(folder.iterdir())
    file = patch / f"{patch.name}_B01.tif"
    file.unlink()
    os.mkfifo(file)
    monkeypatch.setattr("bigearthnet.source.folder._is_file", lambda entry: True)

    with pytest.raises(PatchError, match=r"_B01\.tif: not a regular file"):
        read_patches(folder, patch_index)


def test_a_sparse_file_is_not_read(folder: Path, patch_index: PatchIndex) -> None:
    """A file that claims a terabyte is refused by its size."""
    patch = next(folder.iterdir())
    os.truncate(patch / f"{patch.name}_B01.tif", 2**40)

    with pytest.raises(PatchError, match=r"_B01\.tif: larger than 1048576 bytes"):
        read_patches(folder, patch_index)


@pytest.mark.parametrize("name", [b"\xff\xfe.tif", b"a\x1b[2J.tif", b"a\nb"])
def test_names_that_cannot_be_shown_are_errors(
    name: bytes, folder: Path, patch_index: PatchIndex
) -> None:
    """Names of files and folders are shown without what would steer a terminal."""
    patch = next(folder.iterdir())
    with open(os.path.join(os.fsencode(patch), name), "wb"):
        pass

    with pytest.raises(PatchError, match="a name that cannot be shown") as caught:
        read_patches(folder, patch_index)

    assert str(caught.value).isprintable()
    os.mkdir(os.path.join(os.fsencode(folder), b"0" + name))
    with pytest.raises(PatchError, match="a name that cannot be shown") as caught:
        read_patches(folder, patch_index)

    assert str(caught.value).isprintable()


def test_a_folder_of_very_many_files_is_an_error(
    folder: Path, patch_index: PatchIndex
) -> None:
    """Of a folder with too many files, not all are read."""
    patch = next(folder.iterdir())
    for number in range(100):
        (patch / f"{number}.tif").touch()

    assert 65 == sum(
        name == patch.name for name, _, _ in FolderMembers(folder, ARCHIVE)
    )
    with pytest.raises(PatchError, match=r"too many files|unexpected file"):
        read_patches(folder, patch_index)


def test_a_folder_that_cannot_be_read_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operating system refuses is an error that names the folder."""

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(ArchiveError, match=r"cannot read .*BigEarthNet-v1\.0.*denied"):
        open_source(folder, ARCHIVE)

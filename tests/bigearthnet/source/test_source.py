from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import open_source

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ARCHIVE = V1.archive("s2")


def read(path: Path, index: PatchIndex) -> Patches:
    """Reads every patch of a source."""
    with open_source(path, ARCHIVE) as source:
        return {raw.name: dict(raw.files) for raw in source.patches(index)}


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "tar.zst", "folder"])
@pytest.mark.parametrize("shuffle", [None, 1])
def test_every_kind_of_source_yields_the_same_patches(
    kind: str,
    shuffle: int | None,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Archives and folders, in any order, yield every file of every patch."""
    path = write_archive(tmp_path, fake_patches, kind=kind, shuffle=shuffle)

    assert fake_patches == read(path, patch_index)


@pytest.mark.parametrize(
    "format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]
)
@pytest.mark.parametrize("prefix", ["", "./", "BigEarthNet-v1.0/", "long/" * 18])
def test_every_tar_format_and_name_length_is_read(
    format: int,
    prefix: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """GNU long names, PAX headers and ustar prefixes give the same patches."""
    path = write_archive(
        tmp_path, fake_patches, kind="tar", format=format, prefix=prefix
    )

    assert fake_patches == read(path, patch_index)


def test_the_real_sample_is_read_from_its_folder_and_its_parent(
    sample_folder: Path, sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """A folder of patch folders and the parent of one are both sources."""
    assert sample_patches == read(sample_folder, patch_index)
    assert sample_patches == read(sample_folder.parent, patch_index)


def test_rows_are_those_of_the_table(
    sample_folder: Path, patch_index: PatchIndex
) -> None:
    """Each raw patch carries its row of the release's table."""
    with open_source(sample_folder, ARCHIVE) as source:
        for raw in source.patches(patch_index):
            assert patch_index.find(raw.name) == raw.row


def first(patches: Patches) -> tuple[str, dict[str, bytes]]:
    """Returns the first patch of the fake ones."""
    return next(iter(patches.items()))


@pytest.mark.parametrize("kind", ["tar.gz", "folder"])
@pytest.mark.parametrize("suffix", ["B05.tif", "B8A.tif", "labels_metadata.json"])
def test_a_missing_file_is_named(
    kind: str,
    suffix: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A patch without one of its 13 files is an error that names patch and file."""
    patch_id, files = first(fake_patches)
    rest = {name: data for name, data in files.items() if not name.endswith(suffix)}
    path = write_archive(tmp_path, {**fake_patches, patch_id: rest}, kind=kind)

    with pytest.raises(PatchError, match=f"{patch_id}_{suffix}: missing file") as error:
        read(path, patch_index)

    assert patch_id == error.value.patch_id
    assert f"{patch_id}_{suffix}" == error.value.file


@pytest.mark.parametrize("kind", ["tar", "folder"])
@pytest.mark.parametrize("name", ["{id}_B10.tif", ".hidden", "x_B01.tif"])
def test_an_extra_file_is_named(
    kind: str,
    name: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A fourteenth file is an error that names patch and file."""
    patch_id, files = first(fake_patches)
    name = name.format(id=patch_id)
    more = {patch_id: {**files, name: b""}}
    path = write_archive(tmp_path, more, kind=kind)

    with pytest.raises(PatchError, match="unexpected file") as error:
        read(path, patch_index)

    assert (patch_id, name) == (error.value.patch_id, error.value.file)


@pytest.mark.parametrize("kind", ["tar", "folder"])
def test_an_unknown_patch_is_named(
    kind: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A folder that is not a patch of the official table is an error."""
    _, files = first(fake_patches)
    unknown = "S2A_MSIL2A_20170613T101031_99_99"
    path = write_archive(tmp_path, {unknown: files}, kind=kind)

    with pytest.raises(PatchError, match="not a patch of the release") as error:
        read(path, patch_index)

    assert unknown == error.value.patch_id


def write_members(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """Writes a tar file of these members."""
    import io

    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def list_members(patches: Patches, *patch_ids: str) -> list[tuple[str, bytes]]:
    """Lists the members of some patches."""
    return [
        (f"BigEarthNet-v1.0/{patch_id}/{name}", content)
        for patch_id in patch_ids
        for name, content in patches[patch_id].items()
    ]


def test_a_patch_that_comes_twice_is_an_error(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """The second copy of a patch is an error, even if it is complete."""
    one, two, *_ = fake_patches
    path = write_members(tmp_path / "a.tar", list_members(fake_patches, one, two, one))

    with pytest.raises(PatchError, match=f"{one}.*comes twice"):
        read(path, patch_index)


def test_a_scattered_patch_is_an_error(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A patch whose members do not stand together is an error, not two patches."""
    one, two, *_ = fake_patches
    members = list_members(fake_patches, one, two)
    members = [*members[:5], *members[13:], *members[5:13]]
    path = write_members(tmp_path / "a.tar", members)

    with pytest.raises(PatchError, match=f"{one}.*scattered"):
        read(path, patch_index)


def test_a_member_that_comes_twice_is_an_error(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """The same file twice in a patch is an error that names it."""
    one, *_ = fake_patches
    members = list_members(fake_patches, one)
    path = write_members(tmp_path / "a.tar", [members[0], *members])

    with pytest.raises(PatchError, match=f"{members[0][0][-10:]}.*comes twice"):
        read(path, patch_index)


def test_a_file_beside_the_patches_is_an_error(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A file that lies in no patch folder is an error, not skipped."""
    path = write_members(tmp_path / "a.tar", [("BigEarthNet-v1.0/notes.doc", b"hello")])

    with pytest.raises(PatchError, match=r"notes\.doc"):
        read(path, patch_index)


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    """A path at which nothing is gives an error that shows it."""
    with pytest.raises(ArchiveError, match=r"no source at .*nothing\.tar\.gz"):
        open_source(tmp_path / "nothing.tar.gz", ARCHIVE)


def test_a_folder_without_patches_is_an_error(tmp_path: Path) -> None:
    """A folder that holds no patch folder is an error that says what was expected."""
    (tmp_path / "photos").mkdir()

    with pytest.raises(ArchiveError, match="no patch folders in"):
        open_source(tmp_path, ARCHIVE)


@pytest.mark.parametrize("trailing", ["", "/"])
def test_an_empty_patch_folder_in_an_archive_is_an_error(
    trailing: str, fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A folder that is listed and never filled is named, wherever it is listed."""
    empty = "S2A_MSIL2A_20170613T101031_0_46"
    one, *_ = fake_patches
    path = write_members(tmp_path / "a.tar", list_members(fake_patches, one))
    with tarfile.open(path, "a") as tar:
        folder = tarfile.TarInfo(f"BigEarthNet-v1.0/{empty}{trailing}")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)

    with pytest.raises(PatchError, match=f"{empty}: the patch folder is empty"):
        read(path, patch_index)

"""Archives that were cut into several files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import open_source
from bigearthnet.source.candidates import choose, list_candidates
from bigearthnet.source.cut import find_cut
from bigearthnet.source.identity import identify_source
from bigearthnet.source.parts import list_parts, open_part
from tests.archives import write_cut, write_folder

ARCHIVE = V1.archive("s2")

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


def cut(patches: Patches, size: int = 2) -> list[Patches]:
    """Cuts patches into parts of some size."""
    names = list(patches)
    return [
        {name: patches[name] for name in names[start : start + size]}
        for start in range(0, len(names), size)
    ]


@pytest.fixture
def parts(fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path) -> Path:
    """The six fake patches in three parts."""
    return write_cut(tmp_path / "parts", cut(fake_patches), write_archive, "tar.zst")


def read(path: Path, patches: PatchIndex) -> Patches:
    """Reads all patches, in the order of the source."""
    with open_source(path, ARCHIVE) as source:
        found = {raw.name: dict(raw.files) for raw in source.patches(patches)}
        assert source.members.position == source.members.nbytes
    return found


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.zst"])
def test_parts_are_read_as_one_archive(
    kind: str,
    sample_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Patches and their order are those of the archive; litter is counted over all."""
    first, second, third = cut(sample_patches)
    folders = [{**part, "": {".DS_Store": b""}} for part in (first, second)]
    path = write_cut(tmp_path / "parts", [*folders, third], write_archive, kind)
    (path / "README.md").touch()
    with open_source(path, ARCHIVE) as source:
        found = {raw.name: raw.files for raw in source.patches(patch_index)}
        members = source.members
        sizes = [file.stat().st_size for file in path.glob("s2-*")]
        assert (sum(sizes), sum(sizes)) == (members.nbytes, members.position)
        assert {".DS_Store": 2} == members.litter.counts
        assert members.is_compressed == (kind != "tar")
    assert list(sample_patches.items()) == list(found.items())


def test_a_patch_lies_in_one_part(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """One that stands in two is an error; so is one whose files stand in two."""
    name, files = next(iter(fake_patches.items()))
    halves = [dict(list(files.items())[:5]), dict(list(files.items())[5:])]
    twice = write_cut(
        tmp_path / "twice", [fake_patches, {name: files}], write_archive, "tar"
    )
    halved = write_cut(
        tmp_path / "halved", [{name: half} for half in halves], write_archive, "tar"
    )
    with pytest.raises(PatchError, match=f"{name}.*comes twice"):
        read(twice, patch_index)
    with pytest.raises(PatchError, match=f"{name}.*found 5 of 13 that stand together"):
        read(halved, patch_index)


def test_a_damaged_part_is_named(parts: Path, patch_index: PatchIndex) -> None:
    """A part that ends early is named; one that is no archive, before any is read."""
    path = parts / "s2-00001-of-00003.tar.zst"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArchiveError, match=f"{path}.* truncated or damaged"):
        read(parts, patch_index)
    path.write_bytes(b"something else")
    with pytest.raises(ArchiveError, match=f"{path} is not an archive"):
        open_source(parts, ARCHIVE)
    with pytest.raises(ArchiveError, match=f"{path} is not an archive"):
        list_parts([parts], ARCHIVE, patch_index)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["s2-00000-of-00003.tar", "s2-00002-of-00003.tar"], "/s2-00001-of-00003.tar "),
        (["s2-00001-of-00002.tar.gz"], "/s2-00000-of-00002.tar.gz is missing: found 1"),
        (["s2-00000-of-99999999.tar"], "found 1 of 99,999,999 parts"),
        (["a-00000-of-00001.tar", "a-99999999-of-00001.tar"], "is a part too many"),
        (["a-00000-of-00000.tar"], "a-00000-of-00000.tar is a part too many"),
        (["a-00000-of-00001.tar", "b-00000-of-00001.tar"], "archives, a-.* and b-"),
        (["a-00000-of-00001.tar", "a-00000-of-00001.tar.gz"], "several archives"),
        (["a-00000-of-00001.tar", "a-00000-of-00002.tar"], "several archives"),
    ],
)
def test_parts_that_are_not_all_of_one_archive(
    names: list[str], problem: str, tmp_path: Path
) -> None:
    """What is missing or too much is named, and what to do."""
    for name in names:
        (tmp_path / name).touch()
    for find in (open_source, find_cut, identify_source):
        with pytest.raises(ArchiveError, match=problem):
            find(tmp_path, ARCHIVE)


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: os.symlink("no", path)]
)
def test_a_part_that_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    """A folder, a pipe or a dangling link is named, and not waited for."""
    (tmp_path / "s2-00000-of-00002.tar").touch()
    make(tmp_path / "s2-00001-of-00002.tar")
    with pytest.raises(ArchiveError, match=r"s2-00001-of-00002.tar is no file"):
        identify_source(tmp_path, ARCHIVE)


@pytest.mark.parametrize(
    "name", ["s2-0-of-1.tar", "s2-000000-of-00001.tar", "s2-00000-of-00001.tar.index"]
)
def test_other_names_are_no_parts(name: str, tmp_path: Path) -> None:
    """Only numbers as `builder.repack` writes them make a part."""
    (tmp_path / name).touch()
    assert () == find_cut(tmp_path, ARCHIVE)


def test_patches_in_a_folder_come_first(fake_patches: Patches, parts: Path) -> None:
    """A folder that holds patches is a folder of patches, whatever else is there."""
    write_folder(parts, fake_patches)
    assert () == find_cut(parts, ARCHIVE)


def test_a_folder_of_parts_is_found(parts: Path) -> None:
    """As one source, with one part or many; a part that is missing is named."""
    for folder, depth in ((parts, 2), (parts, 0), (parts.parent, 1)):
        chosen = choose(list_candidates(folder, ARCHIVE, depth), ARCHIVE)
        assert chosen is not None
        assert parts == chosen.path
    (parts / "s2-00001-of-00003.tar.zst").unlink()
    for folder in (parts, parts.parent):
        with pytest.raises(ArchiveError, match=r"00001-of-\S+ is missing"):
            choose(list_candidates(folder, ARCHIVE, 2), ARCHIVE)


def test_parts_of_something_else_are_left_alone(
    s1_patches: Patches, write_archive: WriteArchive, parts: Path
) -> None:
    """A folder may hold parts of other archives, even such as are not whole."""
    other = write_cut(parts.parent / "other", cut(s1_patches), write_archive, "tar.gz")
    (other / "s2-00001-of-00003.tar.gz").unlink()
    (candidate,) = list_candidates(parts.parent, ARCHIVE, 2)
    assert (parts, None) == (candidate.path, candidate.problem)


def test_parts_are_tasks(
    parts: Path, fake_patches: Patches, patch_index: PatchIndex
) -> None:
    """Each part of the archive is a part of the source, in order."""
    found = list_parts([parts], ARCHIVE, patch_index)
    names = []
    for part in found:
        with open_part(part, patch_index) as source:
            names += [raw.name for raw in source.patches(patch_index)]
    assert sorted(parts.iterdir()) == [part.place for part in found]
    assert list(fake_patches) == names


def test_another_part_makes_another_source(parts: Path) -> None:
    """A part that was exchanged shows, even if the time of the latest does not."""
    before = identify_source(parts, ARCHIVE)
    shutil.copytree(parts, parts.parent / "copy")
    first, second, _ = sorted(parts.iterdir())
    shutil.copy2(second, first)
    assert before != identify_source(parts, ARCHIVE)
    assert before == identify_source(parts.parent / "copy", ARCHIVE)

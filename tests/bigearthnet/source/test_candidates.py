"""What a folder holds of an archive, under any name."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError
from bigearthnet.release import V1, Archive
from bigearthnet.source import open_source
from bigearthnet.source.candidates import choose, list_candidates, suggest

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]
NAME, OLD_NAME = V1.archive("s2").filenames


@pytest.fixture
def sources(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> dict[str, Path]:
    """The same patches in each kind of source; the folder has the published name."""
    made = tmp_path / "sources"
    made.mkdir()
    kinds = ("tar", "tar.gz", "tar.zst", "folder")
    return {kind: write_archive(made, fake_patches, kind=kind) for kind in kinds}


@pytest.fixture
def archive(sources: dict[str, Path]) -> Archive:
    """A published archive, which is the gzip file."""
    nbytes = sources["tar.gz"].stat().st_size
    return dataclasses.replace(V1.archive("s2"), nbytes=nbytes)


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """A folder that people put archives into, with what has nothing to do with it."""
    folder = tmp_path / "manual"
    (folder / "imagenet" / "train").mkdir(parents=True)
    (folder / "imagenet.tar").write_bytes(b"no tar")
    (folder / "brain.nii.gz").write_bytes(gzip.compress(b"no tar" * 100))
    (folder / "cut.gz").write_bytes(gzip.compress(b"cut")[:-4])
    return folder


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("tar.gz", NAME),
        ("tar.gz", OLD_NAME),
        ("tar.gz", "ben (1).tar.gz"),
        ("tar.gz", "download"),
        ("tar.gz", f"bigearthnet/{NAME}"),
        ("tar", "BigEarthNet-S2-v1.0.tar"),
        ("tar.zst", "BigEarthNet-S2-v1.0.tar.zst"),
        ("folder", "BigEarthNet-S2-v1.0"),
        ("folder", "nested/BigEarthNet-v1.0"),
        ("folder", "."),
    ],
)
def test_what_can_be_read_is_chosen(
    kind: str, name: str, sources: dict[str, Path], archive: Archive, manual: Path
) -> None:
    """Any source is found by what it holds, and can be opened as it is given."""
    path = manual / name
    path.parent.mkdir(exist_ok=True)
    if kind == "folder":
        patches = sources[kind] / archive.folder
        shutil.copytree(patches, path, dirs_exist_ok=True)
    else:
        shutil.copy(sources[kind], path)
    chosen = choose(list_candidates(manual, archive, 2), archive)

    assert chosen is not None
    assert path == chosen.path
    open_source(chosen.path, archive).close()


def test_other_data_sets_are_no_candidates(archive: Archive, manual: Path) -> None:
    """Nothing is said of files and folders that neither are nor are named like it."""
    assert [] == list_candidates(manual, archive, 2)
    assert [] == list_candidates(manual / "missing", archive, 2)
    assert choose([], archive) is None


def test_an_archive_of_something_else_is_only_named(
    archive: Archive, manual: Path
) -> None:
    """Another archive of the data set is a candidate with a reason, and no obstacle."""
    (manual / "BigEarthNet-S1-v1.0.tar.gz").write_bytes(b"\x1f\x8b")
    (manual / "bigearthnet.zip").write_bytes(b"PK\3\4")
    found = list_candidates(manual, archive, 2)

    assert ["BigEarthNet-S1-v1.0.tar.gz", "bigearthnet.zip"] == [
        candidate.path.name for candidate in found
    ]
    assert all(candidate.problem for candidate in found)
    assert choose(found, archive) is None


def test_an_archive_of_other_patches_is_none(
    fake_patches: Patches,
    write_archive: WriteArchive,
    archive: Archive,
    manual: Path,
) -> None:
    """A tar file that holds no patch of the release is not the archive."""
    others = {f"BEN-{number}": files for number, files in enumerate([{"a": b"b"}])}
    write_archive(manual, others, kind="tar")

    assert [] == list_candidates(manual, archive, 2)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (NAME, "it has 20 bytes, the published file"),
        (f"{OLD_NAME}.crdownload", "is not an archive that can be read"),
        ("bigearthnet-s2-v1.0.zip", "is not an archive that can be read"),
        ("BigEarthNet-v1.0/", "no folders named like S2B_MSIL2A"),
        ("BigEarthNet-v1.0/notes.txt", "no folders named like S2B_MSIL2A"),
    ],
)
def test_what_is_named_like_it_and_cannot_be_read_is_refused(
    name: str, problem: str, archive: Archive, manual: Path
) -> None:
    """The error says file, reason and what was expected."""
    path = manual / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if name.endswith("/") else path.write_bytes(b"something of another")
    found = list_candidates(manual, archive, 2)

    with pytest.raises(ArchiveError, match=rf"{problem}.*Expected {NAME} \("):
        choose(found, archive)


def test_a_link_that_leads_nowhere_is_refused(archive: Archive, manual: Path) -> None:
    """A dangling link under the archive's name is named."""
    (manual / archive.folder).symlink_to(manual / "nowhere")

    with pytest.raises(ArchiveError, match="a link that leads nowhere"):
        choose(list_candidates(manual, archive, 2), archive)


def test_an_unfinished_download_is_no_obstacle(archive: Archive, manual: Path) -> None:
    """What `download.fetch` goes on with is not taken for anything else."""
    (manual / f"{NAME}.part").write_bytes(b"some")

    assert [] == list_candidates(manual, archive, 2)


def test_published_names_come_first(
    sources: dict[str, Path], archive: Archive, manual: Path
) -> None:
    """Of several sources a published name is taken, then a file, then a folder."""
    shutil.copytree(sources["folder"] / archive.folder, manual / "extracted")
    order = [manual / "extracted"]
    for kind, name in (("tar", "a.tar"), ("tar.gz", OLD_NAME), ("tar.gz", NAME)):
        shutil.copy(sources[kind], manual / name)
        order.append(manual / name)
        chosen = choose(list_candidates(manual, archive, 2), archive)

        assert chosen is not None
        assert order[-1] == chosen.path


def test_two_of_a_kind_are_refused(
    sources: dict[str, Path], archive: Archive, manual: Path
) -> None:
    """Where nobody can know which of two files to read, both are named."""
    for name in ("a.tar", "b.tar"):
        shutil.copy(sources["tar"], manual / name)

    with pytest.raises(
        ArchiveError, match=r"several sources of s2: .*a\.tar, .*b\.tar"
    ):
        choose(list_candidates(manual, archive, 2), archive)


def test_sources_are_suggested(
    sources: dict[str, Path], archive: Archive, tmp_path: Path
) -> None:
    """A misspelt path, or a folder that holds the archive file, names sources."""
    folder = sources["tar"].parent
    nested = tmp_path / "nested" / "once" / "more"
    shutil.copytree(folder / "folder" / archive.folder, nested)

    assert f" Did you mean {nested}?" == suggest(tmp_path / "nested", archive)
    assert f" Did you mean {sources['tar.zst']} or " in suggest(
        folder / "archive.tarzst", archive
    )
    assert "" == suggest(tmp_path / "a" / "b", archive)
    with pytest.raises(ArchiveError, match=r"no source at .*Did you mean .*archive\.t"):
        open_source(folder / "archive.tgz", archive)
    with pytest.raises(ArchiveError, match=f"no patch folders.*Did you mean {nested}"):
        open_source(tmp_path / "nested", archive)

"""What other programs leave among patches, in archives and folders."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import limits, open_source
from bigearthnet.source.folder import FolderMembers
from bigearthnet.source.litter import Litter, describe, find_folder
from bigearthnet.source.tar import TarMembers, TarParser

Patches = dict[str, dict[str, bytes]]
Member = tuple[str, bytes]

ARCHIVE = V1.archive("s2")
TOP = "BigEarthNet-v1.0"
ANYWHERE = {
    "._{id}_B01.tif": "._*",
    ".DS_Store": ".DS_Store",
    "thumbs.db": "Thumbs.db",
    "Desktop.ini": "desktop.ini",
    ".nfs000000012": ".nfs*",
    ".fuse_hidden0001": ".fuse_hidden*",
    "{id}_B01.tif.aux.xml": "*.aux.xml",
    "{id}_B01.tif.ovr": "*.ovr",
    "{id}_B01.tif.msk": "*.msk",
    "{id}_B01.tfw": "*.tfw",
}
BESIDE = {
    "README": "README*",
    "readme.rst": "README*",
    "LICENSE": "LICENSE*",
    "patches_with_seasonal_snow.csv": "*.csv",
    "notes.txt": "*.txt",
    "manual.pdf": "*.pdf",
    "CHANGES.md": "*.md",
}
FOLDERS = {
    f"__MACOSX/{TOP}/{{id}}/._{{id}}_B01.tif": "__MACOSX",
    "@eaDir/{id}_B01.tif": "@eaDir",
    ".ipynb_checkpoints/a": ".ipynb_checkpoints",
    "System Volume Information/a": "System Volume Information",
}


@pytest.fixture(params=["tar", "folder"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Writes members as a tar file, or as files below a folder."""

    def write_members(members: list[Member]) -> Path:
        if request.param == "folder":
            for name, content in members:
                file = tmp_path / "source" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            return tmp_path / "source"
        return write_tar(tmp_path / "a.tar", members)

    return write_members


def write_tar(path: Path, members: list[Member]) -> Path:
    """Writes a tar file of these members; a name that ends in a slash is a folder."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(content))
    return path


def list_members(patches: Patches, *patch_ids: str) -> list[Member]:
    """Lists the members of some patches."""
    return [
        (f"{TOP}/{patch_id}/{name}", content)
        for patch_id in patch_ids
        for name, content in patches[patch_id].items()
    ]


def read(path: Path, index: PatchIndex) -> tuple[Patches, dict[str, int]]:
    """Reads a source: its patches, and what was left out."""
    with open_source(path, ARCHIVE) as source:
        patches = {raw.name: dict(raw.files) for raw in source.patches(index)}
        return patches, dict(source.members.litter.counts)


@pytest.mark.parametrize(
    ("place", "name", "kind"),
    [
        *[(f"{TOP}/{{id}}", *item) for item in ANYWHERE.items()],
        *[(TOP, *item) for item in (ANYWHERE | BESIDE).items()],
        *[(place, *item) for place in (TOP, TOP + "/{id}") for item in FOLDERS.items()],
    ],
)
def test_litter_is_left_out_and_counted(
    place: str,
    name: str,
    kind: str,
    write: Callable[..., Path],
    fake_patches: Patches,
    patch_index: PatchIndex,
) -> None:
    """In patch folders and beside them, it changes nothing but its count."""
    one, two, *_ = fake_patches
    members = list_members(fake_patches, one, two)
    # Between files of the first patch, where an archive might have it.
    members.insert(5, (f"{place}/{name}".format(id=one), b"litter"))

    assert (
        {one: fake_patches[one], two: fake_patches[two]},
        {kind: 1},
    ) == read(write(members), patch_index)


@pytest.mark.parametrize("name", [*ANYWHERE, *BESIDE, *FOLDERS])
def test_litter_at_the_top_of_an_archive_is_left_out(
    name: str, fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """Before the folder that holds the patches, and after it, too."""
    one = next(iter(fake_patches))
    litter = name.format(id=one)
    members = [(litter, b"1"), *list_members(fake_patches, one), (f"./{litter}", b"2")]

    patches, counts = read(write_tar(tmp_path / "a.tar", members), patch_index)

    assert {one: fake_patches[one]} == patches
    assert 2 == sum(counts.values())


@pytest.mark.parametrize(
    "name",
    [
        *[".hidden", "x_B01.tif", "{id}_B01.TIF", "{id}_B10.tif", "notes.doc", "a.xml"],
        *["DS_Store", "x.ovr.tif", "aux.xml", *BESIDE],
    ],
)
def test_other_files_in_a_patch_folder_are_errors(
    name: str,
    write: Callable[..., Path],
    fake_patches: Patches,
    patch_index: PatchIndex,
) -> None:
    """What is not on the list is named; documents do not belong there."""
    one = next(iter(fake_patches))
    name = name.format(id=one)
    members = [*list_members(fake_patches, one), (f"{TOP}/{one}/{name}", b"")]

    with pytest.raises(PatchError, match="unexpected file") as error:
        read(write(members), patch_index)

    assert (one, name) == (error.value.patch_id, error.value.file)


@pytest.mark.parametrize("name", ["README.tif", "stray.json", "a.zip", "x/README"])
def test_other_things_beside_patches_are_errors(
    name: str,
    fake_patches: Patches,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A folder is searched no further than patches lie, and names its stranger."""
    one = next(iter(fake_patches))
    for member, content in [*list_members(fake_patches, one), (f"{TOP}/{name}", b"")]:
        (tmp_path / member).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / member).write_bytes(content)

    with pytest.raises(PatchError, match=name.partition("/")[0]):
        read(tmp_path, patch_index)


def test_litter_is_no_file_of_a_patch(
    write: Callable[..., Path], fake_patches: Patches, patch_index: PatchIndex
) -> None:
    """`._x_B05.tif` does not stand in for a missing `x_B05.tif`."""
    one = next(iter(fake_patches))
    members = list_members(fake_patches, one)
    members[4] = (f"{TOP}/{one}/._{one}_B05.tif", members[4][1])

    with pytest.raises(PatchError, match=rf"{one}_B05\.tif: missing file: found 12"):
        read(write(members), patch_index)


def test_a_patch_folder_of_litter_alone_is_empty(
    write: Callable[..., Path], fake_patches: Patches, patch_index: PatchIndex
) -> None:
    """A patch of which only litter is there is missed."""
    one, two, *_ = fake_patches
    members = [*list_members(fake_patches, one), (f"{TOP}/{two}/.DS_Store", b"")]

    with pytest.raises(PatchError, match=f"{two}: the patch folder is empty"):
        read(write(members), patch_index)


def test_a_folder_of_litter_holds_no_patches(
    write: Callable[..., Path], fake_patches: Patches, patch_index: PatchIndex
) -> None:
    """The mirror of a folder that zip files of macOS have is no second one."""
    one, two, *_ = fake_patches
    members = [
        (f"__MACOSX/{two}/._{two}_B01.tif", b""),
        *list_members(fake_patches, one),
    ]

    assert {one: fake_patches[one]} == read(write(members), patch_index)[0]


def test_listed_folders_of_litter_are_no_empty_patches(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A patch that an archive lists below a folder of litter alone is not missed."""
    one, two, *_ = fake_patches
    folders = [("__MACOSX/", b""), (f"__MACOSX/{two}/", b"")]
    path = write_tar(tmp_path / "a.tar", folders + list_members(fake_patches, one))

    assert ({one: fake_patches[one]}, {}) == read(path, patch_index)


@pytest.mark.parametrize("name", ["a.csv", "._a", "README"])
def test_a_folder_named_like_a_file_of_litter_is_an_error(
    name: str,
    fake_patches: Patches,
    patch_index: PatchIndex,
    write: Callable[..., Path],
) -> None:
    """What lies in it may be a patch."""
    one, two, *_ = fake_patches
    members = list_members(fake_patches, one, two)
    members = [(path.replace(two, name, 1), data) for path, data in members]

    with pytest.raises(PatchError, match=f"not a patch of the release.*{name}"):
        read(write(members), patch_index)


def test_large_litter_is_passed_over(
    write: Callable[..., Path], fake_patches: Patches, patch_index: PatchIndex
) -> None:
    """A table at the top may be larger than any file of a patch."""
    one = next(iter(fake_patches))
    large = bytes(limits.MAX_FILE_NBYTES + 1000)
    members = [(f"{TOP}/all.csv", large), *list_members(fake_patches, one)]

    assert ({one: fake_patches[one]}, {"*.csv": 1}) == read(write(members), patch_index)


class Endless:
    """A decompressed stream of one member over and over."""

    def __init__(self, header: tarfile.TarInfo) -> None:
        self._block = header.tobuf(tarfile.GNU_FORMAT)
        self.nbytes = 0

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads a header, or skips content."""
        self.nbytes += size + padding
        return self._block[:size]

    def read_some(self) -> bytes:
        """Is never called: there is no end."""
        raise AssertionError


@pytest.mark.parametrize(
    ("name", "size", "match"),
    [
        ("a/.DS_Store", 0, r"more than 1\d\d,\d{3} files of other programs \(1"),
        ("__MACOSX/a", 1, r"more than 1\d\d,\d{3} files of other programs \(1"),
        ("README", 2**20, "endless folders or headers, or other files"),
        ("README", 2**33, "endless folders or headers, or other files"),
    ],
)
def test_endless_litter_is_refused(name: str, size: int, match: str) -> None:
    """A stream of many or large files of other programs ends in an error."""
    info = tarfile.TarInfo(name)
    info.size = size
    stream = Endless(info)

    with pytest.raises(ArchiveError, match=match):
        for _ in TarParser(stream, "a.tar", ARCHIVE):
            pass

    assert stream.nbytes < 2**30


def test_a_patch_folder_of_very_much_litter_is_refused(
    tmp_path: Path, fake_patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all of a folder is listed to find a patch in it."""
    monkeypatch.setattr(limits, "MAX_FOLDER_FILES", 50)
    one = next(iter(fake_patches))
    (tmp_path / one).mkdir()
    for number in range(60):
        (tmp_path / one / f"._{number}").touch()

    with pytest.raises(ArchiveError, match=f"more than 50 files in .*{one}"):
        list(FolderMembers(tmp_path, ARCHIVE))


def test_an_archive_full_of_attributes_is_not_too_much() -> None:
    """A `._` file for all of a patch and sidecars of all bands are below the bound."""
    nbytes = 186_368 + 14 * 1024  # of a patch and its `._` files

    assert nbytes // limits.LITTER_SPACING > 14 + 2 * 12


def test_every_file_of_the_release_is_kept(fake_patches: Patches) -> None:
    """Neither files nor folders of patches are ever taken for litter."""
    litter = Litter(ARCHIVE)
    for patch_id, files in fake_patches.items():
        assert litter.find(patch_id, TOP) is None
        assert [None] * 13 == [litter.find(name, patch_id) for name in files]
    assert find_folder(f"{TOP}/{patch_id}") is None


def test_counts_are_described_by_number() -> None:
    """The most frequent kind comes first."""
    assert "1,200 ._*, 1 .DS_Store" == describe({".DS_Store": 1, "._*": 1200})


def test_the_kinds_are_counted_in_an_archive_of_tar(
    tmp_path: Path, fake_patches: Patches
) -> None:
    """What `tarfile` lists is a patch's or counted, nothing else."""
    one = next(iter(fake_patches))
    members = list_members(fake_patches, one)
    litter = [(f"{TOP}/{one}/._{number}", b"x") for number in range(20)]
    members = TarMembers(write_tar(tmp_path / "a.tar", litter + members), ARCHIVE)
    found = [name for _, name, _ in members if name]
    members.close()

    assert [*fake_patches[one]] == found
    assert {"._*": 20} == members.litter.counts

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

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ARCHIVE = V1.archive("s2")
Member = tuple[str, bytes]

UNKNOWN = "S2A_MSIL2A_20170613T101031_99_99"
# Of the release, and not one of the fake patches.
OTHER = "S2A_MSIL2A_20170613T101031_0_46"
TOP = "BigEarthNet-v1.0"


def list_members(patches: Patches, *patch_ids: str) -> list[Member]:
    """Lists the members of some patches."""
    return [
        (f"{TOP}/{patch_id}/{name}", content)
        for patch_id in patch_ids
        for name, content in patches[patch_id].items()
    ]


def write_members(path: Path, members: list[Member]) -> Path:
    """Writes a tar file of these members; one without a last name is a folder."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(content))
    return path


def read(
    path: Path, index: PatchIndex, **options: Callable[[int], bool]
) -> tuple[list[str], list[tuple[str, str | None, str, int | None]]]:
    """Reads a source to its end: ids of good patches, and what is said of bad ones."""
    bad: list[tuple[str, str | None, str, int | None]] = []

    def on_bad(error: PatchError, row: int | None, offset: int | None) -> None:
        assert row == index.find(error.patch_id)
        bad.append((error.patch_id, error.file, error.problem, offset))

    with open_source(path, ARCHIVE) as source:
        good = [r.name for r in source.patches(index, on_bad=on_bad, **options)]
    return good, bad


def find_offset(path: Path, position: int) -> int:
    """Where the header of a member stands, after Python's own reader."""
    with tarfile.open(path) as tar:
        return tar.getmembers()[position].offset


def missing(members: list[Member]) -> list[Member]:
    """The patch without its third file."""
    return members[:2] + members[3:]


def extra(members: list[Member]) -> list[Member]:
    """The patch with a file of another name."""
    return [*members[:5], (members[0][0].replace("B01", "B10"), b"x"), *members[5:]]


def doubled(members: list[Member]) -> list[Member]:
    """The patch with one of its files twice."""
    return [*members[:5], members[2], *members[5:]]


def unknown(members: list[Member]) -> list[Member]:
    """The patch under a name that the release does not have."""
    patch_id = members[0][0].split("/")[1]
    return [(name.replace(patch_id, UNKNOWN), data) for name, data in members]


def crowded(members: list[Member]) -> list[Member]:
    """The patch with more files than are collected."""
    folder = members[0][0].rpartition("/")[0]
    return members + [(f"{folder}/{n}", b"") for n in range(limits.MAX_FILES + 20)]


def beside(members: list[Member]) -> list[Member]:
    """The patch after a file that lies in no patch folder."""
    return [(f"{TOP}/notes.doc", b"hello"), *members]


@pytest.mark.parametrize(
    ("change", "match", "is_good"),
    [
        (missing, "missing file: found 12 of 13", False),
        (extra, "unexpected file", False),
        (doubled, "the file comes twice", False),
        (unknown, "not a patch of the release", False),
        (crowded, "too many files", False),
        (beside, "not a patch of the release", True),
    ],
)
def test_a_bad_patch_is_reported_and_the_others_are_read(
    change: Callable[[list[Member]], list[Member]],
    match: str,
    is_good: bool,
    fake_patches: Patches,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Each kind of bad patch is reported once, with the place of its first member."""
    one, two, three, *_ = fake_patches
    members = change(list_members(fake_patches, two))
    path = write_members(
        tmp_path / "a.tar",
        [
            *list_members(fake_patches, one),
            *members,
            *list_members(fake_patches, three),
        ],
    )
    good, bad = read(path, patch_index)
    ((patch_id, _, problem, offset),) = bad

    assert [one, *[two] * is_good, three] == good
    assert members[0][0].split("/")[-2] == patch_id
    assert match in problem
    assert find_offset(path, 13) == offset


def test_the_file_is_named(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """What lacks or is too much is said of the patch, by name."""
    two = list(fake_patches)[1]
    members = list_members(fake_patches, two)
    found = []
    for number, change in enumerate((missing, extra, doubled)):
        path = write_members(tmp_path / f"{number}.tar", change(members))
        ((_, file, _, _),) = read(path, patch_index)[1]
        found.append(file)
    names = [name.rpartition("/")[2] for name, _ in members]

    assert [names[2], f"{two}_B10.tif", names[2]] == found


def test_a_patch_that_comes_twice_is_reported_with_its_second_copy(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """The first copy was yielded by then; each other one is reported where it is."""
    one, two, *_ = fake_patches
    path = write_members(tmp_path / "a.tar", list_members(fake_patches, one, two, one))
    good, bad = read(path, patch_index)

    assert [one, two] == good
    assert [(one, find_offset(path, 26))] == [(bad[0][0], bad[0][3])]
    assert "comes twice" in bad[0][2]


@pytest.mark.parametrize("is_first_bad", [True, False])
def test_a_bad_copy_does_not_make_the_other_one_good(
    is_first_bad: bool, fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A patch of which one copy is bad is bad, whichever copy comes first."""
    one, two, *_ = fake_patches
    good, bad = (
        list_members(fake_patches, one),
        missing(list_members(fake_patches, one)),
    )
    copies = [bad, good] if is_first_bad else [good, bad]
    path = write_members(
        tmp_path / "a.tar", [*copies[0], *list_members(fake_patches, two), *copies[1]]
    )
    found, reported = read(path, patch_index)

    assert ([two] if is_first_bad else [one, two]) == found
    assert {one} == {patch_id for patch_id, *_ in reported}
    assert (2 if is_first_bad else 1) == len(reported)
    assert find_offset(path, len(copies[0]) + 13) == reported[-1][3]


def test_each_piece_of_a_scattered_patch_is_reported(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A patch whose members do not stand together is not put together."""
    one, two, *_ = fake_patches
    members = list_members(fake_patches, one)
    path = write_members(
        tmp_path / "a.tar",
        [*members[:5], *list_members(fake_patches, two), *members[5:]],
    )
    good, bad = read(path, patch_index)

    assert [two] == good
    assert [one, one] == [patch_id for patch_id, *_ in bad]
    assert [find_offset(path, 0), find_offset(path, 18)] == [o for *_, o in bad]


def test_an_empty_folder_is_reported_at_the_end(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A folder of the release that is never filled has no place."""
    one, *_ = fake_patches
    folders = [(f"{TOP}/", b""), (f"{TOP}/{OTHER}/", b""), (f"{TOP}/{one}/", b"")]
    path = write_members(
        tmp_path / "a.tar", [*folders, *list_members(fake_patches, one)]
    )

    assert (
        [one],
        [(OTHER, None, "the patch folder is empty.", None)],
    ) == read(path, patch_index)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_places_are_right_behind_long_names(
    format: int,
    fake_patches: Patches,
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """The place is that of the member's own header; those before it extend it."""
    bad_id = list(fake_patches)[3]
    rest = dict(list(fake_patches[bad_id].items())[1:])
    path = write_archive(
        tmp_path,
        {**fake_patches, bad_id: rest},
        kind="tar",
        format=format,
        prefix="long/" * 30,
    )
    ((patch_id, _, _, offset),) = read(path, patch_index)[1]
    name = next(iter(rest))
    with tarfile.open(path) as tar:
        member = tar.getmember(f"{'long/' * 30}{bad_id}/{name}")
    assert offset is not None
    header = tarfile.TarInfo.frombuf(
        path.read_bytes()[offset : offset + 512], "utf-8", "strict"
    )

    assert bad_id == patch_id
    assert offset + 512 == member.offset_data
    assert header.size == len(rest[name])


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst"])
def test_places_are_those_of_the_decompressed_file(
    kind: str,
    fake_patches: Patches,
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """However a source is compressed, the place is the same."""
    bad_id = list(fake_patches)[4]
    patches = {**fake_patches, bad_id: dict(list(fake_patches[bad_id].items())[3:])}
    places = []
    for name in ("tar", kind):
        path = write_archive(tmp_path, patches, kind=name)
        ((_, _, _, offset),) = read(path, patch_index)[1]
        places.append(offset)
    with tarfile.open(tmp_path / "archive.tar") as tar:
        member = next(m for m in tar if m.isfile() and bad_id in m.name)

    assert [member.offset] * 2 == places


def spoil(root: Path) -> dict[str, str]:
    """Spoils a folder in all ways; id → what is wrong with it."""
    one, two, three, four, *_ = sorted(path.name for path in root.iterdir())
    (root / one / f"{one}_B01.tif").unlink()
    (root / two / "more.txt").write_text("")
    (root / three / f"{three}_B02.tif").unlink()
    (root / three / f"{three}_B02.tif").symlink_to(root / four / f"{four}_B02.tif")
    (root / OTHER).mkdir()
    (root / four).rename(root / UNKNOWN)
    (root / "notes.doc").write_text("hello")
    return {
        one: "missing file",
        two: "unexpected file",
        three: "a symbolic link",
        OTHER: "the patch folder is empty",
        UNKNOWN: "not a patch of the release",
        "notes.doc": "not a patch folder",
    }


def test_bad_patches_of_a_folder_are_reported(
    fake_patches: Patches,
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A folder's bad patches are told apart, once each, without a place."""
    root = write_archive(tmp_path, fake_patches, kind="folder") / TOP
    expected = spoil(root)
    good, bad = read(root, patch_index)

    assert sorted(fake_patches)[4:] == good
    assert sorted(expected) == sorted(patch_id for patch_id, *_ in bad)
    for patch_id, _, problem, offset in bad:
        assert expected[patch_id] in problem
        assert offset is None


def test_endless_files_of_one_folder_end_it(
    fake_patches: Patches,
    patch_index: PatchIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source that is no archive of patches is not read to its end."""
    monkeypatch.setattr(limits, "MAX_FOLDER_FILES", 100)
    one, *_ = fake_patches
    files = [(f"{TOP}/{one}/{number}", b"") for number in range(200)]
    path = write_members(tmp_path / "a.tar", files)

    with pytest.raises(ArchiveError, match=f"more than 100 files in '{TOP}/{one}'"):
        read(path, patch_index)


def test_without_anybody_to_report_to_the_first_ends_it(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """Then the error is raised where the patch stands."""
    one, two, *_ = fake_patches
    members = [
        *list_members(fake_patches, one),
        *missing(list_members(fake_patches, two)),
    ]
    path = write_members(tmp_path / "a.tar", members)
    with open_source(path, ARCHIVE) as source:
        patches = source.patches(patch_index)

        assert one == next(patches).name
        with pytest.raises(PatchError, match=f"{two}.*missing"):
            next(patches)

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet.errors import ArchiveError, ChecksumError
from bigearthnet.release import V1, V2, Archive, Digest
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.source import open_source
from bigearthnet.source.archive_index import index_file, write_index
from bigearthnet.source.parts import Part, list_parts, open_part
from bigearthnet.util.remote import RemotePath, parse_url
from tests.v2.made import make_files

ARCHIVE = V1.archive("s2")

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]
# Row, name, files and place of each patch.
Read = list[tuple[int, str, Mapping[str, bytes], int | None]]


def read_whole(path: Path, archive: Archive, patches: PatchIndex) -> Read:
    """Reads a source at once."""
    with open_source(path, archive) as source:
        raws = [*source.patches(patches)]
    return [(raw.row, raw.name, raw.files, raw.offset) for raw in raws]


def read_parts(parts: tuple[Part, ...], patches: PatchIndex) -> tuple[Read, list[str]]:
    """Reads parts one after another; also the names that are missing."""
    found: Read = []
    missing: list[str] = []
    for part in parts:
        with open_part(part, patches) as source:
            raws = [*source.patches(patches)]
        found += [(raw.row, raw.name, raw.files, raw.offset) for raw in raws]
        missing += source.missing
    return found, missing


def find_rows(patches: PatchIndex, names: Any, archive: Archive = ARCHIVE) -> Any:
    """Rows of some patches and of one more, which no test writes."""
    found = {patches.names(archive.ids).find(name) for name in names}
    return np.array(sorted({*found, len(patches) - 1}))


def write_indexed(
    kind: str, folder: Path, patches: Patches, table: PatchIndex, write: WriteArchive
) -> Path:
    """Writes an archive and its index, of two patches a part."""
    if kind == "tar.gz":
        pytest.importorskip("rapidgzip")
    path = write(folder, patches, kind=kind)
    write_index(path, ARCHIVE, table, size=2)
    return path


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_parts_of_an_archive_are_what_it_holds(
    kind: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Patches, order and places are those of one pass; the index tells its size."""
    path = write_indexed(kind, tmp_path, fake_patches, patch_index, write_archive)
    parts = list_parts([path], ARCHIVE, patch_index)

    assert (read_whole(path, ARCHIVE, patch_index), []) == read_parts(
        parts, patch_index
    )
    assert ["s2-00000-of-00003", "s2-00001-of-00003", "s2-00002-of-00003"] == [
        part.name for part in parts
    ]


@pytest.mark.parametrize("archive", V2.archives, ids=lambda archive: archive.name)
def test_parts_of_other_archives_are_what_they_hold(
    archive: Archive, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Sentinel-1 and maps, too, whose patches lie a level deeper."""
    table = load_index(V2, "official")
    prefix = f"{archive.folder}/"
    path = write_archive(tmp_path, make_files(archive), kind="tar", prefix=prefix)
    write_index(path, archive, table, size=2)
    parts = list_parts([path], archive, table)

    assert (read_whole(path, archive, table), []) == read_parts(parts, table)
    assert len(parts) == -(-len(make_files(archive)) // 2)


def test_a_large_gzip_file_is_entered_within(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Where parts begin within a file that does not compress, they are found."""
    pytest.importorskip("rapidgzip")
    noise = np.random.default_rng(0)
    patches = {
        patch_id: {name: noise.bytes(300_000) for name in files}
        for patch_id, files in fake_patches.items()
    }
    path = write_indexed("tar.gz", tmp_path, patches, patch_index, write_archive)
    parts = list_parts([path], ARCHIVE, patch_index)

    assert read_whole(path, ARCHIVE, patch_index) == read_parts(parts, patch_index)[0]
    assert index_file(path).stat().st_size < 0.02 * path.stat().st_size


@pytest.mark.parametrize("archive", [ARCHIVE, *V2.archives], ids=lambda a: str(a.url))
def test_parts_of_a_folder_are_what_it_holds(
    archive: Archive, fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """Names follow from the table, nothing is listed; what is missing is named."""
    files = fake_patches if archive is ARCHIVE else make_files(archive)
    table = patch_index if archive is ARCHIVE else load_index(V2, "official")
    write_folder(tmp_path / archive.folder, files)
    rows = find_rows(table, [place.rpartition("/")[2] for place in files], archive)
    parts = list_parts([tmp_path], archive, table, rows, size=2)
    missing = table.names(archive.ids).name(len(table) - 1)

    assert (read_whole(tmp_path, archive, table), [missing]) == read_parts(parts, table)
    assert len(parts) == -(-len(rows) // 2)


def test_products_of_sentinel_1_are_named_without_the_tile(tmp_path: Path) -> None:
    """The folder above its patches is found as it was published, or with the tile."""
    archive, table = V2.archive("s1"), load_index(V2, "official")
    names = sorted(place.rpartition("/")[2] for place in make_files(archive))
    files = {
        f"{name.rsplit('_', 3)[0]}/{name}": content
        for name, content in zip(
            names, [c for _, c in sorted(make_files(archive).items())], strict=True
        )
    }
    write_folder(tmp_path / "s1", files)
    parts = list_parts([tmp_path], archive, table, find_rows(table, names, archive))

    assert len(names) == len(read_parts(parts, table)[0])


def write_folder(path: Path, files: Patches) -> None:
    """Writes the folders of some patches."""
    for place, contents in files.items():
        (path / place).mkdir(parents=True)
        for name, content in contents.items():
            (path / place / name).write_bytes(content)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst"])
def test_several_archives_are_several_parts(
    kind: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Each without an index is one, and knows its checksum when it was read."""
    names = sorted(fake_patches)
    paths = []
    for number, some in enumerate((names[:2], names[2:])):
        (tmp_path / str(number)).mkdir()
        patches = {name: fake_patches[name] for name in some}
        paths.append(write_archive(tmp_path / str(number), patches, kind=kind))
    parts = list_parts(paths, ARCHIVE, patch_index)

    assert names == [name for _, name, *_ in read_parts(parts, patch_index)[0]]
    assert ["s2-00000-of-00002", "s2-00001-of-00002"] == [part.name for part in parts]


def test_bad_patches_are_named_once(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """What is wrong with a patch, an empty folder too, is said as by one pass."""
    patches = {name: dict(files) for name, files in fake_patches.items()}
    first, second, *_, last = patches
    patches[first].pop(f"{first}_B01.tif")
    patches[second].clear()
    patches[last]["strange.tif"] = b"x"
    path = write_indexed("tar", tmp_path, patches, patch_index, write_archive)
    parts = list_parts([path], ARCHIVE, patch_index)
    with open_source(path, ARCHIVE) as source:
        expected = [str(error) for error in collect_errors(source, patch_index)]
    found = []
    for part in parts:
        with open_part(part, patch_index) as opened:
            found += [str(error) for error in collect_errors(opened, patch_index)]

    assert 3 == len(expected)
    assert sorted(expected) == sorted(found)


def collect_errors(source: Any, patches: PatchIndex) -> list[Exception]:
    """Reads a source and returns what is wrong with its patches."""
    errors: list[Exception] = []
    for _ in source.patches(patches, on_bad=lambda error, *_: errors.append(error)):
        pass
    return errors


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
@pytest.mark.parametrize("where", ["start", "middle", "length"])
def test_the_index_of_another_file_is_refused(
    kind: str,
    where: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A file that changed is noticed by its size and ends, or when a part is read."""
    noise = np.random.default_rng(0).bytes(2**22)
    patches = dict(fake_patches)
    middle = sorted(patches)[3]
    patches[middle] = {
        **patches[middle],
        **dict(zip(patches[middle], [noise[:999_999]] * 9, strict=False)),
    }
    path = write_indexed(kind, tmp_path, patches, patch_index, write_archive)
    content = bytearray(path.read_bytes())
    if where == "length":
        content += b"x"
    else:
        content[10 if where == "start" else len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match=r"of another file|was indexed|CRC32"):
        read_parts(list_parts([path], ARCHIVE, patch_index), patch_index)


def test_an_index_that_is_damaged_or_missing_is_refused(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """The error says how to make it; so it does if it was made again meanwhile."""
    path = write_indexed("tar", tmp_path, fake_patches, patch_index, write_archive)
    parts = list_parts([path], ARCHIVE, patch_index)
    index = index_file(path)
    content = index.read_bytes()
    for damaged in (b"", content[:-9], b"x" + content[1:-1]):
        index.write_bytes(damaged)
        with pytest.raises(ArchiveError, match=r"damaged.*builder\.index"):
            list_parts([path], ARCHIVE, patch_index)
    for position in range(0, len(content), 41):
        flipped = bytearray(content)
        flipped[position] ^= 8
        index.write_bytes(flipped)
        with contextlib.suppress(ArchiveError):  # or it makes no difference
            assert parts == list_parts([path], ARCHIVE, patch_index)
    write_index(path, ARCHIVE, patch_index, size=3)
    with pytest.raises(ArchiveError, match="indexed again"):
        open_part(parts[0], patch_index)
    index.unlink()
    with pytest.raises(ArchiveError, match=r"no index.*builder\.index"):
        open_part(parts[0], patch_index)


def test_what_cannot_be_split_is_not_indexed(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Neither zstd, nor patches in several pieces, nor another file than expected."""
    first, second, *_ = fake_patches
    files = [*fake_patches[first].items()]
    apart = [(first, dict(files[:3])), (second, fake_patches[second])]
    path = write_archive(tmp_path, dict(apart), kind="tar")
    whole = path.read_bytes()
    again = write_archive(tmp_path, {first: dict(files[3:])}, kind="tar").read_bytes()
    (tmp_path / "apart.tar").write_bytes(whole.rstrip(b"\0") + pad(whole) + again)
    with pytest.raises(ArchiveError, match=f"{first} do not stand together"):
        write_index(tmp_path / "apart.tar", ARCHIVE, patch_index, size=2)
    path = write_archive(tmp_path, fake_patches, kind="tar.zst")
    advice = rf"builder\.repack --config=s2 --s2={path} --output=\.\.\."
    with pytest.raises(ArchiveError, match=advice):
        write_index(path, ARCHIVE, patch_index, size=2)
    path = write_archive(tmp_path, fake_patches, kind="tar")
    digest = Digest("sha256", "0" * 64)
    with pytest.raises(ChecksumError, match="not the published file"):
        write_index(path, ARCHIVE, patch_index, size=2, digest=digest)

    assert [] == [*tmp_path.glob("*.index*")]


def pad(content: bytes) -> bytes:
    """The zeros that make whole blocks of a tar file without its end mark."""
    return bytes(-len(content.rstrip(b"\0")) % 512)


def test_places_that_are_no_source_are_refused(
    patch_index: PatchIndex, tmp_path: Path
) -> None:
    """As by `open_source`."""
    with pytest.raises(ArchiveError, match="no source at"):
        list_parts([tmp_path / "none.tar.gz"], ARCHIVE, patch_index)
    with pytest.raises(ArchiveError, match="no patch folders"):
        list_parts([tmp_path], ARCHIVE, patch_index)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[RemotePath]:
    """An empty bucket of a server on this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    s3fs = pytest.importorskip("s3fs")
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "no_proxy": "*",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("parts")
    yield parse_url("s3://parts")
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_parts_lie_in_an_object_store(
    bucket: RemotePath,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A folder of patches and an indexed .tar are read there as they are here."""
    import s3fs

    store = s3fs.S3FileSystem()
    path = write_indexed("tar", tmp_path, fake_patches, patch_index, write_archive)
    first, *_, last = sorted(fake_patches)
    (tmp_path / "v1").mkdir()
    files = {name: dict(found) for name, found in fake_patches.items()}
    files[last][f"{last}_B01.tif"] = b""
    files[first][f"{first}_B01.tif"] = bytes(2**21)
    write_folder(tmp_path / "v1", files)
    for local, name in ((path, "a.tar"), (index_file(path), "a.tar.index")):
        store.put(str(local), f"parts/{name}")
    store.put(str(tmp_path / "v1"), "parts/v1", recursive=True)
    rows = find_rows(patch_index, fake_patches)

    tar = list_parts([bucket / "a.tar"], ARCHIVE, patch_index)
    assert read_whole(path, ARCHIVE, patch_index) == read_parts(tar, patch_index)[0]
    folder = list_parts([bucket / "v1"], ARCHIVE, patch_index, rows, size=4)
    here = list_parts([tmp_path / "v1"], ARCHIVE, patch_index, rows, size=4)
    bad: list[str] = []
    for part, other in zip(folder, here, strict=True):
        with open_part(part, patch_index) as one, open_part(other, patch_index) as two:
            found, expected = (
                [
                    (raw.row, raw.files)
                    for raw in source.patches(
                        patch_index, on_bad=lambda error, *_: bad.append(str(error))
                    )
                ]
                for source in (one, two)
            )
        assert expected == found
        assert one.missing == two.missing
    assert 2 == len(bad)
    assert bad[0] == bad[1]
    assert "larger than" in bad[0]

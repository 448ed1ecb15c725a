from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from bigearthnet.errors import ArchiveError, OptionError
from bigearthnet.release import V1, Digest
from bigearthnet.source import limits
from bigearthnet.source.blocks import BlockReader, choose_codec
from bigearthnet.source.tar import TarMembers

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ARCHIVE = V1.archive("s2")


def read(path: Path) -> list[tuple[str, bytes]]:
    """Reads all members of an archive."""
    members = TarMembers(path, ARCHIVE)
    try:
        return [(f"{folder}/{name}", data) for folder, name, data in members if name]
    finally:
        members.close()


def make_tar(
    path: Path, *infos: tarfile.TarInfo, format: int = tarfile.GNU_FORMAT
) -> Path:
    """Writes a tar file of members that consist of the letter x."""
    with tarfile.open(path, "w", format=format) as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def member(name: str, size: int = 3, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """Makes the header of a member."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "tar.zst"])
def test_the_members_are_those_that_tarfile_reads(
    kind: str, fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Names and contents equal those of the standard library."""
    plain = write_archive(tmp_path, fake_patches, kind="tar")
    path = write_archive(tmp_path, fake_patches, kind=kind)
    with tarfile.open(plain) as tar:
        files = [info for info in tar if info.isfile()]
        expected = [(f.name, tar.extractfile(f).read()) for f in files]  # type: ignore[union-attr]

    assert expected == read(path)


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "tar.zst"])
@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_the_checksums_are_those_of_the_file(
    algorithm: str,
    kind: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """They cover every byte of the file and are known once it was read.

    The sha256 is always one of them, beside that of the publisher.
    """
    path = write_archive(tmp_path, fake_patches, kind=kind)
    digest = Digest(algorithm, "")
    members = TarMembers(path, dataclasses.replace(ARCHIVE, digest=digest))
    before = dict(members.digests)
    for _ in members:
        pass
    members.close()

    assert {} == before
    assert {
        name: hashlib.new(name, path.read_bytes()).hexdigest()
        for name in {"sha256", algorithm}
    } == members.digests
    assert path.stat().st_size == members.nbytes == members.position


def test_several_decompressors_read_the_same(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Threads beside each other give the bytes, places and checksums of one."""
    pytest.importorskip("rapidgzip")
    path = write_archive(tmp_path, fake_patches, kind="tar.gz")
    one, two = TarMembers(path, ARCHIVE), TarMembers(path, ARCHIVE, decompressors=2)
    expected = [(*found, one.offset) for found in one]
    assert expected == [(*found, two.offset) for found in two]
    one.close()
    two.close()

    assert one.digests == two.digests != {}
    assert one.position == two.position == path.stat().st_size


def test_several_decompressors_need_their_package(
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it a .tar.gz is refused with the extra to install; others are read."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for kind in ("tar", "tar.zst"):
        path = write_archive(tmp_path, fake_patches, kind=kind)
        TarMembers(path, ARCHIVE, decompressors=2).close()

    path = write_archive(tmp_path, fake_patches, kind="tar.gz")
    with pytest.raises(OptionError, match=r"rapidgzip not installed: .*\[rapidgzip\]"):
        TarMembers(path, ARCHIVE, decompressors=2)


def test_members_longer_than_the_ring_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member may be larger than a slot of the ring, and span several."""
    monkeypatch.setattr(limits, "MAX_FILE_NBYTES", 2**24)
    path = make_tar(tmp_path / "a.tar", member("p/a", 9 * 2**20), member("p/b", 513))

    assert [("p/a", 9 * 2**20), ("p/b", 513)] == [
        (name, content.count(b"x")) for name, content in read(path)
    ]


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "tar.zst"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.98])
def test_a_truncated_archive_is_an_error(
    kind: str,
    keep: float,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """An archive that ends early is one error that names it, wherever it ends."""
    path = write_archive(tmp_path, fake_patches, kind=kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])

    with pytest.raises(ArchiveError, match=path.name):
        read(path)


def test_an_archive_cut_between_members_is_an_error(tmp_path: Path) -> None:
    """A tar file without its end mark is truncated, even at a member's edge."""
    path = make_tar(tmp_path / "a.tar", member("p/a", 512))
    path.write_bytes(path.read_bytes()[:1024])

    with pytest.raises(ArchiveError, match="truncated"):
        read(path)


@pytest.mark.parametrize("position", [0, 50, 124, 130, 148, 156, 257, 300])
def test_a_damaged_header_is_an_error(position: int, tmp_path: Path) -> None:
    """A changed byte of a header is found by its checksum."""
    path = make_tar(tmp_path / "a.tar", member("p/a", 512))
    content = bytearray(path.read_bytes())
    content[position] ^= 0x11
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match=r"a\.tar"):
        read(path)


def test_damaged_gzip_is_an_error(tmp_path: Path) -> None:
    """A wrong CRC of the gzip stream is found, though every member was read."""
    path = tmp_path / "a.tar.gz"
    plain = make_tar(tmp_path / "a.tar", member("p/a", 512)).read_bytes()
    content = bytearray(gzip.compress(plain))
    content[-8] ^= 1
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match="cannot be decompressed"):
        read(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    """What is neither a file nor a folder is an error that names it."""
    path = make_tar(tmp_path / "a.tar", member("p/a", 0, kind))

    with pytest.raises(ArchiveError, match="'p/a' is neither a file nor a folder"):
        read(path)


def test_data_after_the_end_is_an_error(tmp_path: Path) -> None:
    """Bytes behind the end mark other than zeros are not ignored."""
    path = make_tar(tmp_path / "a.tar", member("p/a"))
    path.write_bytes(path.read_bytes() + b"more")

    with pytest.raises(ArchiveError, match="data after the end"):
        read(path)


def test_names_and_sizes_of_pax_headers_are_used(tmp_path: Path) -> None:
    """A PAX path beats the header's name; harmless records are ignored."""
    info = member("p/a", 700)
    info.pax_headers = {"path": "q/Ä" + "b" * 200, "mtime": "1.5", "comment": "x"}
    path = make_tar(tmp_path / "a.tar", info, format=tarfile.PAX_FORMAT)

    assert [("q/Ä" + "b" * 200, b"x" * 700)] == read(path)


def test_unknown_pax_records_are_refused(tmp_path: Path) -> None:
    """A PAX record that may change the content is an error, not ignored."""
    info = member("p/a")
    info.pax_headers = {"GNU.sparse.major": "1"}
    path = make_tar(tmp_path / "a.tar", info, format=tarfile.PAX_FORMAT)

    with pytest.raises(ArchiveError, match=r"unsupported PAX record 'GNU\.sparse"):
        read(path)


def test_headers_with_binary_sizes_are_read(tmp_path: Path) -> None:
    """A header that the fast path does not understand is parsed by tarfile."""
    path = make_tar(tmp_path / "a.tar", member("p/a", 5))
    content = bytearray(path.read_bytes())
    content[124:136] = b"\x80" + bytes(10) + b"\x05"
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    path.write_bytes(content)

    assert [("p/a", b"xxxxx")] == read(path)


def test_huge_members_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A declared size far beyond a patch's files is an error, not an allocation."""
    info = member("p/a", 2**33)
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))

    with pytest.raises(ArchiveError, match=f"declares {2**33} bytes"):
        read(path)


def make_v7(members: list[tarfile.TarInfo], spaces: bool) -> bytes:
    """Makes an archive as tar of Unix V7 did: no magic, folders end in a slash."""
    content = b""
    for info in members:
        folder = "/" * info.isdir()
        header = bytearray(512)
        header[:100] = (info.name + folder).encode().ljust(100, b"\0")
        form = b"%6o \0" if spaces else b"%07o\0"
        header[100:124] = form % 0o644 + form % 1000 + form % 1000
        header[124:148] = b"%11o " % info.size + b"%11o " % 1234567890
        header[148:156] = b" " * 8
        header[148:156] = b"%6o\0 " % sum(header)
        content += header + b"x" * info.size + bytes(-info.size % 512)
    return content + bytes(1024)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress])
@pytest.mark.parametrize("spaces", [True, False])
def test_archives_of_v7_are_read(
    compress: Callable[[bytes], bytes], spaces: bool, tmp_path: Path
) -> None:
    """The oldest format has no magic: its checksum tells it, compressed or not."""
    infos = [member("p", 0, tarfile.DIRTYPE), member("p/a", 700), member("p/b")]
    path = tmp_path / "a.tar"
    path.write_bytes(compress(make_v7(infos, spaces)))
    with tarfile.open(fileobj=io.BytesIO(make_v7(infos, spaces))) as tar:
        assert ["p", "p/a", "p/b"] == tar.getnames()

    assert [("p/a", b"x" * 700), ("p/b", b"xxx")] == read(path)


def test_a_header_of_v7_that_is_damaged_is_no_archive(tmp_path: Path) -> None:
    """Without a magic, nothing but the checksum says that a file is an archive."""
    content = bytearray(make_v7([member("p/a")], spaces=False))
    content[0] ^= 1
    path = tmp_path / "a.tar"
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match="not an archive that can be read"):
        choose_codec(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\3\4zip", b"BZh9", b"x" * 600, bytes(10_240)]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is no tar file, plain or compressed, is an error that shows it."""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match="not an archive that can be read"):
        choose_codec(path)


def test_gzip_without_isal_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library's gzip stands in where isal is not installed."""
    content = bytes(range(256)) * 40_000
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(content, 1))
    (tmp_path / "isal.py").write_text("raise ImportError('not for this machine')")
    monkeypatch.syspath_prepend(tmp_path)
    reader = BlockReader(path)
    found = b"".join(iter(reader.read_some, b""))
    reader.close()

    assert content == found


def test_gzip_files_of_several_members_are_read_whole(tmp_path: Path) -> None:
    """A gzip file may be several, one after another."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"two"))
    reader = BlockReader(path)
    found = b"".join(iter(reader.read_some, b""))
    reader.close()

    assert b"onetwo" == found


def test_closing_early_ends_the_process(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """No process is left behind when a source is closed before its end."""
    members = TarMembers(write_archive(tmp_path, fake_patches, kind="tar.gz"), ARCHIVE)
    next(iter(members))
    members.close()
    members.close()

    assert members._blocks._process.poll() is not None


@pytest.mark.parametrize("field", [(124, b"00000009999"), (148, b"029502")])
def test_numbers_that_are_not_octal_are_an_error(
    field: tuple[int, bytes], tmp_path: Path
) -> None:
    """A flipped bit that makes a digit 8 or 9 is damage, not a crash."""
    path = make_tar(tmp_path / "a.tar", member("p/a"))
    content = bytearray(path.read_bytes())
    content[field[0] : field[0] + len(field[1])] = field[1]
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match=r"header is damaged|wrong checksum"):
        read(path)


@pytest.mark.parametrize(
    "record", [b"9" * 5000 + b" path=x\n", b"12 size=" + b"9" * 30]
)
def test_endless_numbers_in_pax_headers_are_an_error(
    record: bytes, tmp_path: Path
) -> None:
    """A length or size of very many digits is damage, not a crash."""
    info = member("header", len(record), tarfile.XHDTYPE)
    path = tmp_path / "a.tar"
    padding = bytes(-len(record) % 512)
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + record + padding + bytes(1024))

    with pytest.raises(ArchiveError, match="PAX"):
        read(path)


def test_a_broken_installation_is_not_blamed_on_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error other than damage says so, and does not ask for another download."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"content"))
    (tmp_path / "isal.py").write_text("raise MemoryError('too little')")
    monkeypatch.syspath_prepend(tmp_path)
    reader = BlockReader(path)

    with pytest.raises(ArchiveError, match=r"MemoryError.*file itself may be good"):
        reader.read_some()

    reader.close()


def test_errors_name_the_member_before(tmp_path: Path) -> None:
    """Damage in the middle of an archive says after which member it stands."""
    path = make_tar(tmp_path / "a.tar", member("p/a"), member("p/b"))
    content = bytearray(path.read_bytes())
    content[1024] ^= 0x11
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match=r"a\.tar after p/a: "):
        read(path)

"""Tar files that were made to do harm; see also `test_headers.py`."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import Source, limits, open_source
from bigearthnet.source.tar import TarMembers, TarParser

Patches = dict[str, dict[str, bytes]]

_BLOCK = 512

ARCHIVE = V1.archive("s2")


def member(name: str, content: bytes = b"xyz", kind: bytes = tarfile.REGTYPE) -> bytes:
    """Makes a member of a GNU archive, header and content."""
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % _BLOCK)


def pax(*records: str) -> bytes:
    """Makes a PAX header of some records `key=value`."""
    content = b"".join(map(pax_record, records))
    return member("header", content, tarfile.XHDTYPE)


def pax_record(text: str) -> bytes:
    """Makes one record, which begins with its own length."""
    length = len(text.encode()) + 2
    while len(f"{length} {text}\n".encode()) != length:
        length += 1
    return f"{length} {text}\n".encode()


def long_name(name: bytes) -> bytes:
    """Makes a GNU header of a long name."""
    return member("././@LongLink", name, tarfile.GNUTYPE_LONGNAME)


class Stream:
    """An endless decompressed stream: some bytes, then others over and over."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self._rest, self._again = start, again
        self.nbytes = 0

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads `size` bytes, and skips `padding` more."""
        while len(self._rest) < size + padding:
            self._rest += self._again
        content = self._rest[:size]
        self._rest = self._rest[size + padding :]
        self.nbytes += size + padding
        return content

    def read_some(self) -> bytes:
        """Reads a few bytes."""
        return self.read(len(self._again))


def read(path: Path, *pieces: bytes) -> list[tuple[str, str, bytes]]:
    """Reads an archive made of some pieces and an end mark."""
    path = path / "a.tar"
    path.write_bytes(b"".join(pieces) + bytes(2 * _BLOCK))
    members = TarMembers(path, ARCHIVE)
    try:
        return list(members)
    finally:
        members.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [member("/etc/passwd")],
        [member("../../etc/passwd")],
        [member("p/../../a")],
        [member("p/a"), member("/a")],
        [pax("path=/etc/passwd"), member("p/a")],
        [long_name(b"../" * 40 + b"a\0"), member("p/a")],
        [member("/", b"", tarfile.DIRTYPE)],
        [member("p/../..", b"", tarfile.DIRTYPE)],
    ],
    ids=range(8),
)
def test_names_that_lead_out_are_refused(pieces: list[bytes], tmp_path: Path) -> None:
    """Absolute and climbing names are an error, wherever they stand."""
    with pytest.raises(
        ArchiveError, match=r"a\.tar.*(absolute name|leads out|no name)"
    ):
        read(tmp_path, *pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        [long_name(b"p/a\0b\0"), member("p/a")],
        [pax("path=p/a\0b"), member("p/a")],
        [pax("path=p/\x1b]0;owned\x07"), member("p/a")],
    ],
    ids=["NUL in a long name", "NUL in PAX", "escape sequence"],
)
def test_names_with_control_characters_are_refused(
    pieces: list[bytes], tmp_path: Path
) -> None:
    """A name that other readers cut short, or that steers a terminal, is an error."""
    with pytest.raises(ArchiveError, match="control characters") as caught:
        read(tmp_path, *pieces)

    assert str(caught.value).isprintable()


def test_names_that_are_not_utf8_or_endless_are_refused(tmp_path: Path) -> None:
    """Names are UTF-8, and as long as a system's names can be."""
    with pytest.raises(ArchiveError, match="not UTF-8"):
        read(tmp_path, long_name(b"p/\xff\0"), member("p/a"))
    with pytest.raises(ArchiveError, match="a name of 5002 characters"):
        read(tmp_path, long_name(b"p/" + b"a" * 5000 + b"\0"), member("p/a"))
    with pytest.raises(ArchiveError, match="has no name"):
        read(tmp_path, pax("path="), member("p/a"))


def test_a_file_named_like_a_folder_is_refused(tmp_path: Path) -> None:
    """A file whose name ends with a slash is not taken for a folder, and dropped."""
    with pytest.raises(ArchiveError, match="a file named like a folder: 'p/a/'"):
        read(tmp_path, pax("path=p/a/"), member("p/a"))


@pytest.mark.parametrize(
    "kind",
    [
        *[tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE],
        *[tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE],
        *[tarfile.GNUTYPE_LONGLINK, tarfile.SOLARIS_XHDTYPE, b"D", b"M", b"V", b"9"],
    ],
)
def test_what_is_no_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    """Links, devices, pipes, sparse and unknown members are an error."""
    with pytest.raises(ArchiveError, match="neither a file nor a folder"):
        read(tmp_path, member("p/a", b"", kind))


@pytest.mark.parametrize(
    "records",
    [
        ["GNU.sparse.map=0,1", "GNU.sparse.size=2000000000"],
        ["GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=p/b"],
        ["SCHILY.realsize=2000000000"],
    ],
)
def test_sparse_files_of_pax_are_refused(records: list[str], tmp_path: Path) -> None:
    """Sparse files in every form that PAX has for them are an error."""
    with pytest.raises(ArchiveError, match=r"PAX record '(GNU\.sparse|SCHILY\.real)"):
        read(tmp_path, pax(*records), member("p/a"))


@pytest.mark.parametrize("size", [2**20 + 1, 2**33, 2**59])
def test_huge_sizes_of_pax_are_refused(size: int, tmp_path: Path) -> None:
    """A PAX size far beyond a patch's files is an error, not an allocation."""
    with pytest.raises(ArchiveError, match=f"'p/a' declares {size} bytes"):
        read(tmp_path, pax(f"size={size}"), member("p/a"))


@pytest.mark.parametrize("size", [0, 512, 1500])
def test_a_pax_size_that_lies_is_refused(size: int, tmp_path: Path) -> None:
    """A size that is not the content's leads to a header that is none."""
    content = b"y" * 700

    with pytest.raises(ArchiveError, match=r"a\.tar after p/a: a member's header"):
        read(tmp_path, pax(f"size={size}"), member("p/a", content), member("p/b"))


@pytest.mark.parametrize(
    "pieces",
    [
        [long_name(b"p/b\0"), long_name(b"p/c\0")],
        [pax("path=p/b"), pax("path=p/c")],
        [long_name(b"p/b\0"), pax("path=p/c")],
        [pax("path=p/b"), long_name(b"p/c\0")],
        [pax("path=p/b"), member("g", b"", tarfile.XGLTYPE)],
    ],
)
def test_several_headers_for_one_member_are_refused(
    pieces: list[bytes], tmp_path: Path
) -> None:
    """Which of two names counts differs between readers, so that neither does."""
    with pytest.raises(ArchiveError, match="several extended headers"):
        read(tmp_path, *pieces, member("p/a"))


def test_a_header_without_a_member_is_refused(tmp_path: Path) -> None:
    """An archive that ends after an extended header has lost a member."""
    with pytest.raises(ArchiveError, match="promises a member"):
        read(tmp_path, member("p/a"), pax("path=p/b"))


@pytest.mark.parametrize("header", [long_name(b"p/a"), pax("path=p/a")])
def test_a_header_that_goes_on_in_its_padding_is_refused(
    header: bytes, tmp_path: Path
) -> None:
    """What stands between a header's end and the next block is zeros."""
    with pytest.raises(ArchiveError, match="goes on in its padding"):
        read(tmp_path, header[:-1] + b"x", member("p/b"))


def test_endless_extended_headers_are_refused(tmp_path: Path) -> None:
    """An extended header of more than 64 KiB is not read."""
    with pytest.raises(ArchiveError, match="extended header declares 65537 bytes"):
        read(tmp_path, member("h", b"x" * (2**16 + 1), tarfile.XHDTYPE))


@pytest.mark.parametrize(
    "again",
    [
        member("p", b"", tarfile.DIRTYPE),
        pax("path=p/b") + member("p", b"", tarfile.DIRTYPE),
        member("g", pax_record("comment=" + "x" * 60_000), tarfile.XGLTYPE),
    ],
    ids=["folders", "named folders", "global headers"],
)
def test_endless_members_without_content_are_refused(
    again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of folders or headers ends in an error, in little memory."""
    monkeypatch.setattr(limits, "MAX_OVERHEAD_NBYTES", 2**22)
    stream = Stream(member("p/a"), again)
    tracemalloc.start()

    with pytest.raises(ArchiveError, match="endless folders or headers"):
        for _ in TarParser(stream, "a.tar", ARCHIVE):
            pass

    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert stream.nbytes < 2**23


def test_an_archive_that_lists_every_patch_first_is_read() -> None:
    """The bound on folders is above what an honest archive may begin with."""
    assert limits.MAX_OVERHEAD_NBYTES > 590_326 * _BLOCK * 1.5


def test_endless_padding_is_refused() -> None:
    """Zeros without end behind the end mark are an error after 64 MiB."""
    stream = Stream(member("p/a"), bytes(2**20))

    with pytest.raises(ArchiveError, match=f"more than {2**26} zeros follow"):
        list(TarParser(stream, "a.tar", ARCHIVE))

    assert stream.nbytes < 2**27


class Repeated:
    """Members of a source: one folder of ever more files."""

    nbytes: int | None = None
    is_compressed = False
    position = 0
    digests: Mapping[str, str] = MappingProxyType({})
    offset: int | None = 0

    def __init__(self, folder: str, *, same: bool) -> None:
        self.folder, self.same = folder, same
        self.num_read = 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Yields without end."""
        while True:
            self.num_read += 1
            yield self.folder, "x" if self.same else f"x{self.num_read}", b"abc"

    def close(self) -> None:
        """Has nothing to let go of."""


@pytest.mark.parametrize("same", [True, False])
def test_endless_files_of_a_folder_are_refused(
    same: bool, patch_index: PatchIndex
) -> None:
    """Files without end in one folder are an error, even if bad patches are not."""
    patch_id = patch_index.patch_id(0)
    members = Repeated(f"p/{patch_id}", same=same)

    with pytest.raises(PatchError, match=r"comes twice|too many files"):
        next(Source(Path("a.tar"), ARCHIVE, members).patches(patch_index))

    assert members.num_read <= limits.MAX_FILES + 1
    bad: list[PatchError] = []
    with pytest.raises(ArchiveError, match="this is no archive of patches"):
        next(
            Source(Path("a.tar"), ARCHIVE, members).patches(
                patch_index, on_bad=lambda error, row, offset: bad.append(error)
            )
        )

    assert [patch_id] == [error.patch_id for error in bad]


@pytest.mark.parametrize(
    ("old", "new"),
    [("S2A", "s2a"), ("MSIL2A", "msil2a"), ("_B01.tif", "_B01.TIF"), ("tif", "Tif")],
)
def test_names_that_differ_in_case_are_other_names(
    old: str,
    new: str,
    fake_patches: Patches,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A file is not taken for another whose name differs in case."""
    patch_id, files = next(iter(fake_patches.items()))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{patch_id}/{name}".replace(old, new))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    with (
        open_source(path, ARCHIVE) as source,
        pytest.raises(PatchError, match=r"not a patch of the release|unexpected file"),
    ):
        list(source.patches(patch_index))


def test_files_that_collide_in_case_are_an_error(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """`x_b01.tif` beside `x_B01.tif` is a file too many, not the same file."""
    patch_id, files = next(iter(fake_patches.items()))
    names = {**files, f"{patch_id}_b01.tif": b"x"}
    path = tmp_path / "a.tar"
    pieces = [
        member(f"q/{patch_id}/{name}", content) for name, content in names.items()
    ]
    path.write_bytes(b"".join(pieces) + bytes(1024))

    with (
        open_source(path, ARCHIVE) as source,
        pytest.raises(PatchError, match=r"_b01\.tif: unexpected file"),
    ):
        list(source.patches(patch_index))


def test_a_patch_in_two_places_is_an_error(
    fake_patches: Patches, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """The same patch under another parent folder is the same patch."""
    patch_id, files = next(iter(fake_patches.items()))
    pieces = [
        member(f"{parent}/{patch_id}/{name}", content)
        for parent in ("one", "two")
        for name, content in files.items()
    ]
    path = tmp_path / "a.tar"
    path.write_bytes(b"".join(pieces) + bytes(1024))

    with (
        open_source(path, ARCHIVE) as source,
        pytest.raises(PatchError, match=f"{patch_id}.*comes twice"),
    ):
        list(source.patches(patch_index))

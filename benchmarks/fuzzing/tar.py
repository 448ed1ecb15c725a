"""Target `tar`: the tar parser and the grouping into patches, against `tarfile`.

The first byte of an input says whether the checksums of its headers are mended first:
mutation alone hardly ever gets past them. The rest is a decompressed archive.
"""

from __future__ import annotations

import functools
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.fuzzing import Finding, expect_equal
from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.release.splits import read_table
from bigearthnet.source import Member, Source
from bigearthnet.source.litter import Litter, find_folder
from bigearthnet.source.tar import TarParser

TOKENS = [
    *[b"path=", b"size=", b"mtime=", b"GNU.sparse.major=", b"SCHILY.xattr.", b"ustar"],
    *[b"hdrcharset=BINARY", b"VENDOR.key=", b"._", b"__MACOSX/", b".tif.aux.xml"],
    *[b"ustar  \0", b"00000000000\0", b"../", b"/", b"\x80", b"\0" * 512, b"12 path=a"],
]

_BLOCK = tarfile.BLOCKSIZE
_CHECKSUM = slice(148, 156)
_ARCHIVE = V1.archive("s2")
_PATCH = "S2A_MSIL2A_20170613T101031_0_45"


class MemoryBlocks:
    """A decompressed stream in memory; see `blocks.BlockReader` for the methods."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads `size` bytes, and skips `padding` more.

        Raises:
            ArchiveError: If the stream ends before.
        """
        content = self._file.read(size + padding)
        if len(content) < size + padding:
            raise ArchiveError("truncated")
        return content[:size]

    def read_some(self) -> bytes:
        """Reads at least one byte, or returns b"" at the end of the stream."""
        return self._file.read(1000)


class ParsedMembers:
    """The members of a stream, as `Source` takes them, remembered for the oracle."""

    nbytes: int | None = None
    is_compressed = False
    position = 0
    digests: Mapping[str, str] = {}

    def __init__(self, archive: bytes) -> None:
        self._parser = TarParser(MemoryBlocks(archive), "fuzz.tar", _ARCHIVE)
        self.members: list[tuple[str, bytes | None]] = []

    @property
    def offset(self) -> int | None:
        """Where the latest header stands."""
        return self._parser.offset

    @property
    def litter(self) -> Litter:
        """What was left out."""
        return self._parser.litter

    def __iter__(self) -> Iterator[Member]:
        """Yields every member."""
        for folder, name, content in self._parser:
            path = f"{folder}/{name}" if folder and name else folder or name
            self.members.append((path, content if name else None))
            yield folder, name, content

    def close(self) -> None:
        """Has nothing to let go of."""


def check(data: bytes) -> bool:
    """Reads an archive; returns whether it was accepted as one.

    Raises:
        Finding: If `tarfile` finds other members in it.
    """
    archive = mend_checksums(data[1:]) if data[:1] >= b"\x80" else data[1:]
    parsed = ParsedMembers(archive)
    ids = []
    try:
        source = Source(Path("fuzz.tar"), _ARCHIVE, parsed)
        for raw in source.patches(_make_index(), on_bad=lambda *_: None):
            expect_equal(set(_ARCHIVE.file_names(raw.name)), set(raw.files), "files")
            ids.append(raw.name)
    except (ArchiveError, PatchError):
        return False
    if len(set(ids)) != len(ids):
        raise Finding("a patch comes twice")
    expected = list(map(leave_out, _read_with_tarfile(archive)))
    expect_equal(expected, parsed.members, "members")
    return True


def leave_out(member: tuple[str, bytes | None]) -> tuple[str, bytes | None]:
    """Returns a member as the parser gives it: of litter, the folder it lies in."""
    path, content = member
    folder, _, name = path.rpartition("/")
    is_litter = find_folder(folder) or Litter(_ARCHIVE).find(
        name, folder.rpartition("/")[2]
    )
    return (folder, None) if is_litter and content is not None else member


@functools.cache
def _make_index() -> PatchIndex:
    """Makes an index of a few patches: that of the release takes time at each use."""
    row = load_index(V1, "official").find(_PATCH)
    assert row is not None
    return PatchIndex(V1, read_table(V1).slice(row, 8), np.zeros(8, np.uint8))


def mend_checksums(archive: bytes) -> bytes:
    """Writes the right checksum into every header of an archive."""
    mended, place = bytearray(archive), 0
    while place + _BLOCK <= len(archive):
        header = mended[place : place + _BLOCK]
        if any(header):
            header[_CHECKSUM] = b" " * 8
            checksum = b"%06o\0 " % (sum(header) % 8**6)
            mended[place + _CHECKSUM.start : place + _CHECKSUM.stop] = checksum
        place += _BLOCK * (1 + -(-_guess_size(header) // _BLOCK))
    return bytes(mended)


def _guess_size(header: bytearray) -> int:
    digits = bytes(header[124:135])
    return int(digits, 8) if all(48 <= digit < 56 for digit in digits) else 0


def _read_with_tarfile(archive: bytes) -> list[tuple[str, bytes | None]]:
    """The oracle: every file with its content, every folder with None."""
    found: list[tuple[str, bytes | None]] = []
    try:
        with tarfile.open(
            fileobj=io.BytesIO(archive), mode="r:", encoding="utf-8"
        ) as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isfile() else None
                name = info.name if file else info.name.rstrip("/")
                found.append((name, file.read() if file else None))
    except tarfile.ReadError as cause:
        # It refuses an archive that ends with a global header, though all was read.
        if str(cause) != "end of file header":
            raise
    return found


@functools.cache
def make_seeds() -> tuple[bytes, ...]:
    """Makes small archives: every format, long names, a whole patch."""
    names = [
        f"BigEarthNet-v1.0/{_PATCH}/{name}" for name in _ARCHIVE.file_names(_PATCH)
    ]
    seeds = [make_archive([(n, b"x") for n in names], tarfile.GNU_FORMAT)]
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        for prefix in ("", "./", "a/" * 45):
            members = [(prefix + n, b"y" * 3) for n in names[:2]]
            seeds.append(make_archive(members, format))
    seeds.append(make_archive([(f"{_PATCH}/Ä", b"z" * 600)], tarfile.PAX_FORMAT))
    litter = ("._a", "a.tif.aux.xml", "__MACOSX/a", "README.md", "a")
    members = [(f"{_PATCH}/{name}", b"l" * 700) for name in litter]
    seeds.append(make_archive(members, tarfile.GNU_FORMAT))
    return tuple(flag + seed for seed in seeds for flag in (b"\0", b"\xff"))


def make_archive(members: list[tuple[str, bytes]], format: int) -> bytes:
    """Makes an archive of a folder and some files, with little padding."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        folder = tarfile.TarInfo(members[0][0].rpartition("/")[0])
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    content = buffer.getvalue()
    size = -(-len(content.rstrip(b"\0")) // _BLOCK) * _BLOCK
    return content[: size + 2 * _BLOCK]

"""Reads the members of a tar stream: the fast path understands plain headers only.

Python's `tarfile` reads 1,000 to 1,300 patches/s and keeps every member in memory for
ever. Here a plain ustar or GNU header of a regular file is taken apart by hand, its
checksum verified; any other header is parsed by `tarfile.TarInfo`, and what is neither
a file nor a folder (links, devices, sparse files) is refused.

Source of the format: POSIX.1-2001 pax interchange format; GNU tar manual, "Basic Tar
Format".
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from bigearthnet.archive.blocks import BlockReader
from bigearthnet.archive.limits import MAX_FILE_NBYTES, MAX_HEADER_NBYTES
from bigearthnet.errors import ArchiveError

# Size, time and checksum of a header, as GNU tar and Python write them: octal digits
# with their usual ends.
_PLAIN_NUMBERS = re.compile(rb"[0-7]{11}[\0 ][0-7 \0]{12}[0-7]{6}[\0 ]{2}")
_PAX_NUMBER = re.compile(rb"[0-9]{1,18}")

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(_BLOCK)

# PAX records that say nothing of a file's content or name.
_HARMLESS_PAX = ("atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment")


class TarMembers:
    """The regular files of a tar file, plain or compressed; see `Members`."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            ArchiveError: If the file is not a tar file, or cannot be decompressed.
        """
        self._path = path
        self._blocks = BlockReader(path)
        self._last = ""  # the member that was read last, for error messages

    @property
    def nbytes(self) -> int | None:
        """Size of the file in bytes."""
        return self._blocks.nbytes

    @property
    def is_compressed(self) -> bool:
        """Whether the file is compressed."""
        return self._blocks.codec != "none"

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._blocks.position

    @property
    def sha256(self) -> str | None:
        """Checksum of the file, once it was read to its end."""
        return self._blocks.sha256

    def close(self) -> None:
        """Closes the file."""
        self._blocks.close()

    def __iter__(self) -> Iterator[tuple[str, str, bytes]]:
        """Yields folder, file name and content of every file; see `Members`.

        Raises:
            ArchiveError: If the archive is truncated, damaged, or holds a link, a
                device, a sparse file, or a file larger than a patch's can be.
        """
        read = self._blocks.read
        long_name: str | None = None
        long_size: int | None = None
        while (header := read(_BLOCK)) != _END:
            name, size, kind = self._parse(header)
            if kind in _FILE_TYPES:
                name = name if long_name is None else long_name
                size = size if long_size is None else long_size
                long_name = long_size = None
                if size > MAX_FILE_NBYTES:
                    raise self._error(f"{name!r} declares {size} bytes")
                content = read(size, -size % _BLOCK)
                self._last = name
                folder, _, file = name.rpartition("/")
                yield folder, file, content
            elif kind == tarfile.DIRTYPE:
                name = name if long_name is None else long_name
                long_name = long_size = None
                yield name.rstrip("/"), "", b""
            elif kind == tarfile.GNUTYPE_LONGNAME:
                long_name = self._text(self._extension(size).rstrip(b"\0"))
            elif kind == tarfile.XHDTYPE:
                long_name, long_size = self._parse_pax(self._extension(size))
            elif kind == tarfile.XGLTYPE:
                if self._parse_pax(self._extension(size)) != (None, None):
                    raise self._error("a global PAX header renames every member")
            else:
                raise self._error(
                    f"{name!r} is neither a file nor a folder (type {kind!r})"
                )
        self._finish()

    def _finish(self) -> None:
        """Reads what follows the end mark, so that all of the file is checked."""
        while rest := self._blocks.read_some():
            if any(rest):
                raise self._error("there is data after the end of the archive")

    def _parse(self, header: bytes) -> tuple[str, int, bytes]:
        """Returns name, size and type of a member."""
        if len(header) < _BLOCK:
            raise self._error("it ends in the middle of the archive")
        if header.isascii() and _PLAIN_NUMBERS.fullmatch(header, 124, 156):
            # The checksum is the sum of all bytes, its own field taken as spaces. The
            # low half of Adler-32 is that sum modulo 65521, ten times as fast as
            # sum(); 512 ASCII bytes sum to 65,024 at most.
            total = (zlib.adler32(header, 0) & 0xFFFF) - sum(header[148:156]) + 8 * 0x20
            if total != int(header[148:154], 8):
                raise self._error("a member's header has the wrong checksum")
            kind = header[156:157]
            name = header[:100].rstrip(b"\0")
            if header[257:263] == b"ustar\0" and header[345]:
                name = header[345:500].rstrip(b"\0") + b"/" + name
            if kind in _FAST_TYPES and b"\0" not in name:
                return self._text(name), int(header[124:135], 8), kind
        return self._parse_with_tarfile(header)

    def _parse_with_tarfile(self, header: bytes) -> tuple[str, int, bytes]:
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeError, ValueError) as cause:
            raise self._error(f"a member's header is damaged ({cause})") from None
        if info.size < 0:
            raise self._error(f"{info.name!r} declares {info.size} bytes")
        return info.name, info.size, info.type

    def _extension(self, size: int) -> bytes:
        if size > MAX_HEADER_NBYTES:
            raise self._error(f"an extended header declares {size} bytes")
        return self._blocks.read(size, -size % _BLOCK)

    def _parse_pax(self, records: bytes) -> tuple[str | None, int | None]:
        """Returns path and size, where the PAX records of the next member give them."""
        path: str | None = None
        size: int | None = None
        while records:
            number, _, _ = records.partition(b" ")
            length = int(number) if _PAX_NUMBER.fullmatch(number) else 0
            record = records[len(number) + 1 : length]
            if not record.endswith(b"\n") or length > len(records):
                raise self._error("a PAX header is damaged")
            key, equals, value = record[:-1].partition(b"=")
            keyword = self._text(key)
            if keyword == "path":
                path = self._text(value)
            elif keyword == "size" and _PAX_NUMBER.fullmatch(value):
                size = int(value)
            elif not equals or not _is_harmless(keyword):
                raise self._error(f"unsupported PAX record {keyword!r}")
            records = records[length:]
        return path, size

    def _text(self, name: bytes) -> str:
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError:
            raise self._error(f"a name is not UTF-8: {name[:80]!r}") from None

    def _error(self, problem: str) -> ArchiveError:
        after = f" after {self._last}" if self._last else ""
        return ArchiveError(
            f"{self._path}{after}: {problem}. The archive is damaged or not the "
            "release's; compare its checksum, or download it again."
        )


_FILE_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_FAST_TYPES = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.XHDTYPE,
)


def _is_harmless(keyword: str) -> bool:
    """Whether a PAX record leaves name and content of a file as they are."""
    return keyword in _HARMLESS_PAX or keyword.startswith(("LIBARCHIVE.", "SCHILY."))

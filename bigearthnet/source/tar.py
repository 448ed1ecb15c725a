"""Reads the members of a tar stream: the fast path understands plain headers only.

Python's `tarfile` reads 1,000 to 1,300 patches/s and keeps every member in memory for
ever. Here headers are parsed one after another (`headers.py`), and what is neither a
file nor a folder (links, devices, sparse files) is refused, as is what no honest
archive of patches has (`limits.py`).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from bigearthnet.errors import ArchiveError
from bigearthnet.source import limits
from bigearthnet.source.blocks import BlockReader
from bigearthnet.source.headers import (
    TarDamage,
    check_name,
    parse_header,
    parse_name,
    parse_pax,
)

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(_BLOCK)

_FILE_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_EXTENSIONS = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)


class Blocks(Protocol):
    """A stream of bytes, that of `blocks.BlockReader` for example."""

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads `size` bytes, and skips `padding` more."""

    def read_some(self) -> bytes:
        """Reads at least one byte, or returns b"" at the end of the stream."""


class TarParser:
    """The regular files of a decompressed tar stream.

    Attributes:
        offset: Where the header of the latest member is in the stream, in bytes.
    """

    def __init__(self, blocks: Blocks, name: str) -> None:
        """Takes a stream.

        Args:
            blocks: The stream.
            name: What to call it in error messages.
        """
        self.offset = 0
        self._blocks = blocks
        self._name = name
        self._last = ""  # the file that was read last, for error messages
        # What the next file or folder is called and declares, if a header before its
        # own says so.
        self._extension: tuple[str | None, int | None] | None = None
        self._overhead = 0  # bytes of folders and extended headers

    def __iter__(self) -> Iterator[tuple[str, str, bytes]]:
        """Yields folder, file name and content of every file; see `Members`.

        Raises:
            ArchiveError: If the archive is truncated, damaged, or holds a link, a
                device, a sparse file, a file larger than a patch's can be, a name that
                leads out of it, or endless headers.
        """
        try:
            yield from self._read_members()
            self._finish()
        except TarDamage as cause:
            after = f" after {self._last}" if self._last else ""
            raise ArchiveError(
                f"{self._name}{after}: {cause}. The archive is damaged or not the "
                "release's; compare its checksum, or download it again."
            ) from None

    def _read_members(self) -> Iterator[tuple[str, str, bytes]]:
        read, max_nbytes = self._blocks.read, limits.MAX_FILE_NBYTES
        end, checked = 0, None
        while (header := read(_BLOCK)) != _END:
            name, size, kind = parse_header(header)
            self.offset = end
            end += _BLOCK
            if kind in _FILE_TYPES:
                if self._extension is not None:
                    name, size = self._extend(name, size)
                folder, _, file = name.rpartition("/")
                if folder != checked or not file or not file.isprintable():
                    checked = _check_file_name(name, folder, file)
                if size > max_nbytes:
                    raise TarDamage(f"{name!r} declares {size} bytes")
                padding = -size % _BLOCK
                content = read(size, padding)
                end += size + padding
                self._last = name
                yield folder, file, content
                continue
            if kind == tarfile.DIRTYPE:
                folder = self._extend(name, size)[0].rstrip("/")
                check_name(folder)
                yield folder, "", b""
                size = 0
            else:
                self._read_extension(name, size, kind)
            end += size + -size % _BLOCK
            self._overhead += _BLOCK + size + -size % _BLOCK
            most = limits.MAX_OVERHEAD_NBYTES + end // limits.MAX_OVERHEAD_PART
            if self._overhead > most:
                raise TarDamage("there are endless folders or headers")

    def _read_extension(self, name: str, size: int, kind: bytes) -> None:
        """Reads a header that says something of the next member, or of all."""
        if kind not in (*_EXTENSIONS, tarfile.XGLTYPE):
            raise TarDamage(f"{name!r} is neither a file nor a folder (type {kind!r})")
        if self._extension is not None:
            raise TarDamage("a member has several extended headers")
        if size > limits.MAX_HEADER_NBYTES:
            raise TarDamage(f"an extended header declares {size} bytes")
        content = self._blocks.read(size + -size % _BLOCK)
        if content[size:].strip(b"\0"):
            # Readers differ in whether they take it for a part of the name.
            raise TarDamage("an extended header goes on in its padding")
        content = content[:size]
        if kind == tarfile.GNUTYPE_LONGNAME:
            self._extension = parse_name(content.rstrip(b"\0")), None
        elif kind == tarfile.XHDTYPE:
            self._extension = parse_pax(content)
        elif parse_pax(content) != (None, None):
            raise TarDamage("a global PAX header renames every member")

    def _extend(self, name: str, size: int) -> tuple[str, int]:
        """Returns name and size of a member, after the header before its own."""
        long_name, long_size = self._extension or (None, None)
        self._extension = None
        return (
            name if long_name is None else long_name,
            size if long_size is None else long_size,
        )

    def _finish(self) -> None:
        """Reads what follows the end mark, so that all of the file is checked."""
        if self._extension is not None:
            raise TarDamage("it ends where an extended header promises a member")
        nbytes = 0
        while rest := self._blocks.read_some():
            if rest != bytes(len(rest)):
                raise TarDamage("there is data after the end of the archive")
            nbytes += len(rest)
            if nbytes > limits.MAX_PADDING_NBYTES:
                raise TarDamage(
                    f"more than {limits.MAX_PADDING_NBYTES} zeros follow the end of "
                    "the archive"
                )


class TarMembers(TarParser):
    """The regular files of a tar file, plain or compressed; see `Members`.

    Attributes:
        nbytes: Size of the file in bytes.
        is_compressed: Whether the file is compressed.
        digests: Checksums of the file by algorithm, once it was read to its end.
    """

    def __init__(self, path: Path, algorithm: str) -> None:
        """Opens the file.

        Args:
            path: The file.
            algorithm: Checksum to compute beside sha256.

        Raises:
            ArchiveError: If the file is not a tar file, or cannot be decompressed.
        """
        self._file = BlockReader(path, algorithm)
        super().__init__(self._file, str(path))
        self.nbytes, self.is_compressed = self._file.nbytes, self._file.codec != "none"
        self.digests: Mapping[str, str] = self._file.digests  # filled at its end

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._file.position

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _check_file_name(name: str, folder: str, file: str) -> str | None:
    """Checks a file's name; returns the folder that needs no check a second time.

    Without a folder there is none: the name may be absolute.
    """
    check_name(name)
    if not file:
        raise TarDamage(f"a file named like a folder: {name[:80]!r}")
    return folder or None

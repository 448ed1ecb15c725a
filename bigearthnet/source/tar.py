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
from bigearthnet.release import Archive
from bigearthnet.source import limits
from bigearthnet.source.blocks import BlockReader
from bigearthnet.source.headers import (
    TarDamage,
    check_name,
    parse_header,
    parse_name,
    parse_pax,
)
from bigearthnet.source.litter import Litter, describe, find_folder

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
        litter: The files of other programs that were left out.
    """

    def __init__(
        self,
        blocks: Blocks,
        name: str,
        archive: Archive,
        start: int = 0,
        litter: Litter | None = None,
    ) -> None:
        """Takes a stream.

        Args:
            blocks: The stream.
            name: What to call it in error messages.
            archive: The archive that it is laid out like.
            start: Bytes of the tar file before the stream, if it is a section of it.
            litter: Counts litter, also of files before it; None for one of its own.
        """
        self.offset = self._start = start
        self.litter = litter or Litter(archive)
        self._litter_before = self.litter.counts.total()
        self._blocks = blocks
        self._name = name
        self._last = ""  # the file that was read last, for error messages
        # What the next file or folder is called and declares, if a header before its
        # own says so.
        self._extension: tuple[str | None, int | None] | None = None
        self._overhead = 0  # bytes of folders, extended headers and litter

    def __iter__(self) -> Iterator[tuple[str, str, bytes]]:
        """Yields folder, file name and content of every file; see `Members`.

        In place of litter stands the folder that it lies in.

        Raises:
            ArchiveError: If the archive is truncated, damaged, or holds a link, a
                device, a sparse file, a file larger than a patch's can be, a name that
                leads out of it, or endless headers or litter.
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
        endings = self.litter.endings
        end, checked = self._start, None
        while (header := read(_BLOCK)) != _END:
            name, size, kind = parse_header(header)
            self.offset = end
            end += _BLOCK
            if kind in _FILE_TYPES:
                if self._extension is not None:
                    name, size = self._extend(name, size)
                folder, _, file = name.rpartition("/")
                padding = -size % _BLOCK
                # A file of a patch whose folder was checked takes this test alone.
                if (
                    folder != checked
                    or not file.endswith(endings)
                    or file[0] == "."
                    or not file.isprintable()
                ):
                    _check_file_name(name, file)
                    if self._pass_litter(folder, file, size + padding, end):
                        end += size + padding
                        yield folder, "", b""
                        continue
                    # Without a folder there is none: the name may be absolute.
                    checked = folder or None
                if size > max_nbytes:
                    raise TarDamage(f"{name!r} declares {size} bytes")
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
            self._add_overhead(size + -size % _BLOCK, end)
            end += size + -size % _BLOCK

    def _pass_litter(self, folder: str, file: str, nbytes: int, end: int) -> bool:
        """Passes over a file if it is litter, and counts it.

        Args:
            folder: Path of the folder that holds it.
            file: Its name.
            nbytes: Bytes of its content and padding.
            end: Bytes of the stream before them.

        Returns:
            Whether it is litter.
        """
        holder = folder.rpartition("/")[2]
        kind = find_folder(folder) or self.litter.find(file, holder)
        if kind is None:
            return False
        self.litter.counts[kind] += 1
        most = limits.MAX_LITTER + end // limits.LITTER_SPACING
        if self.litter.counts.total() - self._litter_before > most:
            raise ArchiveError(
                f"{self._name}: more than {most:,} files of other programs "
                f"({describe(self.litter.counts)}), the last one {file!r} in "
                f"{folder!r}. Make an archive without them."
            )
        self._add_overhead(nbytes, end)
        self._blocks.read(0, nbytes)
        return True

    def _add_overhead(self, nbytes: int, end: int) -> None:
        """Counts a member that is no file of a patch.

        Args:
            nbytes: Bytes of its content.
            end: Bytes of the stream before them.
        """
        self._overhead += _BLOCK + nbytes
        most = limits.MAX_OVERHEAD_NBYTES + (end + nbytes) // limits.MAX_OVERHEAD_PART
        if self._overhead > most:
            raise TarDamage("there are endless folders or headers, or other files")

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

    def __init__(
        self,
        path: Path,
        archive: Archive,
        decompressors: int = 1,
        litter: Litter | None = None,
    ) -> None:
        """Opens the file.

        Args:
            path: The file.
            archive: The archive that it is laid out like; the algorithm of its
                checksum is used beside sha256.
            decompressors: Threads that decompress a gzip file.
            litter: See `TarParser`.

        Raises:
            OptionError: If the package for several of them is not installed.
            ArchiveError: If the file is not a tar file, or cannot be decompressed.
        """
        self._file = BlockReader(path, archive.digest.algorithm, decompressors)
        super().__init__(self._file, str(path), archive, litter=litter)
        self.nbytes, self.is_compressed = self._file.nbytes, self._file.codec != "none"
        self.digests: Mapping[str, str] = self._file.digests  # filled at its end

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._file.position

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _check_file_name(name: str, file: str) -> None:
    check_name(name)
    if not file:
        raise TarDamage(f"a file named like a folder: {name[:80]!r}")

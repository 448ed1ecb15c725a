"""Cuts a tar stream between patches, and reads what lies between two cuts.

A section holds whole patches: it begins where the last file of the patch before ends,
with the headers and folders of its own first file.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from typing import Protocol

from bigearthnet.errors import ArchiveError, BigEarthNetError
from bigearthnet.release import Archive
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.published import explain
from bigearthnet.source.litter import find_folder
from bigearthnet.source.tar import Blocks, TarParser

# How much of a stream is read at once, in bytes.
_READ_NBYTES = 2**22
# Folders that wait for the file after them, in bytes of headers: archives may list all
# of theirs first.
_MAX_WAITING = 2**20


class Stream(Protocol):
    """A file object, as much of it as is needed."""

    def read(self, count: int, /) -> bytes | memoryview | None:
        """Reads at most so many bytes; none at the end."""


class StreamBlocks:
    """The bytes of a stream in this process; see `tar.Blocks`.

    Of a section, which ends without the mark that a tar file ends with, the mark is
    made up, and the checksum compared before.
    """

    def __init__(
        self, stream: Stream, name: str, nbytes: int | None = None, crc32: int = 0
    ) -> None:
        """Takes a stream.

        Args:
            stream: The stream; it is read from where it stands.
            name: What to call it in error messages.
            nbytes: Bytes of the section that is read; None for all of the stream.
            crc32: Checksum of these bytes.
        """
        self.position = 0
        self._stream, self._name = stream, name
        self._nbytes, self._expected, self._crc32 = nbytes, crc32, 0
        self._buffer, self._start = b"", 0

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads `size` bytes, and skips `padding` more.

        Raises:
            ArchiveError: If the stream ends before, cannot be read, or is another one.
        """
        needed = size + padding
        while len(self._buffer) - self._start < needed:
            piece = self.read_some()
            if not piece and self._nbytes is not None and size == tarfile.BLOCKSIZE:
                return bytes(size)
            if not piece:
                raise ArchiveError(
                    f"{self._name} is truncated: its content ends {needed} bytes "
                    f"early, after {self.position}. Download it again."
                )
            self._buffer, self._start = self._buffer[self._start :] + piece, 0
        start, self._start = self._start, self._start + needed
        return self._buffer[start : start + size]

    def read_some(self) -> bytes:
        """Reads what comes next from the stream; b"" at its end.

        Raises:
            ArchiveError: If it cannot be read, or is another one.
        """
        left = _READ_NBYTES
        if self._nbytes is not None:
            left = min(left, self._nbytes - self.position)
        try:
            piece = bytes(self._stream.read(left) or b"") if left else b""
        except BigEarthNetError:
            raise
        except (OSError, RuntimeError, ValueError, EOFError) as cause:
            raise ArchiveError(
                f"{self._name} cannot be read ({cause}). If it is truncated or "
                "damaged, download it again."
            ) from None
        self.position += len(piece)
        if self._nbytes is not None:
            self._crc32 = zlib.crc32(piece, self._crc32)
            if self.position == self._nbytes and self._crc32 != self._expected:
                raise ArchiveError(
                    f"{self._name} is not what was indexed: expected CRC-32 "
                    f"{self._expected:08x} of a part, got {self._crc32:08x}. Compare "
                    "its checksum, or index it again."
                )
        return piece


class _Recorder:
    """A stream of bytes, and what was read of it since it was last asked."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._pieces: list[bytes] = []

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads `size` bytes, and skips `padding` more."""
        content = self._blocks.read(size + padding)
        self._pieces.append(content)
        return content[:size]

    def read_some(self) -> bytes:
        """Reads what follows the end mark, which is part of no section."""
        return self._blocks.read_some()

    def take(self) -> bytes:
        """Returns what was read since the last call."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


class Cutter:
    """Cuts a tar stream before every so-many-th patch.

    Attributes:
        empty: Rows of the patches whose folders are empty, once all was read.
        num_patches: How many have begun.
    """

    def __init__(
        self,
        blocks: Blocks,
        name: str,
        archive: Archive,
        patches: PatchIndex,
        size: int,
    ) -> None:
        """Takes a stream.

        Args:
            blocks: The stream, from its beginning.
            name: What to call it in error messages.
            archive: The archive that it is laid out like.
            patches: The patches of the release.
            size: Patches of a section.
        """
        self.empty: tuple[int, ...] = ()
        self.num_patches = 0
        self._recorder = _Recorder(blocks)
        self._parser = TarParser(self._recorder, name, archive)
        self._archive = archive
        self._names, self._size, self._name = patches.names(archive.ids), size, name
        self._seen: set[int] = set()
        self._listed: set[int] = set()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yields number of the section, and the next bytes of it, in order.

        Raises:
            ArchiveError: As in `tar.TarParser`; or if the files of a patch do not stand
                together, so that sections would share it; or if a whole section has no
                patch of the archive.
        """
        number = 0
        folder: str | None = None
        waiting: list[bytes] = []
        for here, file, _ in self._parser:
            waiting.append(self._recorder.take())
            if not file:  # a folder or litter; goes with the file after it
                self._note(here, self._listed)
                if sum(map(len, waiting)) < _MAX_WAITING:
                    continue
            elif here != folder:
                number = self.num_patches // self._size
                if number:
                    self._check_known(folder)
                folder = here
                self.num_patches += 1
                self._begin(here)
            yield number, b"".join(waiting)
            waiting.clear()
        self._check_known(folder)
        if waiting:
            yield number, b"".join(waiting)
        self.empty = tuple(sorted(self._listed - self._seen))

    def _check_known(self, folder: str | None) -> None:
        """Refuses an archive that is another one, which nothing else here asks."""
        if folder is not None and not self._seen:
            patch_id = folder.rpartition("/")[2]
            raise ArchiveError(
                f"{self._name} has no patch of the archive {self._archive.name}: "
                f"expected names like {self._archive.ids.example}, got {patch_id}."
                f"{explain(patch_id, archive=self._archive)} Name its config: --config."
            )

    def _begin(self, folder: str) -> None:
        if not self._note(folder, self._seen):
            raise ArchiveError(
                f"{self._name} cannot be split: the files of "
                f"{folder.rpartition('/')[2]} do not stand together, or come twice. "
                "Build from it without parts, which says what is wrong."
            )

    def _note(self, folder: str, rows: set[int]) -> bool:
        """Adds the row of a patch's folder; False if it was there."""
        row = self._names.find(folder.rpartition("/")[2])
        if row is None or find_folder(folder) is not None:
            return True
        is_new = row not in rows
        rows.add(row)
        return is_new

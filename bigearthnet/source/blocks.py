"""A source file as a stream of decompressed bytes, read and hashed by a process beside.

Decompression is the floor of every build, so it gets a core to itself: a child process
(`decompress.py`) reads the file, hashes it and fills the slots of a ring of shared
memory. A thread would not do: it shares the interpreter lock with the parser, and
waits for it thousands of times a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bigearthnet.errors import ArchiveError
from bigearthnet.release.published import explain
from bigearthnet.source import decompress
from bigearthnet.source.headers import TarDamage, parse_header
from bigearthnet.util import process

# A slot holds the decompressed bytes of two or three patches: small enough that one
# process reads it from the cache the other wrote it to (six in a hundred faster than
# 4 MiB), and sixteen of them so that neither waits for the other.
_SLOT_NBYTES = 2**19
_NUM_SLOTS = 16

# A frame, or a skippable frame, with which parallel writers begin (RFC 8878, 3.1).
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")


class BlockReader:
    """Reads a plain, gzip or zstd file as one stream of decompressed bytes.

    Attributes:
        nbytes: Size of the file in bytes.
        codec: How the file is compressed; see `choose_codec`.
        position: Bytes of the file read so far, before decompression.
        digests: Checksums of the file by algorithm, once it was read to its end; empty
            before.
    """

    def __init__(
        self, path: Path, algorithm: str = "sha256", decompressors: int = 1
    ) -> None:
        """Starts to read.

        Args:
            path: The file.
            algorithm: Checksum to compute beside sha256, as hashlib names it.
            decompressors: Threads that decompress a gzip file.

        Raises:
            OptionError: If the package for several of them is not installed.
            ArchiveError: If the file cannot be read or is not a tar file, plain or
                compressed, or the package that decompresses it is not installed.
        """
        self._path = path
        self._hint = ""
        self.nbytes, self.codec = examine(path)
        if self.codec == "gzip" and decompressors > 1:
            from bigearthnet.util.command import check_packages

            check_packages("rapidgzip", "rapidgzip")
            # One thing it does not read: zeros after the end, as tapes have them.
            self._hint = " If its checksum is right, read it with --decompressors=1."
        self.position = 0
        self._algorithms = tuple(dict.fromkeys(("sha256", algorithm)))
        self.digests: dict[str, str] = {}
        self._start = self._end = 0  # what is left of the current slot
        self._num_slots_taken = 0
        self._ring_file = _shared_file(_SLOT_NBYTES * _NUM_SLOTS)
        self._ring = mmap.mmap(self._ring_file, _SLOT_NBYTES * _NUM_SLOTS)
        self._process = process.start_script(
            decompress.__file__,
            self.codec,
            path,
            ",".join(self._algorithms),
            decompressors,
            self._ring_file,
            _SLOT_NBYTES,
            _NUM_SLOTS,
            pass_fds=(self._ring_file,),
        )

    def read(self, size: int, padding: int = 0) -> bytes:
        """Reads `size` bytes, and skips `padding` more.

        Raises:
            ArchiveError: If the stream ends before, or cannot be decompressed.
        """
        start, end = self._start, self._start + size
        if end + padding <= self._end:
            self._start = end + padding
            return self._ring[start:end]
        content = b"".join(self._pieces(size))
        for _ in self._pieces(padding):
            pass
        return content

    def read_some(self) -> bytes:
        """Reads at least one byte, or returns b"" at the end of the stream.

        Raises:
            ArchiveError: If the stream cannot be decompressed.
        """
        if self._start == self._end:
            self._next_slot()
        start, self._start = self._start, self._end
        return self._ring[start : self._end]

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            if self._start == self._end and not self._next_slot():
                raise ArchiveError(
                    f"{self._path} is truncated: its content ends {size} bytes early, "
                    f"after {self.position} bytes of the file. Download it again."
                )
            start, end = self._start, min(self._start + size, self._end)
            self._start = end
            size -= end - start
            yield self._ring[start:end]

    def _next_slot(self) -> bool:
        """Gives the slot back and waits for the next; False at the end."""
        if self.digests:
            return False
        assert self._process.stdin is not None
        if self._num_slots_taken:
            with contextlib.suppress(BrokenPipeError):  # its last message says why
                self._process.stdin.write(b"\0")
        count, position = decompress.MESSAGE.unpack(
            self._receive(decompress.MESSAGE.size)
        )
        if count < 0:
            reason = self._receive(-count).decode()
            advice = (
                f"The file is truncated or damaged; download it again.{self._hint}"
                if position
                else "The file itself may be good: correct the cause and build again."
            )
            raise ArchiveError(
                f"{self._path} cannot be decompressed ({reason}). {advice}"
            )
        self.position = position
        self._start = self._num_slots_taken % _NUM_SLOTS * _SLOT_NBYTES
        self._end = self._start + count
        self._num_slots_taken += 1
        if count == 0:
            for name in self._algorithms:
                size = hashlib.new(name).digest_size
                self.digests[name] = self._receive(size).hex()
        return count > 0

    def _receive(self, size: int) -> bytes:
        assert self._process.stdout is not None
        message = b""
        while len(message) < size:
            piece = self._process.stdout.read(size - len(message))
            if not piece:
                raise ArchiveError(
                    f"{self._path}: the process that decompresses it ended "
                    f"(status {self._process.wait()}). Is there enough memory?"
                )
            message += piece
        return message

    def close(self) -> None:
        """Ends the process and frees the memory; may be called more than once."""
        if self._ring_file < 0:
            return
        process.end(self._process)
        self._ring.close()
        os.close(self._ring_file)
        self._ring_file = -1


def examine(path: Path) -> tuple[int, str]:
    """Returns size in bytes and codec of a file; errors as of `choose_codec`."""
    try:
        nbytes = path.stat().st_size
    except OSError as cause:
        raise ArchiveError(f"cannot read {path}: {cause}") from None
    return nbytes, choose_codec(path)


def choose_codec(path: Path) -> str:
    """Tells from a file's first bytes how it is compressed.

    Raises:
        ArchiveError: If it is not a tar file, plain or compressed by gzip or zstd, or
            zstd is needed and not installed; or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(tarfile.BLOCKSIZE)
    except OSError as cause:
        raise ArchiveError(f"cannot read {path}: {cause}") from None
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    if _ZSTD_MAGIC.match(magic):
        return "zstd"
    if magic[257:262] == b"ustar" or _is_header(magic):
        return "none"
    raise ArchiveError(
        f"{path} is not an archive that can be read: expected a tar file, plain or "
        f"compressed by gzip or zstd, got {len(magic)} bytes that begin {magic[:8]!r}."
        f"{explain(path.name)}"
    )


def _is_header(block: bytes) -> bool:
    """Whether a block is a tar header, such as those of v7, which have no magic."""
    try:
        parse_header(block)
    except TarDamage:
        return False
    return True


def _shared_file(nbytes: int) -> int:
    """Returns the descriptor of a nameless file that a child process can map."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("bigearthnet")
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, nbytes)
    return descriptor

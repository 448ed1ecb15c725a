"""The unfinished file of a download: locked, hashed while it is written, resumable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from bigearthnet.download.answers import Version
from bigearthnet.download.expected import Expected, hash_rest
from bigearthnet.errors import DiskSpaceError, DownloadError
from bigearthnet.util.files import sync_folder, write_all, write_json
from bigearthnet.util.locks import try_lock


class PartFile:
    """What was received of a file, under another name; a context manager.

    Beside it lies a record of what it is a part of, written before its first byte.
    When it is left unfinished both are kept, unless nothing was received.

    Attributes:
        nbytes: Bytes that were received.
        total: Size of the whole file in bytes; None if not known yet.
        version: What the server said of the file; None if nothing was received.
        is_pieced: Whether the bytes come from several answers.
    """

    def __init__(self, target: Path, expected: Expected) -> None:
        """Opens and locks the file.

        Args:
            target: The file it is to be, in an existing folder.
            expected: What that should be.

        Raises:
            DownloadError: If another process downloads the same file.
            OSError: If it cannot be opened.
        """
        self.target, self.expected = target, expected
        self.path = target.with_name(f"{target.name}.part")
        self._record = target.with_name(f"{target.name}.part.json")
        self.nbytes, self.total = 0, expected.nbytes
        self.version: Version | None = None
        self.is_pieced = False
        self._digest = hashlib.new(expected.algorithm)
        self._is_finished = False
        # Not through a link, which could lead to a file of somebody else's choice.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o666)
        try:
            self._lock()
        except BaseException:
            os.close(self._file)
            raise

    def _lock(self) -> None:
        if not try_lock(self._file, self.path):
            raise DownloadError(
                f"{self.target} is being downloaded by another process: wait for it."
            )

    @property
    def is_complete(self) -> bool:
        """Whether as many bytes were received as the file has."""
        return self.nbytes == self.total

    @property
    def digest(self) -> str:
        """Digest of the bytes that were received, hexadecimal."""
        return self._digest.hexdigest()

    def recover(self, show: Callable[[int], None]) -> None:
        """Takes over what an earlier run left of the same file, and hashes it.

        Args:
            show: Is told how many bytes were read.
        """
        known = self._read_record()
        found = os.fstat(self._file).st_size
        if known is None or found > known[1]:
            self.clear()
            return
        self.version, self.total = known
        self.is_pieced = True
        self._digest, self.nbytes = hash_rest(self._file, self.expected.algorithm, show)

    def _read_record(self) -> tuple[Version, int] | None:
        """Returns version and size of what is there; None if it is of another file."""
        try:
            record = json.loads(self._record.read_bytes())
            version = Version(record["url"], record["etag"], record["last_modified"])
            total, expected = record["nbytes"], record["expected"]
        except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
            return None
        # What the record says is sent back to the server.
        is_valid = type(total) is int and all(
            isinstance(text, str) and text.isascii() and text.isprintable()
            for text in (version.url, version.etag or "", version.last_modified or "")
        )
        is_same = expected == dataclasses.asdict(self.expected)
        return (version, total) if is_valid and is_same else None

    def begin(self, version: Version, total: int) -> None:
        """Begins anew; what was received is thrown away.

        Args:
            version: Version of the file that follows.
            total: Its size in bytes.
        """
        self.clear()
        self.total = total
        self._write_record(version)

    def go_on(self, version: Version) -> None:
        """Says that the next bytes are of another answer.

        Args:
            version: Version of the file that they are of.
        """
        self.is_pieced = True
        if version != self.version:
            self._write_record(version)

    def _write_record(self, version: Version) -> None:
        self.version = version
        record = dataclasses.asdict(version)
        record |= {"nbytes": self.total, "expected": dataclasses.asdict(self.expected)}
        write_json(record, self._record)

    def check_space(self, total: int) -> None:
        """Checks that the rest of the file fits on the disk.

        Raises:
            DiskSpaceError: If it does not.
        """
        needed, free = total - self.nbytes, shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise DiskSpaceError(
                f"not enough disk space in {self.path.parent}: {self.target.name} "
                f"needs {needed:,} bytes more, {free:,} are free."
            )

    def append(self, piece: bytes) -> None:
        """Appends bytes.

        Raises:
            OSError: If they cannot be written; the message names the file.
        """
        self._digest.update(piece)
        write_all(self._file, (piece,), len(piece), self.path)
        self.nbytes += len(piece)

    def clear(self) -> None:
        """Throws away what was received."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.nbytes, self.total = 0, self.expected.nbytes
        self.version, self.is_pieced = None, False
        self._digest = hashlib.new(self.expected.algorithm)

    def finish(self) -> None:
        """Makes the file durable and gives it its name.

        Raises:
            OSError: If it cannot be made durable.
        """
        os.fsync(self._file)
        self.path.rename(self.target)
        self._is_finished = True
        sync_folder(self.target.parent)
        self._remove_record()

    def _remove_record(self) -> None:
        for name in (self._record.name, f"{self._record.name}.unfinished"):
            self._record.with_name(name).unlink(missing_ok=True)

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.nbytes and not self._is_finished:
            self.path.unlink(missing_ok=True)
            self._remove_record()
        os.close(self._file)

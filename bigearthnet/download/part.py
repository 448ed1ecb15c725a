"""The unfinished file of a download: locked, hashed while it is written, resumable."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.errors import ChecksumError, DiskSpaceError, DownloadError, OptionError
from bigearthnet.util.files import sync_folder, write_all
from bigearthnet.util.locks import try_lock
from bigearthnet.util.progress import Progress

# Bytes read at once.
PIECE_NBYTES = 1 << 20


@dataclass(frozen=True)
class Expected:
    """What a file should be.

    Attributes:
        nbytes: Size in bytes.
        algorithm: Name of the digest's algorithm, as `hashlib` has it.
        digest: The digest, in lower-case hexadecimal.
    """

    nbytes: int
    algorithm: str
    digest: str

    def __post_init__(self) -> None:
        """Checks that the digest is one of its algorithm.

        Raises:
            OptionError: If it is not.
        """
        is_known = self.algorithm in hashlib.algorithms_guaranteed
        size = hashlib.new(self.algorithm).digest_size if is_known else 0
        if not size or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", self.digest):
            raise OptionError(
                f"{self.digest!r} is no digest of {self.algorithm}: expected "
                f"{2 * size} hexadecimal digits, as hashlib's algorithm has."
            )


def check_file(path: Path, expected: Expected, quiet: bool) -> None:
    """Checks a whole file.

    Raises:
        ChecksumError: If it is another.
        OSError: If it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        found = hash_file(file.fileno(), path, expected.algorithm, quiet).hexdigest()
    if found != expected.digest:
        raise ChecksumError(
            f"{path} exists: expected {expected.algorithm} {expected.digest}, "
            f"found {found}. Remove it, or download to another folder."
        )


def hash_file(file: int, path: Path, algorithm: str, quiet: bool) -> hashlib._Hash:
    """Hashes an open file from its start to its end, and shows how far it is."""
    digest, nbytes = hashlib.new(algorithm), os.fstat(file).st_size
    title, quiet = f"verify {path.name}", quiet or not nbytes
    with Progress(title, total_nbytes=nbytes, first_nbytes=0, quiet=quiet) as shown:
        while piece := os.read(file, PIECE_NBYTES):
            digest.update(piece)
            shown.add(0, len(piece))
    return digest


class PartFile:
    """What was received of a file, as `<name>.part`, to be closed.

    Whether its bytes are of the expected file is decided by the digest alone, once none
    is missing.

    Attributes:
        nbytes: Bytes that were received.
        hash: Hash of them.
        shown: Progress of the download; from `recover` on.
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
        # Not through a link, which could lead to a file of somebody else's choice.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o666)
        if not try_lock(self._file, self.path):
            os.close(self._file)
            raise DownloadError(f"{target} is being downloaded by another process.")
        self.hash, self.nbytes = hashlib.new(expected.algorithm), 0

    @property
    def missing(self) -> int:
        """Bytes that were not received yet."""
        return self.expected.nbytes - self.nbytes

    def recover(self, quiet: bool) -> None:
        """Takes over what an earlier run left, and hashes it.

        Raises:
            DiskSpaceError: If the rest of the file does not fit on the disk.
        """
        self.hash = hash_file(self._file, self.path, self.expected.algorithm, quiet)
        self.nbytes = os.fstat(self._file).st_size
        if self.missing < 0:
            self.clear()
        if self.missing > (free := shutil.disk_usage(self.path.parent).free):
            raise DiskSpaceError(
                f"{self.path} needs {self.missing:,} bytes more, {free:,} are free."
            )
        title, total = f"download {self.target.name}", self.expected.nbytes
        self.shown = Progress(
            title, total_nbytes=total, first_nbytes=self.nbytes, quiet=quiet
        )

    def append(self, piece: bytes) -> None:
        """Appends bytes.

        Raises:
            OSError: If they cannot be written; the message names the file.
        """
        self.hash.update(piece)
        write_all(self._file, (piece,), len(piece), self.path)
        self.nbytes += len(piece)
        self.shown.update(0, self.nbytes)

    def clear(self) -> None:
        """Throws away what was received."""
        os.ftruncate(self._file, 0)
        self.hash, self.nbytes = hashlib.new(self.expected.algorithm), 0

    def finish(self) -> None:
        """Makes the file durable and gives it its name.

        Raises:
            OSError: If it cannot be made durable.
        """
        os.fsync(self._file)
        self.path.rename(self.target)
        sync_folder(self.target.parent)

    def close(self) -> None:
        """Closes the file; what was received is kept, unless that is nothing."""
        if not self.nbytes:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

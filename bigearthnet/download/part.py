"""The unfinished file of a download: locked, hashed while it is written, resumable."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from bigearthnet.errors import ChecksumError, DiskSpaceError, DownloadError, OptionError
from bigearthnet.release import Digest
from bigearthnet.util.files import sync_folder, write_all
from bigearthnet.util.locks import try_lock
from bigearthnet.util.progress import Progress

# Bytes read at once.
PIECE_NBYTES = 1 << 20


def check_digest(digest: Digest) -> None:
    """Checks that a digest is one of its algorithm.

    Raises:
        OptionError: If it is not.
    """
    is_known = digest.algorithm in hashlib.algorithms_guaranteed
    size = hashlib.new(digest.algorithm).digest_size if is_known else 0
    if not size or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", digest.hexdigest):
        raise OptionError(
            f"{digest.hexdigest!r} is no digest of {digest.algorithm}: expected "
            f"{2 * size} hexadecimal digits, as hashlib's algorithm has."
        )


def check_file(path: Path, digest: Digest, quiet: bool) -> None:
    """Checks that a file which exists is the expected one.

    Raises:
        ChecksumError: If it has another digest.
        OSError: If it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        found = hash_file(file.fileno(), path, digest.algorithm, quiet).hexdigest()
    if found != digest.hexdigest:
        raise ChecksumError(
            f"{path} exists: expected {digest.algorithm} {digest.hexdigest}, "
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

    Whether its bytes are those of the expected file is decided by the digest alone,
    once none is missing.

    Attributes:
        path: The unfinished file.
        target: The file that it becomes.
        total: Expected size in bytes.
        digest: Expected digest.
        nbytes: Bytes that were received.
        hash: Hash of them.
        shown: Progress of the download; from `recover` on.
    """

    def __init__(self, target: Path, total: int, digest: Digest) -> None:
        """Opens and locks the file.

        Args:
            target: The file that it becomes, in an existing folder.
            total: Expected size in bytes.
            digest: Expected digest.

        Raises:
            DownloadError: If another process downloads the same file.
            OSError: If it cannot be opened.
        """
        self.target, self.total, self.digest = target, total, digest
        self.path = target.with_name(f"{target.name}.part")
        # Not through a link, which could lead to a file of somebody else's choice.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o666)
        if not try_lock(self._file, self.path):
            os.close(self._file)
            raise DownloadError(f"{target} is being downloaded by another process.")
        self.hash, self.nbytes = hashlib.new(digest.algorithm), 0

    @property
    def missing(self) -> int:
        """Bytes that were not received yet."""
        return self.total - self.nbytes

    def recover(self, quiet: bool) -> None:
        """Resumes from what an earlier run left, which is hashed.

        Raises:
            DiskSpaceError: If the rest of the file does not fit on the disk.
        """
        self.hash = hash_file(self._file, self.path, self.digest.algorithm, quiet)
        self.nbytes = os.fstat(self._file).st_size
        if self.missing < 0:
            self.clear()
        if self.missing > (free := shutil.disk_usage(self.path.parent).free):
            raise DiskSpaceError(
                f"{self.path} needs {self.missing:,} bytes more, {free:,} are free."
            )
        self.shown = Progress(
            f"download {self.target.name}",
            total_nbytes=self.total,
            first_nbytes=self.nbytes,
            quiet=quiet,
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
        """Discards the bytes received."""
        os.ftruncate(self._file, 0)
        self.hash, self.nbytes = hashlib.new(self.digest.algorithm), 0

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

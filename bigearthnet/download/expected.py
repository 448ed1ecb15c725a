"""What a downloaded file should be, and whether it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.errors import ChecksumError, OptionError

# Bytes read at once.
_PIECE_NBYTES = 1 << 20


@dataclass(frozen=True)
class Expected:
    """What a file should be.

    Attributes:
        nbytes: Size in bytes; None if not known.
        algorithm: Name of the digest's algorithm.
        digest: The digest, in lower-case hexadecimal.
    """

    nbytes: int | None
    algorithm: str
    digest: str

    def __post_init__(self) -> None:
        """Checks that the digest is one of its algorithm.

        Raises:
            OptionError: If it is not.
        """
        size = 0
        if self.algorithm in hashlib.algorithms_guaranteed:
            size = hashlib.new(self.algorithm).digest_size
        digits = set(self.digest) <= set("0123456789abcdef")
        if not size or not digits or len(self.digest) != 2 * size:
            raise OptionError(
                f"{self.digest!r} is no digest of {self.algorithm}: expected "
                f"{2 * size or 'some'} lower-case hexadecimal digits of one of the "
                "algorithms of hashlib that have a fixed size, sha256 for example."
            )


def check_file(path: Path, expected: Expected, show: Callable[[int], None]) -> None:
    """Checks size and digest of a whole file.

    Args:
        path: The file.
        expected: What it should be.
        show: Is told how many bytes were read.

    Raises:
        ChecksumError: If it is another.
        OSError: If it cannot be read.
    """
    nbytes = path.stat().st_size
    if expected.nbytes not in (None, nbytes):
        raise ChecksumError(
            f"{path} exists: expected {expected.nbytes:,} bytes, found {nbytes:,}. "
            "Remove it, or download to another folder."
        )
    file = os.open(path, os.O_RDONLY)
    try:
        digest, _ = hash_rest(file, expected.algorithm, show)
    finally:
        os.close(file)
    if digest.hexdigest() != expected.digest:
        raise ChecksumError(
            f"{path} exists: expected {expected.algorithm} {expected.digest}, found "
            f"{digest.hexdigest()}. Remove it, or download to another folder."
        )


def hash_rest(
    file: int, algorithm: str, show: Callable[[int], None]
) -> tuple[hashlib._Hash, int]:
    """Hashes a file from where it stands to its end.

    Args:
        file: Descriptor of an open file.
        algorithm: Name of the digest's algorithm.
        show: Is told how many bytes were read.

    Returns:
        The hash, to which more can be added, and the bytes read.
    """
    digest, nbytes = hashlib.new(algorithm), 0
    while piece := os.read(file, _PIECE_NBYTES):
        digest.update(piece)
        nbytes += len(piece)
        show(nbytes)
    return digest, nbytes

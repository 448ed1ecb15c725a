"""Tells whether a source is still the one that an unfinished build began with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bigearthnet.errors import ArchiveError, ChecksumError, StoreError
from bigearthnet.release import Archive, Digest
from bigearthnet.source.candidates import suggest
from bigearthnet.source.cut import find_cut
from bigearthnet.source.folder import find_root
from bigearthnet.source.listing import is_folder
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.remote_files import list_names

# Bytes that are read at each end of a file.
_END_NBYTES = 2**20


def identify_source(path: Path | RemotePath, archive: Archive) -> dict[str, Any]:
    """Returns what identifies a source, without reading all of it.

    Args:
        path: An archive, or a folder of patches or its parent. At a URL, a `.tar`, or
            the folder that holds what is at the top of the archive.
        archive: The published archive that it is, or is laid out like.

    Returns:
        JSON. Of a file: `bytes`, `mtime_ns` (time of its last change), and `ends`, the
        sha256 of its first and last MiB. Of a cut archive: `bytes` of all parts, their
        number, and the sha256 of what identifies each. Of a folder: the number of its
        `entries`, `mtime_ns`, and `names`, the sha256 of their names; a file in it that
        changes is not noticed. At a URL, there is no `mtime_ns`.

    Raises:
        ArchiveError: If there is no source, or it cannot be read.
        DownloadError: If it cannot be had.
    """
    if isinstance(path, RemotePath):
        return _identify_remote(path)
    try:
        if parts := find_cut(path, archive):
            return _identify_parts(parts)
        return (
            _identify_folder(path, archive) if path.is_dir() else _identify_file(path)
        )
    except FileNotFoundError:
        raise ArchiveError(
            f"no source at {path}: expected a tar archive or a folder."
            f"{suggest(path, archive)}"
        ) from None
    except OSError as cause:
        if isinstance(cause, ArchiveError):
            raise ArchiveError(f"{cause}{suggest(path, archive)}") from None
        raise ArchiveError(f"cannot read {path}: {cause}") from None


def _identify_remote(path: RemotePath) -> dict[str, Any]:
    try:
        if not is_folder(path):
            nbytes = path.find_nbytes()
            return {"bytes": nbytes, "ends": hash_ends(path, nbytes)}
        names = [name.encode() for name in list_names(path)]
        if not names:  # a file, which clients list as a folder that holds nothing
            raise StoreError(str(path))
    except StoreError:
        raise ArchiveError(
            f"no source at {path}: expected a .tar with an index, or a folder that "
            "holds what is at the top of the archive. Another archive is read where it "
            "lies on a disk, or unpacked to one of these."
        ) from None
    return {
        "entries": len(names),
        "names": hashlib.sha256(b"\0".join(names)).hexdigest(),
    }


def _identify_file(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {
        "bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ends": hash_ends(path, status.st_size),
    }


def _identify_parts(parts: Sequence[Path]) -> dict[str, Any]:
    found = {path.name: _identify_file(path) for path in parts}
    return {
        "bytes": sum(part["bytes"] for part in found.values()),
        "parts": len(parts),
        "sha256": hashlib.sha256(json.dumps(found).encode()).hexdigest(),
    }


def check_digest(
    path: Path, digests: Mapping[str, str], expected: Digest | None
) -> None:
    """Compares the checksum of a file that was read with the one it must have.

    Args:
        path: The file.
        digests: Its checksums by algorithm.
        expected: What it must have; None for any.

    Raises:
        ChecksumError: If it has another one.
    """
    if expected is not None and digests[expected.algorithm] != expected.hexdigest:
        raise ChecksumError(
            f"{path} is not the published file: expected {expected.algorithm} "
            f"{expected.hexdigest}, got {digests[expected.algorithm]}. Download it "
            "again, or give it another name."
        )


def hash_ends(path: Path | RemotePath, nbytes: int) -> str:
    """Returns the sha256 of the first and last MiB of a file, here or at a URL.

    Args:
        path: The file.
        nbytes: Its size.

    Raises:
        OSError: If it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") if isinstance(path, Path) else path.open() as file:
        for start in (0, max(0, nbytes - _END_NBYTES)):
            file.seek(start)
            digest.update(file.read(min(_END_NBYTES, nbytes)))
    return digest.hexdigest()


def _identify_folder(path: Path, archive: Archive) -> dict[str, Any]:
    root = find_root(path, archive)
    names = [os.fsencode(name) for name in sorted(os.listdir(root))]
    return {
        "entries": len(names),
        "mtime_ns": root.stat().st_mtime_ns,
        "names": hashlib.sha256(b"\0".join(names)).hexdigest(),
    }

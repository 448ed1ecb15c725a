"""Tells whether a source is still the one that an unfinished build began with."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from bigearthnet.errors import ArchiveError
from bigearthnet.release import Archive
from bigearthnet.source.candidates import suggest
from bigearthnet.source.folder import find_root

# Bytes that are read at each end of a file.
_END_NBYTES = 2**20


def identify_source(path: Path, archive: Archive) -> dict[str, Any]:
    """Returns what identifies a source, without reading all of it.

    Args:
        path: An archive, or a folder of patches or its parent.
        archive: The published archive that it is, or is laid out like.

    Returns:
        JSON. Of a file: `bytes`, `mtime_ns` (time of its last change), and `ends`, the
        sha256 of its first and last MiB. Of a folder: the number of its `entries`,
        `mtime_ns`, and `names`, the sha256 of their names; a file in it that changes is
        not noticed.

    Raises:
        ArchiveError: If there is no source, or it cannot be read.
    """
    try:
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


def _identify_file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_END_NBYTES))
        file.seek(max(0, status.st_size - _END_NBYTES))
        digest.update(file.read(_END_NBYTES))
    return {
        "bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ends": digest.hexdigest(),
    }


def _identify_folder(path: Path, archive: Archive) -> dict[str, Any]:
    root = find_root(path, archive)
    names = [os.fsencode(name) for name in sorted(os.listdir(root))]
    return {
        "entries": len(names),
        "mtime_ns": root.stat().st_mtime_ns,
        "names": hashlib.sha256(b"\0".join(names)).hexdigest(),
    }

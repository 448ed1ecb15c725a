"""How much disk a build needs, asked before it starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bigearthnet.archive import Source
from bigearthnet.errors import DiskSpaceError
from bigearthnet.release import Release

# Bytes that a stored patch takes: 160,000 of pixels and about 1,300 of metadata.
_STORED_NBYTES = 161_500

# The least bytes that a patch takes in a plain tar file: 164,448 of TIFF, the JSON,
# and 14 headers, each file padded to 512.
_TAR_NBYTES = 176_000

# Spool and shards stand side by side only for the buckets in work, one of each for a
# worker: a shard has at most 640 MB, and a bucket of the largest split about as many.
_IN_WORK_NBYTES = 2 * 640_000_000


def estimate_patches(source: Source, release: Release) -> int:
    """Estimates how many patches a source holds.

    Args:
        source: An opened source.
        release: What the source is; gives the size of a patch in its archive.
    """
    if source.nbytes is None:
        count = len(os.listdir(source.path))
    elif source.is_compressed:
        count = int(source.nbytes * release.num_patches / release.nbytes) + 1
    else:
        count = source.nbytes // _TAR_NBYTES + 1
    return count


def check_space(
    source: Source,
    output: Path,
    *,
    release: Release,
    most_patches: int,
    workers: int = 1,
) -> None:
    """Checks that spool and shards fit on the disk.

    Args:
        source: An opened source.
        output: Existing folder that the build writes to.
        release: What the source is.
        most_patches: The most patches that the build can store.
        workers: Shards that are written at once.

    Raises:
        DiskSpaceError: If they do not; the message gives both figures.
    """
    count = min(estimate_patches(source, release), most_patches)
    stored = count * _STORED_NBYTES
    needed = stored + min(stored, workers * _IN_WORK_NBYTES)
    free = shutil.disk_usage(output).free
    if needed > free:
        raise DiskSpaceError(
            f"not enough disk space in {output}: the build needs about "
            f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. Choose another "
            "data_dir, or build less with --limit or --countries."
        )

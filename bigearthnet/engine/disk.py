"""Checks, before a build starts, that its result fits on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bigearthnet.engine.keys import MAX_PATCHES_PER_SHARD
from bigearthnet.errors import DiskSpaceError
from bigearthnet.formats import FORMATS
from bigearthnet.release import Release
from bigearthnet.source import Source

# Bytes that a patch takes in the spool: 160,000 of pixels and its metadata.
_SPOOLED_NBYTES = 161_500

# The least bytes that a patch takes in a plain tar file: 164,448 of TIFF, the JSON,
# and 14 headers, each file padded to 512.
_TAR_NBYTES = 176_000


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
    formats: Sequence[str],
    most_patches: int,
    workers: int = 1,
) -> None:
    """Checks that spool and shards fit on the disk.

    Args:
        source: An opened source.
        output: Existing folder that the build writes to.
        release: What the source is.
        formats: Names of the formats that are written.
        most_patches: The most patches that the build can store.
        workers: Shards that are written at once.

    Raises:
        DiskSpaceError: If they do not fit; the message gives needed and free space.
    """
    count = min(estimate_patches(source, release), most_patches)
    stored = sum(FORMATS[name].patch_nbytes for name in formats)
    # A bucket is deleted once its shards are written, so that patches take space twice
    # only while they are being written: for each worker a shard and its bucket, which
    # has about as many patches.
    in_work = workers * MAX_PATCHES_PER_SHARD * (stored + _SPOOLED_NBYTES)
    more, less = max(stored, _SPOOLED_NBYTES), min(stored, _SPOOLED_NBYTES)
    needed = count * more + min(count * less, in_work)
    free = shutil.disk_usage(output).free
    if needed > free:
        raise DiskSpaceError(
            f"not enough disk space in {output}: the build needs about "
            f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. Choose another "
            "data_dir, or build less with --limit or --countries."
        )

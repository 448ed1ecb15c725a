"""Checks, before a build starts, that its result fits on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bigearthnet.engine.job import Job
from bigearthnet.engine.keys import MAX_PATCHES_PER_SHARD
from bigearthnet.errors import DiskSpaceError
from bigearthnet.release import Archive
from bigearthnet.source import Source
from bigearthnet.source.folder import find_levels

# Bytes that the metadata of a patch take in the spool, at most.
_METADATA_NBYTES = 1_500

# The least bytes that a patch takes in a plain tar file, for each byte of its pixels:
# in v1, 164,448 of TIFF, the JSON, and 14 headers, each file padded to 512.
_TAR_SHARE = 1.1

# Likewise in a compressed one whose published size is not known; in Sentinel-1 of v2.0
# it is 0.86.
_PACKED_SHARE = 0.8


def estimate_patches(source: Source, num_patches: int) -> int:
    """Estimates how many patches a source holds.

    Args:
        source: An opened source.
        num_patches: Patches of the release, which its published archive holds.
    """
    archive = source.archive
    if source.members.nbytes is None:
        assert isinstance(source.path, Path)
        return _count_folders(
            source.path, archive, find_levels(source.path, archive) or 0
        )
    if source.members.is_compressed and archive.nbytes is None:
        return int(source.members.nbytes // (archive.pixel_nbytes * _PACKED_SHARE)) + 1
    if source.members.is_compressed and archive.nbytes is not None:
        return int(source.members.nbytes * num_patches / archive.nbytes) + 1
    return int(source.members.nbytes // (archive.pixel_nbytes * _TAR_SHARE)) + 1


def _count_folders(path: Path, archive: Archive, levels: int) -> int:
    """Counts the folders named like patches, some levels below a folder."""
    if not levels:
        return sum(map(archive.ids.matches, os.listdir(path)))
    with os.scandir(path) as entries:
        folders = [Path(entry.path) for entry in entries if entry.is_dir()]
    return sum(_count_folders(folder, archive, levels - 1) for folder in folders)


def check_space(
    source: Source,
    output: Path,
    job: Job,
    archives: Sequence[Archive],
    most_patches: int,
) -> None:
    """Checks that spools and shards fit on the disk.

    Args:
        source: An opened source.
        output: Existing folder that the build writes to.
        job: The build.
        archives: The archives that are not spooled yet, that of the source among them.
        most_patches: The most patches that the build can store.

    Raises:
        DiskSpaceError: If they do not fit; the message gives needed and free space.
    """
    estimate = estimate_patches(source, job.config.release.num_patches)
    count = min(estimate, most_patches, job.options.limit or most_patches)
    stored = job.patch_nbytes
    spooled = sum(archive.pixel_nbytes + _METADATA_NBYTES for archive in archives)
    # A bucket is deleted once its shards are written, so that patches take space twice
    # only while they are being written: for each worker a shard and its bucket, which
    # has about as many patches.
    in_work = job.options.workers * MAX_PATCHES_PER_SHARD * (stored + spooled)
    needed = count * max(stored, spooled) + min(count * min(stored, spooled), in_work)
    check_free(output, needed)


def check_free(output: Path, needed: int) -> None:
    """Checks that a disk has room.

    Args:
        output: Existing folder on it.
        needed: Bytes.

    Raises:
        DiskSpaceError: If it has less.
    """
    free = shutil.disk_usage(output).free
    if needed > free:
        raise DiskSpaceError(
            f"not enough disk space in {output}: the build needs about "
            f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. Choose another "
            "data_dir, or build less with --limit or --countries."
        )

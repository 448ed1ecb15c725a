"""Archives → the sources of a build: found where people put them, or downloaded.

The same for `tfds.load` and `load_dataset`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from bigearthnet.download import fetch
from bigearthnet.download.local import Found, describe_found, find_archive
from bigearthnet.engine.job import JobSource
from bigearthnet.registration import NAME
from bigearthnet.schema.configs import Config


def find_archives(
    config: Config, manual: Path, downloads: Path, again: bool = False
) -> tuple[Found, ...]:
    """Finds each archive of a configuration, or where it is to be downloaded to.

    Args:
        config: The configuration.
        manual: The folder that people put archives into; it may be missing.
        downloads: The folder of downloads.
        again: Whether an archive in the folders of downloads is to be replaced.

    Raises:
        ArchiveError: See `find_archive`.
    """
    return tuple(
        find_archive(archive, manual, downloads, NAME, again)
        for archive in config.archives
    )


def make_sources(
    archives: Iterable[Found], config: Config, data_dir: Path
) -> tuple[JobSource, ...]:
    """Makes sources of archives; those that are not there are downloaded.

    While they are read, an archive is hashed, and the patches of anything that is not
    the published file are counted.

    Args:
        archives: What was found of them.
        config: The configuration.
        data_dir: The data directory that is built in.

    Raises:
        DownloadError, ChecksumError, DiskSpaceError: If an archive cannot be had.
    """
    return tuple(_make_source(found, config, data_dir) for found in archives)


def _make_source(found: Found, config: Config, data_dir: Path) -> JobSource:
    archive, count = found.archive, config.release.num_patches
    if text := describe_found(found, count, data_dir, config.name):
        print(f"bigearthnet: {text}", file=sys.stderr)
    if not found.is_here:
        found.path.unlink(missing_ok=True)
        fetch([archive.url], found.path, archive.nbytes, archive.digest)
    if found.is_published:
        return JobSource(archive, found.path, digest=archive.digest)
    return JobSource(archive, found.path, num_patches=count)

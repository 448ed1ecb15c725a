"""The identity of a build: an interrupted build is resumed only if it is the same."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import Any

from bigearthnet.engine.job import Job
from bigearthnet.source.identity import identify_source
from bigearthnet.store.remote import describe_origin

# Packages whose version the bytes of shards may depend on.
_PACKAGES = ("bigearthnet", "numpy", "pillow", "pyarrow", "rasterio")


def identify_build(job: Job) -> dict[str, Any]:
    """Returns all that the bytes of a build depend on, as JSON.

    The number of workers and the handling of bad patches are left out: they may change
    when a build is resumed.

    Raises:
        ArchiveError: If a source is missing, or cannot be read.
    """
    release = job.config.release
    sources = {s.archive.name: identify_source(s.path, s.archive) for s in job.sources}
    if job.store is not None:
        sources = {"store": describe_origin(job.store)}
    beside = {"beside": describe_origin(job.beside)} if job.beside else {}
    return {
        "sources": sources,
        **beside,
        "release": release.name,
        "config": job.config.name,
        "version": release.data_version,
        "formats": sorted(job.formats),
        "include_excluded": job.options.include_excluded,
        "limit": job.options.limit,
        "countries": sorted(job.options.countries),
        "drop": hashlib.sha256("\n".join(sorted(job.drop)).encode()).hexdigest(),
        "packages": find_versions(),
    }


def find_versions() -> dict[str, str | None]:
    """Returns package → version of all that the bytes of shards may depend on.

    None for one that is not installed.
    """
    return {name: _find_version(name) for name in _PACKAGES}


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

"""The identity of a build: an interrupted build is resumed only if it is the same."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import Release
from bigearthnet.schema.configs import DATA_VERSION, Config
from bigearthnet.source.identity import identify_source

# Packages whose version the bytes of shards may depend on.
_PACKAGES = ("bigearthnet", "numpy", "pillow", "pyarrow", "rasterio")


def identify_build(
    source: Path,
    config: Config,
    formats: Sequence[str],
    release: Release,
    options: BuildOptions,
) -> dict[str, Any]:
    """Returns all that the bytes of a build depend on, as JSON.

    The number of workers and the handling of bad patches are left out: they may change
    when a build is resumed.

    Args:
        source: An archive or a folder.
        config: What is stored.
        formats: Names of the formats.
        release: What the source is.
        options: Selection.

    Raises:
        ArchiveError: If the source is missing or cannot be read.
    """
    return {
        "source": identify_source(source),
        "release": release.name,
        "config": config.name,
        "version": DATA_VERSION,
        "formats": sorted(formats),
        "include_excluded": options.include_excluded,
        "limit": options.limit,
        "countries": sorted(options.countries),
        "packages": {name: _find_version(name) for name in _PACKAGES},
    }


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

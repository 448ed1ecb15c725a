"""The identity of a build: an interrupted build is resumed only if it is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bigearthnet.engine.job import Job
from bigearthnet.errors import JournalError, OptionError
from bigearthnet.source.identity import identify_source
from bigearthnet.store.remote import describe_origin
from bigearthnet.util.files import read_json_object
from bigearthnet.util.remote import Place

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


def read_identity(path: Path) -> dict[str, Any]:
    """Reads the identity of an unfinished build.

    Raises:
        JournalError: If it is damaged.
    """
    try:
        return read_json_object(path)
    except ValueError:
        raise JournalError(
            f"{path} is damaged: it is not a JSON object. Build again with --restart, "
            f"or delete {path.parent} and build again."
        ) from None


def check_identity(
    found: Mapping[str, Any], identity: Mapping[str, Any], place: Place
) -> None:
    """Checks that an unfinished build is the one that is to be resumed.

    Args:
        found: Its identity, as it was read.
        identity: That of the build.
        place: Where it is, for the error.

    Raises:
        OptionError: If it is another one.
    """
    expected = json.loads(json.dumps(identity))
    names = [n for n in {**found, **expected} if found.get(n) != expected.get(n)]
    if names:
        changes = "; ".join(
            f"{n}: was {_shorten(found.get(n))}, is {_shorten(expected.get(n))}"
            for n in names
        )
        raise OptionError(
            f"{place} holds an unfinished build of something else ({changes}). "
            "To resume it, build with the same options; to discard it, build with "
            "--restart, or delete the folder."
        )


def _shorten(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."

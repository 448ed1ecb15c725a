"""What a card says of the source of a store, and of what wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from bigearthnet.release import Archive
from bigearthnet.store import PROVENANCE, Store
from bigearthnet.util.files import read_json_object


def describe_provenance(store: Store) -> str:
    """Returns sources with their checksums, versions, and what is left out.

    Neither paths nor the command: a card is for strangers.
    """
    try:
        found = read_json_object(store.folder / PROVENANCE)
    except (OSError, ValueError):
        found = {}
    counts = store.manifest["patches"]
    writers = {"bigearthnet": metadata.version("bigearthnet")}
    writers |= store.manifest["writers"]
    lines = [
        *_describe_sources(found, store.config.archives),
        f"Read: {counts['rows']:,} patches of the {store.config.release.num_patches:,} "
        f"of {store.config.release.name}; stored: {counts['stored']:,}.",
        f"Version of the data: {store.manifest['version']}, config "
        f"{store.manifest['config']}; written by "
        f"{', '.join(f'{name} {version}' for name, version in writers.items())}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _describe_sources(
    found: Mapping[str, Any], archives: tuple[Archive, ...]
) -> Iterator[str]:
    """Says of each source which archive it is, and its sha256 if it has one."""
    others = {
        other["archive"]: other["sha256"] for other in found.get("other_sources", ())
    }
    for archive in archives:
        first = archive == archives[0]
        sha256 = found.get("source_sha256") if first else others.get(archive.name)
        if sha256 is None:
            yield f"Source `{archive.name}`: patches without a checksum of their own."
        elif sha256 == archive.digest.hexdigest:
            yield (
                f"Source `{archive.name}`: the published {archive.filenames[0]}, "
                f"sha256 `{sha256}`."
            )
        else:
            yield f"Source `{archive.name}`: another archive, sha256 `{sha256}`."

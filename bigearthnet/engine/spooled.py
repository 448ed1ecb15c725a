"""Records that a source was spooled to its end, so that it is not read again.

The entry of the journal is written last, when every bucket and the index of the spool
are durable. A spool without an entry is never used: its source is read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import JournalError, StoreError
from bigearthnet.source import Source
from bigearthnet.source.patch import PlaceCounts
from bigearthnet.store.quarantine import BadPatch
from bigearthnet.util.files import DurableFile, read_json_object
from bigearthnet.util.remote import Place, SomePlace

# The file of the index, beside the buckets.
_INDEX = "index"
# What the entries of the journal are called.
_KIND = "spooled"


@dataclass(frozen=True)
class SpooledSource:
    """A source that was read to its end, and whose spool is durable.

    Attributes:
        lane: Name of its archive.
        nbytes: Size of the source file; None for a folder.
        sha256: Its checksum; None for a folder, or if it was not read to its end
            because of a limit.
        quarantine: The bad patches that were set aside.
        index_sha256: Checksum of the index.
        litter: Kind of what other programs left in it → how much was left out.
        places: How well its good patches agree about where they lie.
    """

    lane: str
    nbytes: int | None
    sha256: str | None
    quarantine: tuple[BadPatch, ...]
    index_sha256: str
    litter: Mapping[str, int]
    places: PlaceCounts

    def encode(self) -> dict[str, Any]:
        """Returns the entry of the journal."""
        return {"kind": _KIND, **asdict(self)}

    @classmethod
    def decode(cls, entry: Mapping[str, Any]) -> SpooledSource:
        """Inverse of `encode`."""
        fields = {name: value for name, value in entry.items() if name != "kind"}
        bad = tuple(BadPatch(**patch) for patch in entry["quarantine"])
        places = PlaceCounts(**entry["places"])
        return cls(**{**fields, "quarantine": bad, "places": places})


def save_spooled(
    work: Workspace,
    index: SpoolIndex,
    source: Source,
    bad: tuple[BadPatch, ...],
    places: PlaceCounts,
) -> SpooledSource:
    """Records a source as spooled; its buckets must be synchronised before.

    Args:
        work: The workspace.
        index: The index of the spool, filled.
        source: The opened source, read to its end.
        bad: Its bad patches, which were set aside.
        places: How well the others agree about where they lie.

    Raises:
        OSError: If it cannot be written.
    """
    lane, members = source.archive.name, source.members
    litter = dict(members.litter.counts)
    sha256 = members.digests.get("sha256")
    spooled = SpooledSource(lane, members.nbytes, sha256, bad, "", litter, places)
    return record(work, index, spooled)


def record(work: Workspace, index: SpoolIndex, spooled: SpooledSource) -> SpooledSource:
    """Writes the index of a spool, and the entry of the journal.

    Args:
        work: The workspace.
        index: The index, filled.
        spooled: What was read; without the checksum of the index, which it gets.

    Raises:
        OSError: If it cannot be written.
    """
    path = index_path(work.spool(spooled.lane))
    with DurableFile(path.parent, path.name) as file:
        file.write(index.dump())
        saved = file.finish()  # which makes the names of the buckets durable, too
    spooled = replace(spooled, index_sha256=saved.sha256)
    if work.remote is not None:
        work.remote.send(index_path(work.remote.spool(spooled.lane)), path)
    work.record(spooled.encode())
    return spooled


def index_path(spool: SomePlace) -> SomePlace:
    """Returns the file of the index of a whole spool, in its folder."""
    return spool / _INDEX


def read_index(path: Place, sha256: str) -> bytes:
    """Reads an index, for `SpoolIndex.load`.

    Raises:
        JournalError: If it has another checksum, or is missing.
        OSError: If it cannot be read.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, StoreError):
        content = b""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise JournalError(
            f"{path} is damaged or missing: expected sha256 {sha256}, got {found}. "
            "Build again with --restart, which discards what is done."
        )
    return content


def read_summary(path: Place) -> SpooledSource:
    """Reads what a part was said to hold; see `tries`.

    Raises:
        JournalError: If it is damaged or missing.
        OSError: If it cannot be read.
    """
    try:
        return SpooledSource.decode(read_json_object(path))
    except (FileNotFoundError, StoreError, ValueError, LookupError, TypeError):
        raise JournalError(
            f"{path} is damaged or missing. Build again with --restart, which discards "
            "what is done."
        ) from None


def load_spooled(work: Workspace, index: SpoolIndex, lane: str) -> SpooledSource | None:
    """Loads the index of a source that an earlier run has spooled.

    Args:
        work: The workspace.
        index: The empty index to fill.
        lane: Name of the archive of the source.

    Returns:
        The entry of the source; None if it has to be read.

    Raises:
        JournalError: If the index is not what the journal says.
        OSError: If it cannot be read.
    """
    entries = map(SpooledSource.decode, work.journal.find(_KIND))
    spooled = next((entry for entry in entries if entry.lane == lane), None)
    if spooled is not None:
        index.load(read_index(index_path(work.spool(lane)), spooled.index_sha256))
    return spooled

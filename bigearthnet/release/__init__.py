"""What was published: one value per release, which is passed down.

The releases themselves (`V1`, `V2`) and the list of all of them (`RELEASES`) are for
public entry points; everything below takes a release, or a configuration of one.
"""

from __future__ import annotations

from bigearthnet.release.model import (
    Archive,
    Choice,
    Digest,
    LabelSet,
    MetadataKeys,
    Release,
    find_release,
)
from bigearthnet.release.patch_ids import IdCodec
from bigearthnet.release.v1 import V1
from bigearthnet.release.v2 import V2

# All releases the package knows, the one that people get if they name none first.
RELEASES: tuple[Release, ...] = (V1, V2)

__all__ = [
    "RELEASES",
    "V1",
    "V2",
    "Archive",
    "Choice",
    "Digest",
    "IdCodec",
    "LabelSet",
    "MetadataKeys",
    "Release",
    "find_release",
]

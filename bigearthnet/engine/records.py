"""The record of a patch in the spool; no other version of the package reads it.

JSON of labels and fields, if the archive has any, and the pixels. What the release's
table says of a patch is not repeated: the row of the patch tells it.
"""

from __future__ import annotations

import json

from bigearthnet.errors import JournalError
from bigearthnet.release import Archive
from bigearthnet.source.patch import Patch

# Made once: `json.dumps` makes an encoder for each call that has options.
_encode_json = json.JSONEncoder(separators=(",", ":")).encode


def encode_record(patch: Patch) -> tuple[bytes | memoryview, ...]:
    """Returns the pieces of a spool record: metadata, then the pixels."""
    if not patch.labels and not patch.fields:
        return patch.pixels
    metadata = _encode_json([patch.labels, patch.fields])
    return metadata.encode(), *patch.pixels


def decode_record(record: bytes, archive: Archive) -> Patch:
    """Inverse of `encode_record`; the patch's pixels are a view of the record.

    Raises:
        JournalError: If it is damaged, as far as that can be seen.
    """
    start = len(record) - archive.pixel_nbytes
    pixels = (memoryview(record)[start:],)
    if start == 0:
        return Patch(pixels)
    try:
        labels, fields = json.loads(record[:start])
    except ValueError:
        raise JournalError(
            "a record of the spool is damaged. Build again with --restart, which "
            "discards what is done."
        ) from None
    return Patch(pixels, tuple(labels), fields)

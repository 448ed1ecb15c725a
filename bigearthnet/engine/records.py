"""Encodes and decodes a patch as a record of the spool, a format private to a build."""

from __future__ import annotations

import struct

from bigearthnet.release.patch_index import PatchFacts
from bigearthnet.source.metadata import PatchMetadata
from bigearthnet.source.patch import Patch

# Class ids as a bit mask, four coordinates, EPSG code, split, season, country, the two
# flags, and the bytes of each text; the texts and the pixels follow.
_HEADER = struct.Struct("<Q4qi5B5H")


def encode_record(patch: Patch, facts: PatchFacts) -> tuple[bytes | memoryview, ...]:
    """Returns the pieces of a spool record: metadata, then the pixels.

    Args:
        patch: The patch.
        facts: What the official lists say of it.
    """
    metadata = patch.metadata
    texts = [
        text.encode()
        for text in (
            patch.patch_id,
            facts.s1_name,
            metadata.acquisition_date,
            metadata.projection,
            metadata.tile_source,
        )
    ]
    header = _HEADER.pack(
        encode_mask(metadata.labels),
        *metadata.coordinates,
        metadata.epsg,
        facts.split,
        facts.season,
        facts.country,
        facts.contains_seasonal_snow,
        facts.contains_cloud_or_shadow,
        *map(len, texts),
    )
    return b"".join([header, *texts]), *patch.pixels


def decode_record(record: bytes) -> tuple[Patch, PatchFacts]:
    """Inverse of `encode_record`; the patch's pixels are a view of the record."""
    header = _HEADER.unpack_from(record)
    mask, ulx, uly, lrx, lry, epsg, split, season, country, snow, cloud = header[:11]
    texts, position = [], _HEADER.size
    for length in header[11:]:
        texts.append(record[position : position + length].decode())
        position += length
    patch_id, s1_name, date, projection, tile_source = texts
    metadata = PatchMetadata(
        labels=decode_mask(mask),
        coordinates=(ulx, uly, lrx, lry),
        projection=projection,
        epsg=epsg,
        tile_source=tile_source,
        acquisition_date=date,
    )
    facts = PatchFacts(split, season, country, bool(snow), bool(cloud), s1_name)
    return Patch(patch_id, metadata, (memoryview(record)[position:],)), facts


def encode_mask(labels: tuple[int, ...]) -> int:
    """Packs class ids under 64 into the bits of an integer."""
    return sum(1 << label for label in labels)


def decode_mask(mask: int) -> tuple[int, ...]:
    """Returns the ascending class ids of a mask."""
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)

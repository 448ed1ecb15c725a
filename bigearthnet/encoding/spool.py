"""Stage one: a source → spool buckets, one record per stored patch.

A bucket holds the records of one split whose keys begin with the same bits, in the
order in which they came. The record format is private to this module and lives no
longer than a build. The spool's index keeps one row per patch of the release in arrays
of fixed size, so that memory does not grow with the archive.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.encoding.files import write_all
from bigearthnet.encoding.keys import hash_key
from bigearthnet.metadata import PatchMetadata
from bigearthnet.patch import Patch
from bigearthnet.patch_index import PatchFacts
from bigearthnet.splits import SPLITS

# Class ids as a bit mask, four coordinates, EPSG code, split, season, country, the two
# flags, and the bytes of each text; the texts and the pixels follow.
_HEADER = struct.Struct("<Q4qi5B5H")

_NOT_READ, _NOT_STORED, _STORED = 0, 1, 2

# One row of the index, written as a struct and read as an array.
_ENTRY = struct.Struct("<BHIQ16s")
_ENTRY_DTYPE = np.dtype(
    [
        ("state", "u1"),
        ("bucket", "<u2"),
        ("nbytes", "<u4"),
        ("offset", "<u8"),
        ("key", ">u8", 2),
    ]
)
assert _ENTRY.size == _ENTRY_DTYPE.itemsize

# Buckets of a split: train becomes 64 files of some 4,200 patches.
_MAX_BUCKET_BITS = 6
# Part of the allowed number of open files that buckets may take.
_OPEN_FILES_SHARE = 0.5


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


class SpoolIndex:
    """Where the record of each patch stands; one row per patch of the release.

    Attributes:
        labels: Class ids as bit masks, shape (patch,), uint64; 0 where not read.
        split: Index into SPLITS, shape (patch,), uint8.
        num_synthetic: Patches read that say that they are synthetic.
    """

    def __init__(self, splits: npt.NDArray[np.uint8]) -> None:
        """Makes an empty index.

        Args:
            splits: Index into SPLITS of every patch of the release.
        """
        count = len(splits)
        self.split = splits
        self.num_synthetic = 0
        self.labels = np.zeros(count, np.uint64)
        # Written through struct, which is ten times as fast as setting numpy fields.
        self._buffer = bytearray(count * _ENTRY.size)
        self._entries = np.frombuffer(self._buffer, _ENTRY_DTYPE)

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """True for each patch that was read."""
        return self._entries["state"] != _NOT_READ

    @property
    def stored(self) -> npt.NDArray[np.bool_]:
        """True for each patch that has a record in the spool."""
        return self._entries["state"] == _STORED

    def add_read(self, row: int, labels: tuple[int, ...]) -> None:
        """Notes that a patch was read."""
        self._buffer[row * _ENTRY.size] = _NOT_STORED
        self.labels[row] = encode_mask(labels)

    def add_record(
        self, row: int, key: bytes, bucket: int, offset: int, nbytes: int
    ) -> None:
        """Notes where a patch's record stands."""
        position = row * _ENTRY.size
        _ENTRY.pack_into(self._buffer, position, _STORED, bucket, nbytes, offset, key)

    def sorted_rows(self, split: int) -> npt.NDArray[np.intp]:
        """Returns the rows of the stored patches of a split, in the order of keys."""
        rows = np.flatnonzero(self.stored & (self.split == split))
        keys = self._entries["key"][rows]
        return rows[np.lexsort((keys[:, 1], keys[:, 0]))]

    def locate(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """Returns where records stand.

        Args:
            rows: Rows of stored patches, shape (record,).

        Returns:
            Structured array of `bucket`, `nbytes` and `offset`, shape (record,).
        """
        return self._entries[["bucket", "nbytes", "offset"]][rows].copy()


def bucket_path(folder: Path, split: int, bucket: int) -> Path:
    """Returns the file of a bucket."""
    return folder / f"{SPLITS[split]}-{bucket:03d}"


class SpoolWriter:
    """Appends records to the buckets of a folder; a context manager."""

    def __init__(self, folder: Path, index: SpoolIndex) -> None:
        """Takes an existing, empty folder and an empty index to fill."""
        self._folder = folder
        self._index = index
        self._bits = choose_bucket_bits()
        self._files: dict[tuple[int, int], int] = {}
        self._ends: dict[tuple[int, int], int] = {}

    def append(self, row: int, patch: Patch, facts: PatchFacts) -> None:
        """Appends the record of a patch to its bucket.

        Args:
            row: Row of the patch in the release's table.
            patch: The patch.
            facts: What the official lists say of it.
        """
        key = hash_key(SPLITS[facts.split], patch.patch_id)
        bucket = key[0] >> (8 - self._bits)
        pieces = encode_record(patch, facts)
        nbytes = sum(map(len, pieces))
        place = facts.split, bucket
        path = bucket_path(self._folder, *place)
        if place not in self._files:
            self._files[place] = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666
            )
            self._ends[place] = 0
        write_all(self._files[place], pieces, nbytes, path)
        self._index.add_record(row, key, bucket, self._ends[place], nbytes)
        self._ends[place] += nbytes

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            os.close(file)
        self._files.clear()


def choose_bucket_bits() -> int:
    """Returns how many bits of the key choose the bucket, within the open-file limit.

    The number of buckets has no influence on the shards.
    """
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except ImportError:  # Windows allows 512 open files
        limit = 512
    if limit < 0:  # no limit
        return _MAX_BUCKET_BITS
    most = int(limit * _OPEN_FILES_SHARE) // len(SPLITS)
    return max(0, min(_MAX_BUCKET_BITS, most.bit_length() - 1))

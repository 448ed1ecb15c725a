"""Writes the spool: buckets with one record per stored patch.

A bucket holds the records of one split whose keys begin with the same bits, in the
order in which they came. The spool's index keeps one row per patch of the release in
arrays of fixed size, so that memory does not grow with the archive.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bigearthnet.engine.keys import hash_key
from bigearthnet.engine.records import encode_record
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.patch import Patch
from bigearthnet.util.files import write_all
from bigearthnet.util.remote import SomePlace

# Buckets of a split: train becomes 64 files of some 4,200 patches.
_MAX_BUCKET_BITS = 6
# Share of the limit of open files that buckets may take.
_OPEN_FILES_SHARE = 0.5


def bucket_path(folder: SomePlace, split: str, bucket: int) -> SomePlace:
    """Returns the file of a bucket.

    Args:
        folder: The folder of a spool.
        split: Name of the split.
        bucket: Number of the bucket.
    """
    return folder / f"{split}-{bucket:03d}"


def sort_buckets(
    folder: Path, index: SpoolIndex, patches: PatchIndex, bucket: int
) -> None:
    """Brings the records of the only bucket of each split into the order of keys.

    So that a shard, whose keys follow each other, needs one range of each bucket.

    Args:
        folder: The folder of the spool.
        index: Its index, which is changed likewise.
        patches: The release's patches in the wanted split scheme.
        bucket: Number of the bucket.

    Raises:
        OSError: If a bucket cannot be read or written.
    """
    stored = np.flatnonzero(index.stored)
    for code, split in enumerate(patches.release.splits):
        rows = index.sort(stored[patches.splits[stored] == code])
        if not len(rows):
            continue
        path, places = bucket_path(folder, split, bucket), index.locate(rows)
        sorted_path = path.with_name(f"sorted-{path.name}")
        with path.open("rb") as unsorted, sorted_path.open("xb") as file:
            for _, nbytes, offset in places.tolist():
                file.write(os.pread(unsorted.fileno(), nbytes, offset))
        sorted_path.replace(path)
        ends = np.cumsum(places["nbytes"], dtype=np.uint64)
        index.move(rows, ends - places["nbytes"])


class SpoolWriter:
    """Appends records to the buckets of a folder; a context manager.

    Attributes:
        index: The index that is filled.
        patches: The release's patches in the wanted split scheme.
    """

    def __init__(
        self,
        folder: Path,
        index: SpoolIndex,
        patches: PatchIndex,
        bucket: int | None = None,
    ) -> None:
        """Begins a spool.

        Args:
            folder: Existing, empty folder.
            index: The empty index to fill.
            patches: The release's patches in the wanted split scheme.
            bucket: The only bucket of each split; None to choose by the key.
        """
        self._bucket = bucket
        self._folder = folder
        self.index, self.patches = index, patches
        self._bits = choose_bucket_bits(len(patches.release.splits))
        # Split and number of each bucket → descriptor and path, and its bytes so far.
        self._files: dict[tuple[str, int], tuple[int, Path]] = {}
        self._ends: dict[tuple[str, int], int] = {}

    def append(self, row: int, patch: Patch) -> None:
        """Appends the record of a patch to its bucket.

        Args:
            row: Row of the patch in the release's table.
            patch: The patch.

        Raises:
            OSError: If it cannot be written.
        """
        split = self.patches.split(row)
        key = hash_key(split, self.patches.patch_id(row))
        bucket = key[0] >> (8 - self._bits) if self._bucket is None else self._bucket
        pieces = encode_record(patch)
        nbytes = sum(map(len, pieces))
        place = split, bucket
        if place not in self._files:
            path = bucket_path(self._folder, *place)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            self._files[place] = file, path
            self._ends[place] = 0
        file, path = self._files[place]
        write_all(file, pieces, nbytes, path)
        self.index.add_record(row, key, bucket, self._ends[place], nbytes)
        self._ends[place] += nbytes

    def sync(self) -> None:
        """Makes the content of every bucket durable.

        Raises:
            OSError: If it cannot be synchronised.
        """
        for file, _ in self._files.values():
            os.fsync(file)

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file, _path in self._files.values():
            os.close(file)
        self._files.clear()


def choose_bucket_bits(num_splits: int) -> int:
    """Returns how many bits of the key choose the bucket, within the open-file limit.

    The number of buckets has no influence on the shards.

    Args:
        num_splits: Splits that have buckets.
    """
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except ImportError:  # Windows allows 512 open files
        limit = 512
    if limit < 0:  # no limit
        return _MAX_BUCKET_BITS
    most = int(limit * _OPEN_FILES_SHARE) // num_splits
    return max(0, min(_MAX_BUCKET_BITS, most.bit_length() - 1))

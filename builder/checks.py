"""The checks of `builder.verify` that need the records of a store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq

from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.store import PATCHES, QUARANTINE, STATISTICS
from bigearthnet.store.compatibility import hash_lines
from bigearthnet.store.order import hash_key
from bigearthnet.store.quarantine import read_quarantine
from bigearthnet.util.wording import count_of
from builder.findings import Damaged, Finding, Skipped
from builder.records import RecordIndex
from builder.stored import compare_examples


def check_counts(records: RecordIndex) -> Iterator[Finding]:
    """Checks that examples and manifest count the same, in shards that were read."""
    store = records.store
    for split in store.splits:
        read = [f for f in store.files(split) if f["name"] in records.counts]
        found = sum(records.counts[file["name"]] for file in read)
        expected = sum(file["rows"] for file in read)
        if found != expected:
            yield f"{split}: {count_of(found, 'row')}, manifest {expected}"
        elif unread := records.unread.get(split):
            yield Skipped(tuple(unread))
        else:
            yield _check_ids(records, split)


def _check_ids(records: RecordIndex, split: str) -> Finding:
    """Checks the checksum of the ids of a split, of which all shards were read."""
    expected = records.store.manifest["splits"][split].get("ids_sha256")
    if expected is None:
        return None
    patches = records.patches
    of_split = patches.splits == patches.release.splits.index(split)
    ids = patches.patch_ids(np.flatnonzero(records.found & of_split)).to_pylist()
    found = hash_lines(sorted(ids, key=lambda name: hash_key(split, name)))
    if found == expected:
        return None
    return f"{split}: expected ids of sha256 {expected}, as the manifest says: {found}"


def check_statistics(records: RecordIndex) -> Iterator[Finding]:
    """Recomputes the statistics, where the store holds the bands."""
    store = records.store
    split = str(store.statistics.get("split"))
    if store.config.choice.is_rgb:
        return
    if unread := records.unread.get(split):
        yield Skipped(tuple(unread))
    elif records.sums.to_json(split) == store.statistics:
        yield None
    else:
        problem = f"{STATISTICS} differs from the pixels of {split}"
        yield Damaged(store.folder / STATISTICS, problem)


def check_patch_table(records: RecordIndex) -> Iterator[Finding]:
    """Checks the table of patches against the records and the official lists."""
    path, expected = records.store.folder / PATCHES, records.store.manifest["patches"]
    if PATCHES in records.damaged:
        yield Skipped((PATCHES,), int(expected.get("rows", 1)))
        return
    stored = np.zeros(len(records.patches), np.bool_)
    table = pq.ParquetFile(path)
    num_rows = table.metadata.num_rows
    if num_rows != expected.get("rows"):
        yield f"{path} has {count_of(num_rows, 'row')}, manifest {expected.get('rows')}"
    for entry in (e for b in table.iter_batches() for e in b.to_pylist()):
        row = records.patches.find(entry["patch_id"])
        if row is None or records.patches.split(row) != entry["split"]:
            yield f"{entry['patch_id']} is not a patch of {entry['split']}"
            continue
        stored[row] = entry["stored"]
        if entry["stored"] and (skipped := records.skip(row)):
            yield skipped
        elif entry["stored"] and encode_mask(entry["labels"]) != records.labels[row]:
            yield f"{entry['patch_id']}: the table has other labels than the record"
        elif entry["stored"] != records.holds(row):
            yield f"{entry['patch_id']}: the table has a wrong value of `stored`"
        else:
            yield None
    for stray in np.flatnonzero(records.found & ~stored):
        yield f"{records.patches.patch_id(int(stray))} is stored, but not in the table"


def check_quarantine(records: RecordIndex) -> Iterator[Finding]:
    """Checks that the patches that were set aside are not stored."""
    if QUARANTINE in records.damaged:
        count = int(records.store.manifest["patches"]["quarantined"])
        yield Skipped((QUARANTINE,), max(count, 1))
        return
    for bad in read_quarantine(records.store.folder / QUARANTINE):
        row = records.patches.find(bad.patch_id)
        if row is None:
            yield None
        elif records.holds(row):
            yield f"{bad.patch_id} was set aside, and is stored"
        else:
            yield records.skip(row)


def check_complete(records: RecordIndex) -> Iterator[Finding]:
    """Checks that every patch of train, validation and test is there."""
    patches = records.patches
    excluded = [patches.release.splits.index(s) for s in patches.release.excluded]
    for row in np.flatnonzero(~np.isin(patches.splits, excluded)).tolist():
        if records.holds(row):
            yield None
        else:
            yield records.skip(row) or f"{patches.patch_id(row)} is missing"


def check_agreement(records: RecordIndex, other: RecordIndex) -> Iterator[Finding]:
    """Compares every example of two stores of one configuration.

    Args:
        records: What the first one holds.
        other: What the second one holds.

    Raises:
        ShardError: If an example that differs cannot be read.
    """
    names = records.store.format.name, other.store.format.name
    for row in np.flatnonzero(records.found | other.found).tolist():
        patch_id = records.patches.patch_id(row)
        if not (records.holds(row) and other.holds(row)):
            where, lacking = names if records.holds(row) else names[::-1]
            skipped = records.skip(row) or other.skip(row)
            yield skipped or f"{patch_id} is in {where}, not in {lacking}"
        elif np.array_equal(records.digests[:, row], other.digests[:, row]):
            yield None
        else:
            expected, found = records.read(row), other.read(row)
            schema = records.store.config.schema
            shared = {feature.name: expected[feature.name] for feature in schema}
            problems = list(compare_examples(shared, found))
            yield f"{patch_id}: {'; '.join(problems)} ({' and '.join(names)})"

"""The checks of `builder.verify`: for each thing checked, None or a difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.store import PATCHES, QUARANTINE, Store
from bigearthnet.store.dataset_dict import make_dataset_dict
from bigearthnet.store.quarantine import read_quarantine
from bigearthnet.util.files import hash_file
from builder.card import CARD, make_header
from builder.records import RecordIndex
from builder.stored import compare_examples


def check_files(store: Store, damaged: set[str]) -> Iterator[str | None]:
    """Checks size and checksum of every shard, and that there are no others.

    Args:
        store: The store.
        damaged: Gets the names of shards that are not what was written.
    """
    expected = {file["name"]: file for file in store.manifest["files"]}
    for name, file in expected.items():
        path = store.folder / name
        damaged.add(name)
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != file["bytes"]:
            yield f"{name}: expected {file['bytes']} bytes, got {path.stat().st_size}"
        elif (digest := hash_file(path)) != file["sha256"]:
            yield f"{name}: expected sha256 {file['sha256']}, got {digest}"
        else:
            damaged.remove(name)
            yield None
    for path in sorted(store.folder.rglob("*")):
        name = path.relative_to(store.folder).as_posix()
        is_shard = ".tfrecord" in name or path.suffix in (".parquet", ".arrow")
        # `datasets` keeps the orders of shuffled data beside what it maps.
        is_cache = path.match("cache-*.arrow")
        if is_shard and not is_cache and name not in expected and name != PATCHES:
            yield f"{name} is not part of the build"


def check_counts(store: Store, records: RecordIndex) -> Iterator[str | None]:
    """Checks that examples, manifest and the format's metadata count the same."""
    lengths = {split: store.rows(split) for split in store.splits}
    if store.format.name == "tfrecord":
        try:
            lengths = _read_shard_lengths(store)
        except (OSError, ValueError, KeyError, TypeError) as cause:
            yield f"dataset_info.json cannot be read: {cause!r}"
            return
    for split in sorted({*store.splits, *lengths, *records.counts}):
        found, counted = records.counts.get(split, 0), store.num_patches(split)
        if found != counted:
            yield f"{split}: {found} rows, manifest {counted}"
        elif lengths.get(split) != store.rows(split):
            yield (
                f"{split}: {found} records in shards of {store.rows(split)}, "
                f"dataset_info.json says {lengths.get(split)}"
            )
        else:
            yield None
    yield from check_descriptions(store)


def check_descriptions(store: Store) -> Iterator[str | None]:
    """Checks the card of a Parquet store, and what describes an Arrow store."""
    if store.format.name == "parquet":
        yield from _check_card(store)
    elif store.format.name == "arrow":
        yield from _check_dict(store)


def _check_card(store: Store) -> Iterator[str | None]:
    """Checks that the card would be written in the same way again.

    Only what `load_dataset` needs of it: people may add to the rest.
    """
    import yaml

    try:
        text = (store.folder / CARD).read_text(encoding="utf-8")
        header = yaml.safe_load(text.split("---\n")[1])
        found = {key: header[key] for key in ("configs", "dataset_info")}
    except (OSError, ValueError, IndexError, KeyError, TypeError, yaml.YAMLError) as e:
        yield f"{CARD} cannot be read: {e!r}"
        return
    expected = make_header(store)
    for key, value in found.items():
        yield None if value == expected[key] else f"{CARD}: {key} are of another build"


def _check_dict(store: Store) -> Iterator[str | None]:
    """Checks what `load_from_disk` reads beside the shards."""
    for name, expected in make_dataset_dict(store).items():
        try:
            found = json.loads((store.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as cause:
            yield f"{name} cannot be read: {cause!r}"
            continue
        yield None if found == expected else f"{name} is of another build"


def _read_shard_lengths(store: Store) -> dict[str, list[int]]:
    """Returns split → examples of each shard, as TensorFlow Datasets has them."""
    info = json.loads((store.folder / "dataset_info.json").read_text())
    return {
        split["name"]: [int(length) for length in split["shardLengths"]]
        for split in info["splits"]
    }


def check_statistics(store: Store, records: RecordIndex) -> Iterator[str | None]:
    """Recomputes the statistics, where the store holds the bands."""
    if not store.config.choice.is_rgb:
        split = str(store.statistics.get("split"))
        expected = records.sums.to_json(split)
        if expected != store.statistics:
            yield f"statistics.json differs from the pixels of {split}"
        else:
            yield None


def check_patch_table(store: Store, records: RecordIndex) -> Iterator[str | None]:
    """Checks the table of patches against the records and the official lists."""
    path = store.folder / PATCHES
    if not path.is_file() or hash_file(path) != store.manifest["patches"]["sha256"]:
        yield f"{path} is missing, or belongs to another build"
        return
    stored = np.zeros(len(records.patches), np.bool_)
    table = pq.ParquetFile(path)
    num_rows, expected = table.metadata.num_rows, store.manifest["patches"].get("rows")
    if num_rows != expected:
        yield f"{path} has {num_rows} rows, manifest {expected}"
    for entry in (e for b in table.iter_batches() for e in b.to_pylist()):
        row = records.patches.find(entry["patch_id"])
        if row is None or records.patches.split(row) != entry["split"]:
            yield f"{entry['patch_id']} is not a patch of {entry['split']}"
            continue
        stored[row] = entry["stored"]
        if entry["stored"] and encode_mask(entry["labels"]) != records.labels[row]:
            yield f"{entry['patch_id']}: the table has other labels than the record"
        elif entry["stored"] != records.found[row]:
            yield f"{entry['patch_id']}: the table has a wrong value of `stored`"
        else:
            yield None
    for stray in np.flatnonzero(records.found & ~stored):
        yield f"{records.patches.patch_id(int(stray))} is stored, but not in the table"


def check_quarantine(store: Store, records: RecordIndex) -> Iterator[str | None]:
    """Checks that the patches that were set aside are listed, and are not stored."""
    listed = read_quarantine(store.folder / QUARANTINE)
    expected = store.manifest["patches"]["quarantined"]
    if len(listed) != expected:
        yield f"{QUARANTINE} has {len(listed)} patches, the manifest says {expected}"
    for bad in listed:
        row = records.patches.find(bad.patch_id)
        is_stored = row is not None and records.found[row]
        yield f"{bad.patch_id} was set aside, and is stored" if is_stored else None


def check_shared_tables(data_dir: Path, stores: list[Store]) -> Iterator[str | None]:
    """Checks that the tables at the top of a data directory are those of a store."""
    known = {store.manifest["patches"]["sha256"] for store in stores}
    for path in sorted(data_dir.glob("patches*.parquet")):
        yield None if hash_file(path) in known else f"{path.name} is of another build"


def check_complete(records: RecordIndex) -> Iterator[str | None]:
    """Checks that every patch of train, validation and test is there."""
    patches = records.patches
    excluded = [patches.release.splits.index(s) for s in patches.release.excluded]
    for row in np.flatnonzero(~np.isin(patches.splits, excluded)):
        yield (
            None if records.found[row] else f"{patches.patch_id(int(row))} is missing"
        )


def check_agreement(records: RecordIndex, other: RecordIndex) -> Iterator[str | None]:
    """Compares every example of two stores of one configuration.

    Args:
        records: What the first one holds.
        other: What the second one holds.

    Raises:
        ShardError: If an example that differs cannot be read.
    """
    names = records.store.format.name, other.store.format.name
    for row in np.flatnonzero(records.found | other.found):
        patch_id = records.patches.patch_id(int(row))
        if not (records.found[row] and other.found[row]):
            where, lacking = names if records.found[row] else names[::-1]
            yield f"{patch_id} is in {where}, not in {lacking}"
        elif np.array_equal(records.digests[:, row], other.digests[:, row]):
            yield None
        else:
            expected, found = records.read(int(row)), other.read(int(row))
            schema = records.store.config.schema
            shared = {feature.name: expected[feature.name] for feature in schema}
            problems = list(compare_examples(shared, found))
            yield f"{patch_id}: {'; '.join(problems)} ({' and '.join(names)})"

"""Reads patches of a finished store back, as what archives say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.errors import ShardError
from bigearthnet.formats.arrow import map_table
from bigearthnet.formats.columns import decode_feature
from bigearthnet.formats.parquet import read_footer, read_row_group
from bigearthnet.formats.tfrecord.decode import (
    find_bytes,
    locate_features,
    read_integers,
)
from bigearthnet.formats.tfrecord.framing import RecordFile
from bigearthnet.schema.configs import Config
from bigearthnet.schema.examples import PatchContent
from bigearthnet.schema.features import Feature
from bigearthnet.store.remote import AnyStore
from bigearthnet.util.files import hash_file
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.wording import count_of

# Kinds of features that are fields of a patch.
_FIELD_KINDS = ("text", "integer", "bool", "class")

# Shape (patch,): the patches of a shard that are wanted, ascending.
Rows = npt.NDArray[np.integer[Any]]


def read_stored(
    store: AnyStore,
    split: str,
    places: npt.NDArray[np.void],
    patch_ids: Sequence[str],
    *,
    is_checked: bool,
) -> Iterator[PatchContent]:
    """Yields patches of a split, in order; of tables, only row groups that have some.

    Args:
        store: The store, which has bands.
        split: The split.
        places: Where they are, ascending: `bucket` is the shard, `offset` the row;
            shape (patch,).
        patch_ids: Which patches must be there.
        is_checked: Whether a shard must have the checksum that the manifest says, also
            where every part of it that is read has one of its own.

    Raises:
        ShardError: If a shard is damaged, or holds other patches.
        StoreError, DownloadError: If a shard is missing, or cannot be had.
    """
    files, paths, first = store.files(split), store.shards(split), 0
    for shard in np.unique(places["bucket"]).tolist():
        rows = places["offset"][places["bucket"] == shard].astype(np.int64)
        path, expected = paths[shard], files[shard]
        if isinstance(path, Path) and (is_checked or store.format.name == "arrow"):
            _check_file(path, expected["sha256"])
        ids = patch_ids[first : first + len(rows)]
        found = _read_shard(store, path, expected["rows"], rows)
        for patch_id, row, patch in zip(ids, rows, found, strict=True):
            if patch.patch_id != patch_id:
                raise ShardError(
                    f"{path} does not hold the patches that its table of patches says, "
                    f"in the order of their keys: row {row:,} is {patch.patch_id}, "
                    f"expected {patch_id}. Build or publish it again."
                )
            yield patch
        first += len(rows)


def _check_file(path: Path, expected: str) -> None:
    if (found := hash_file(path)) != expected:
        raise ShardError(
            f"{path} is damaged: expected sha256 {expected}, got {found}. Build or "
            "download it again."
        )


def _read_shard(
    store: AnyStore, path: Path | RemotePath, num_rows: int, rows: Rows
) -> Iterator[PatchContent]:
    wanted = _choose_features(store.config, store.features)
    if store.format.name == "tfrecord":
        assert isinstance(path, Path)
        return _read_records(path, num_rows, rows, store.config, wanted)
    names = [feature.name.replace("/", ".") for feature in wanted]
    if store.format.name == "parquet":
        tables = _read_row_groups(path, num_rows, rows, names)
    else:
        assert isinstance(path, Path)
        tables = _read_batches(path, num_rows, rows)
    return _read_rows(tables, store.config, wanted)


def _choose_features(config: Config, stored: Sequence[Feature]) -> list[Feature]:
    """Returns the features that say all of a patch; others follow from them."""
    names = {group.name for group in config.groups}
    names.add(config.release.label_sets[0].ids)
    return [f for f in stored if f.kind in _FIELD_KINDS or f.name in names]


def _make_patch(config: Config, values: dict[str, Any]) -> PatchContent:
    """Takes the values of the features apart."""
    labels = tuple(values.pop(config.release.label_sets[0].ids))
    groups = {group.name: values.pop(group.name) for group in config.groups}
    return PatchContent(values["patch_id"], labels, values, groups)


def _read_rows(
    tables: Iterator[tuple[pa.Table, Rows]], config: Config, wanted: Sequence[Feature]
) -> Iterator[PatchContent]:
    """Yields some rows of each table."""
    ids = config.release.label_sets[0].ids
    for table, rows in tables:
        columns: dict[str, Any] = {}
        for feature in wanted:
            columns[feature.name] = decode_feature(table, feature)
            if feature.kind in _FIELD_KINDS:
                columns[feature.name] = columns[feature.name].tolist()
        for row in rows.tolist():
            values = {name: column[row] for name, column in columns.items()}
            yield _make_patch(config, {**values, ids: values[ids].tolist()})


def _read_row_groups(
    path: Path | RemotePath, num_rows: int, rows: Rows, names: Sequence[str]
) -> Iterator[tuple[pa.Table, Rows]]:
    """Yields the row groups of a Parquet file that have wanted rows, with these."""
    footer = read_footer(path)
    groups = range(footer.num_row_groups)
    counts = [footer.row_group(group).num_rows for group in groups]
    for group, chosen in _find_tables(path, counts, num_rows, rows):
        yield read_row_group(path, footer, group, names), chosen


def _read_batches(
    path: Path, num_rows: int, rows: Rows
) -> Iterator[tuple[pa.Table, Rows]]:
    """Yields the record batches of an Arrow file that have wanted rows, with these."""
    batches = map_table(path).to_batches()
    counts = [batch.num_rows for batch in batches]
    for number, chosen in _find_tables(path, counts, num_rows, rows):
        yield pa.Table.from_batches([batches[number]]), chosen


def _find_tables(
    path: Path | RemotePath, counts: Sequence[int], num_rows: int, rows: Rows
) -> Iterator[tuple[int, Rows]]:
    """Yields the number of each table that has wanted rows, and these, in the table."""
    if sum(counts) != num_rows:
        raise ShardError(
            f"{path} has {count_of(sum(counts), 'patch')}: expected {num_rows:,}, as "
            "its "
            "manifest says. Build or publish it again."
        )
    first = 0
    for number, count in enumerate(counts):
        chosen = rows[(rows >= first) & (rows < first + count)] - first
        if len(chosen):
            yield number, chosen
        first += count


def _read_records(
    path: Path,
    num_records: int,
    rows: Rows,
    config: Config,
    wanted: Sequence[Feature],
) -> Iterator[PatchContent]:
    """Yields some records of a TFRecord file, each of which has a checksum."""
    records = RecordFile(path, num_records)
    names = {feature.name.encode(): feature for feature in wanted}
    with records.open() as file:
        for row in rows.tolist():
            data = records.read_data(file, row)
            try:
                found = locate_features(data, len(data), names)
                values = {
                    names[key].name: _decode_value(data, start, stop, names[key])
                    for key, (start, stop) in found.items()
                }
            except ValueError as cause:  # an ExampleError, too
                raise records.damaged(row, str(cause)) from None
            yield _make_patch(config, values)


def _decode_value(data: bytes, start: int, stop: int, feature: Feature) -> Any:
    """Decodes a serialized tf.train.Feature.

    Raises:
        ValueError: If it is something else.
    """
    if feature.kind in ("tensor", "text"):
        start, stop = find_bytes(data, start, stop)
        if feature.kind == "text":
            return data[start:stop].decode()
        dtype = np.dtype(feature.dtype).newbyteorder("<")
        return np.frombuffer(data[start:stop], dtype).reshape(feature.shape)
    numbers = read_integers(data, start, stop)
    if feature.kind == "classes":
        return numbers
    (number,) = numbers
    return bool(number) if feature.kind == "bool" else number

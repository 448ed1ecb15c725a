"""Reads the patches of a finished Parquet shard back, as what archives say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bigearthnet.errors import ShardError
from bigearthnet.formats.columns import decode_feature
from bigearthnet.formats.parquet import read_footer, read_row_group
from bigearthnet.schema.configs import Config
from bigearthnet.schema.examples import PatchContent
from bigearthnet.util.remote import RemotePath

# Kinds of features that are fields of a patch.
_FIELD_KINDS = ("text", "integer", "bool", "class")


def read_stored(
    path: Path | RemotePath, config: Config, patch_ids: Sequence[str]
) -> Iterator[PatchContent]:
    """Yields the patches of a shard, in order.

    Args:
        path: The shard.
        config: The configuration that it is of.
        patch_ids: The patches that it must hold.

    Raises:
        ShardError: If it is damaged, or holds other patches.
        StoreError, DownloadError: If a shard at a URL is missing, or cannot be had.
    """
    footer, first = read_footer(path), 0
    if footer.num_rows != len(patch_ids):
        raise ShardError(
            f"{path} has {footer.num_rows:,} patches: expected {len(patch_ids):,}, as "
            "its manifest and table of patches say. Build or publish it again."
        )
    ids = config.release.label_sets[0].ids
    fields = [f.name for f in config.columns if f.kind in _FIELD_KINDS]
    groups = [group.name for group in config.groups]
    wanted = [f for f in config.columns if f.name in {*fields, *groups, ids}]
    names = [feature.name.replace("/", ".") for feature in wanted]
    for number in range(footer.num_row_groups):
        table = read_row_group(path, footer, number, names)
        arrays = {feature.name: decode_feature(table, feature) for feature in wanted}
        values = {name: arrays[name].tolist() for name in fields}
        if values["patch_id"] != list(patch_ids[first : first + table.num_rows]):
            raise ShardError(
                f"{path} does not hold the patches that its table of patches says, in "
                f"the order of their keys, from row {first:,} on. Build or publish it "
                "again."
            )
        first += table.num_rows
        for row in range(table.num_rows):
            yield PatchContent(
                values["patch_id"][row],
                tuple(arrays[ids][row].tolist()),
                {name: column[row] for name, column in values.items()},
                {name: arrays[name][row] for name in groups},
            )

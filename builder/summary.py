"""What a build did, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bigearthnet.source.litter import describe
from bigearthnet.source.patch import PlaceCounts
from bigearthnet.store import QUARANTINE
from bigearthnet.store.quarantine import describe_reasons
from bigearthnet.store.result import BuildResult
from bigearthnet.util.remote import SomePlace
from bigearthnet.util.wording import count_of
from builder.table import format_table


def summarize(result: BuildResult, targets: Mapping[str, SomePlace]) -> str:
    """Returns what a build did, for people.

    Args:
        result: What was read and written.
        targets: Name of each store → its folder.
    """
    release = result.config.release
    rows = []
    found = {shard.split for shard in result.shards}
    for form in targets:
        for split in release.splits:
            shards = [shard for shard in result.shards if shard.split == split]
            if shards:
                nbytes = sum(shard.files[form].nbytes for shard in shards)
                patches = sum(shard.num_patches for shard in shards)
                rows.append((form, split, patches, len(shards), nbytes / 1e6))
    lines = [format_table(("store", "split", "patches", "shards", "MB"), rows)]
    read, stored = int(result.read.sum()), int(result.stored.sum())
    lines.append(
        f"{read:,} of the {release.num_patches:,} patches of {release.name} read, "
        f"{stored:,} stored in {', '.join(str(path) for path in targets.values())}"
    )
    if tables := {n: f for n, f in targets.items() if n.startswith("parquet")}:
        lines.append(_describe_columns(tables, result))
    if result.num_synthetic:
        lines.append(f"{result.num_synthetic:,} of them are SYNTHETIC, not real")
    lines += _describe_left_out(result)
    if result.quarantine:
        lines.append(
            f"set aside: {count_of(len(result.quarantine), 'bad patch')}; see "
            f"{targets[next(iter(targets))] / QUARANTINE}: "
            f"{describe_reasons(result.quarantine)}"
        )
    for source in result.sources:
        if source.litter:
            lines.append(
                f"{source.filename} holds more than was asked for, which was not "
                f"read: {describe(source.litter)}"
            )
        lines += _describe_places(source.places)
        if source.nbytes is not None and source.sha256 is None:
            lines.append(
                f"{source.filename} was read in parts, or not to its end, so that its "
                "checksum is not checked"
            )
    absent = [split for split in release.kept_splits if split not in found]
    if absent:
        lines.append(f"without a patch, and so left out: {', '.join(absent)}")
    return "\n".join(lines)


def _describe_left_out(result: BuildResult) -> Iterator[str]:
    """Says why good patches that were read are not stored."""
    release = result.config.release
    splits = result.patches.splits[result.read & ~result.stored]
    is_excluded = np.isin(release.splits, release.excluded)[splits]
    if excluded := int(is_excluded.sum()):
        # Of a store that says which patches there are, no option has others.
        is_given = result.origin or result.is_beside
        hint = "" if is_given else " (--include_excluded stores them)"
        yield f"not stored, of {', '.join(release.excluded)}: {excluded:,}{hint}"
    if others := len(splits) - excluded:
        yield f"not stored, since --countries or --limit leaves them out: {others:,}"


def _describe_places(places: PlaceCounts) -> Iterator[str]:
    """Says what is doubtful about where patches lie."""
    if places.shifted:
        yield (
            f"patches whose bands lie up to {places.max_shift_m:g} m from where their "
            f"JSON says, which is less than a pixel: {places.shifted:,}"
        )
    if places.unplaced:
        yield (
            "patches with bands that do not say where they lie, so that this was not "
            f"compared: {places.unplaced:,}"
        )


def _describe_columns(tables: Mapping[str, SomePlace], result: BuildResult) -> str:
    """Says what bands, preview and the rest take in Parquet stores."""
    from bigearthnet.formats.parquet import column_sizes

    paths = (f / s.files[n].name for s in result.shards for n, f in tables.items())
    sizes = column_sizes(paths)
    num_patches = sum(shard.num_patches for shard in result.shards)
    total, preview = sum(sizes.values()), sizes.get("preview", 0)
    bands = sum(sizes[group.name] for group in result.config.groups)
    # Sentinel-1 has no preview.
    parts = {"bands": bands, "preview": preview, "metadata": total - bands - preview}
    texts = [f"{k} {n / num_patches / 1e3:.1f} kB" for k, n in parts.items() if n]
    return f"a patch takes in Parquet: {', '.join(texts)}"

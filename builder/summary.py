"""What a build did, for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bigearthnet.engine.pipeline import BuildResult
from bigearthnet.release import V1, Release
from bigearthnet.release.splits import SPLITS
from bigearthnet.store import QUARANTINE
from builder.table import format_table


def summarize(
    result: BuildResult, targets: Mapping[str, Path], release: Release = V1
) -> str:
    """Returns what a build did, for people.

    Args:
        result: What was read and written.
        targets: Name of each format → the folder of its store.
        release: What the source is.
    """
    rows = []
    found = {shard.split for shard in result.shards}
    for form in targets:
        for split in SPLITS:
            shards = [shard for shard in result.shards if shard.split == split]
            if shards:
                nbytes = sum(shard.files[form].nbytes for shard in shards)
                patches = sum(shard.num_patches for shard in shards)
                rows.append((form, split, patches, len(shards), nbytes / 1e6))
    lines = [format_table(("format", "split", "patches", "shards", "MB"), rows)]
    read, stored = int(result.index.read.sum()), int(result.index.stored.sum())
    lines.append(
        f"{read:,} of the {release.num_patches:,} patches of {release.name} read, "
        f"{stored:,} stored in {', '.join(str(path) for path in targets.values())}"
    )
    if "parquet" in targets:
        lines.append(_describe_columns(targets["parquet"], stored))
    if result.index.num_synthetic:
        lines.append(f"{result.index.num_synthetic:,} of them are SYNTHETIC, not real")
    if result.quarantine:
        lines.append(
            f"{len(result.quarantine):,} bad patches were set aside; see "
            f"{targets[next(iter(targets))] / QUARANTINE}"
        )
    if result.source_nbytes is not None and result.source_sha256 is None:
        lines.append("the source was not read to its end: its checksum is not checked")
    absent = [split for split in SPLITS if split not in {*found, "excluded"}]
    if absent:
        lines.append(f"without a patch, and so left out: {', '.join(absent)}")
    return "\n".join(lines)


def _describe_columns(folder: Path, num_patches: int) -> str:
    """Says what bands, preview and the rest take in a Parquet store."""
    from bigearthnet.formats.parquet import column_sizes

    sizes = column_sizes(sorted(folder.rglob("s2/*.parquet")))
    total, preview = sum(sizes.values()), sizes["preview"]
    bands = sum(size for name, size in sizes.items() if name.startswith("bands_"))
    parts = (bands, preview, total - bands - preview)
    texts = [f"{size / num_patches / 1e3:.1f} kB" for size in parts]
    return (
        f"a patch takes in Parquet: bands {texts[0]}, preview {texts[1]}, "
        f"metadata {texts[2]}"
    )

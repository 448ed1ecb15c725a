"""What a finished build says of itself: files, patches, statistics, provenance.

`manifest.json` and `patches.parquet` depend on the patches (and on the versions of the
writing packages) alone; `provenance.json` holds everything else.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.config import DATA_VERSION, Config
from bigearthnet.encoding.pipeline import STATISTICS_SPLIT, BuildResult
from bigearthnet.encoding.spool import SpoolIndex
from bigearthnet.patch_index import PatchIndex
from bigearthnet.release import Release
from bigearthnet.splits import SPLITS

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
STATISTICS = "statistics.json"
PATCHES = "patches.parquet"

_PATCHES_SCHEMA = pa.schema(
    [
        pa.field("patch_id", pa.string(), nullable=False),
        pa.field("labels", pa.list_(pa.uint8()), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("stored", pa.bool_(), nullable=False),
    ]
)

# Rows of a row group of patches.parquet.
_ROW_GROUP = 65_536


def make_patches_table(index: SpoolIndex, patches: PatchIndex) -> pa.Table:
    """Returns one row for every patch that was read, sorted by patch id.

    Returns:
        Columns `patch_id`, `labels` (ascending CLC43 ids), `split` (its split in the
        scheme, `excluded` included) and `stored`.
    """
    rows = np.flatnonzero(index.read)
    bits = (index.labels[rows, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    ends = np.cumsum(bits.sum(axis=1), dtype=np.int32)
    ids = np.nonzero(bits)[1].astype(np.uint8)
    names = pa.array(SPLITS).take(pa.array(index.split[rows]))
    return pa.table(
        [
            patches.patch_ids(rows),
            pa.ListArray.from_arrays(np.concatenate([[0], ends]).astype(np.int32), ids),
            names,
            pa.array(index.stored[rows]),
        ],
        schema=_PATCHES_SCHEMA,
    )


def write_patches(index: SpoolIndex, patches: PatchIndex, path: Path) -> None:
    """Writes `patches.parquet`; it appears whole or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    table = make_patches_table(index, patches)
    # An open file: given a path, pyarrow would take a leading ~ for the home folder.
    with unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP)
    unfinished.rename(path)


def make_manifest(
    result: BuildResult, config: Config, release: Release, patches_file: Path
) -> dict[str, object]:
    """Returns what `manifest.json` holds.

    Args:
        result: The finished build.
        config: What was stored.
        release: What the source is.
        patches_file: The written `patches.parquet`.
    """
    splits: dict[str, dict[str, int]] = {}
    for shard in result.shards:
        split = splits.setdefault(shard.split, {"rows": 0, "shards": 0, "bytes": 0})
        split["rows"] += shard.num_patches
        split["shards"] += 1
        split["bytes"] += shard.nbytes
    return {
        "dataset": "bigearthnet",
        "release": release.name,
        "config": config.name,
        "version": DATA_VERSION,
        "format": "tfrecord",
        "split_scheme": config.scheme,
        "splits": splits,
        "files": [
            {
                "name": shard.name,
                "split": shard.split,
                "rows": shard.num_patches,
                "bytes": shard.nbytes,
                "sha256": shard.sha256,
            }
            for shard in result.shards
        ],
        "patches": {
            "rows": int(result.index.read.sum()),
            "stored": int(result.index.stored.sum()),
            "synthetic": result.index.num_synthetic,
            "sha256": hash_file(patches_file),
        },
        "writers": _writer_versions(config),
    }


def _writer_versions(config: Config) -> dict[str, str]:
    """Versions of the packages whose version the stored bytes may depend on."""
    packages = ["pyarrow"]
    if any(feature.kind == "image" for feature in config.schema):
        packages.append("pillow")
    return {package: metadata.version(package) for package in packages}


def make_provenance(
    result: BuildResult, source: str, seconds: float
) -> dict[str, object]:
    """Returns what `provenance.json` holds: where, when and by what it was made."""
    return {
        "source": source,
        "source_bytes": result.source_nbytes,
        "source_sha256": result.source_sha256,
        "command": sys.argv,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def write_json(content: dict[str, object], path: Path) -> None:
    """Writes JSON for people and programs; it appears whole or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)


def write_records(
    folder: Path,
    result: BuildResult,
    *,
    config: Config,
    release: Release,
    patches: PatchIndex,
    source: str,
    seconds: float,
) -> None:
    """Writes table of patches, manifest, statistics and provenance beside the shards.

    Args:
        folder: The folder of the shards.
        result: The finished build.
        config: What was stored.
        release: What the source is.
        patches: The release's patches in the config's split scheme.
        source: Name of the source.
        seconds: How long the build took.
    """
    table = folder / PATCHES
    write_patches(result.index, patches, table)
    write_json(make_manifest(result, config, release, table), folder / MANIFEST)
    write_json(result.sums.to_json(STATISTICS_SPLIT), folder / STATISTICS)
    write_json(make_provenance(result, source, seconds), folder / PROVENANCE)


def hash_file(path: Path) -> str:
    """Returns the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

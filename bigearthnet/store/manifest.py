"""What a finished build says of itself: files, patches, statistics, provenance.

`manifest.json` and `patches.parquet` depend on the patches (and on the versions of the
writing packages) alone; `provenance.json` holds everything else.
"""

from __future__ import annotations

import datetime
import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.engine.pipeline import STATISTICS_SPLIT, BuildResult
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.formats import FORMATS
from bigearthnet.release import Release
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.splits import SPLITS
from bigearthnet.schema.configs import DATA_VERSION, Config
from bigearthnet.store import (
    MANIFEST,
    PATCHES,
    PROVENANCE,
    QUARANTINE,
    STATISTICS,
)
from bigearthnet.store.compatibility import describe_facts
from bigearthnet.store.quarantine import write_quarantine
from bigearthnet.util.files import DurableFile, hash_file, write_json

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
    table = make_patches_table(index, patches)
    with DurableFile(path.parent, path.name) as file:
        pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP)
        file.finish()


def make_manifest(
    result: BuildResult,
    form: str,
    config: Config,
    release: Release,
    patches_file: Path,
) -> dict[str, object]:
    """Returns what the `manifest.json` of one store holds.

    Args:
        result: The finished build.
        form: Name of the store's format.
        config: What was stored.
        release: What the source is.
        patches_file: The written `patches.parquet`.
    """
    splits: dict[str, dict[str, int]] = {}
    files = []
    for shard in result.shards:
        file = shard.files[form]
        split = splits.setdefault(shard.split, {"rows": 0, "shards": 0, "bytes": 0})
        split["rows"] += shard.num_patches
        split["shards"] += 1
        split["bytes"] += file.nbytes
        files.append(
            {
                "name": file.name,
                "split": shard.split,
                "rows": shard.num_patches,
                "bytes": file.nbytes,
                "data_bytes": file.data_nbytes,
                "sha256": file.sha256,
            }
        )
    return {
        "dataset": "bigearthnet",
        "release": release.name,
        "config": config.name,
        "version": DATA_VERSION,
        "format": form,
        "split_scheme": config.scheme,
        "facts": describe_facts(),
        "splits": splits,
        "files": files,
        "patches": {
            "rows": int(result.index.read.sum()),
            "stored": int(result.index.stored.sum()),
            "synthetic": result.index.num_synthetic,
            "quarantined": len(result.quarantine),
            "sha256": hash_file(patches_file),
        },
        "writers": _writer_versions(config, form),
    }


def _writer_versions(config: Config, form: str) -> dict[str, str]:
    """Versions of the packages whose version the stored bytes may depend on."""
    packages = ["pyarrow"]
    schema = config.columns if FORMATS[form].has_columns else config.schema
    if any(feature.kind == "image" for feature in schema):
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


def write_records(
    folder: Path,
    result: BuildResult,
    *,
    form: str,
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
        form: Name of the store's format.
        config: What was stored.
        release: What the source is.
        patches: The release's patches in the config's split scheme.
        source: Name of the source.
        seconds: How long the build took.
    """
    if result.quarantine:
        write_quarantine(result.quarantine, folder / QUARANTINE)
    table = folder / PATCHES
    write_patches(result.index, patches, table)
    write_json(make_manifest(result, form, config, release, table), folder / MANIFEST)
    write_json(result.sums.to_json(STATISTICS_SPLIT), folder / STATISTICS)
    write_json(make_provenance(result, source, seconds), folder / PROVENANCE)

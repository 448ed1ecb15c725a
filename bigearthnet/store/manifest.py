"""Describes a finished store: files, patches, statistics, provenance.

`manifest.json` and `patches.parquet` depend on the patches (and on the versions of the
writing packages) alone; `provenance.json` holds everything else.
"""

from __future__ import annotations

import datetime
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.formats import FORMATS
from bigearthnet.schema.configs import Config
from bigearthnet.store import (
    MANIFEST,
    PATCHES,
    PROVENANCE,
    QUARANTINE,
    STATISTICS,
)
from bigearthnet.store.compatibility import describe_meaning
from bigearthnet.store.quarantine import write_quarantine
from bigearthnet.store.result import BuildResult
from bigearthnet.store.scenes import make_scene_columns
from bigearthnet.store.statistics import STATISTICS_SPLIT
from bigearthnet.util.files import DurableFile, hash_file, write_json

# Rows of a row group of patches.parquet.
_ROW_GROUP = 65_536


def make_patches_table(result: BuildResult) -> pa.Table:
    """Returns one row for every patch that was read, sorted by patch id.

    Returns:
        Columns `patch_id`, `labels` (ascending class ids of the release's
        nomenclature), `split` (its split in the scheme, excluded ones included) and
        `stored`; and of what the release has, `country` and `season` (names), flags
        (bool), `date` (of sensing, UTC), `epsg`, `ulx` and `uly` (west and north edge,
        metres in that zone).
    """
    rows, patches = np.flatnonzero(result.read), result.patches
    bits = (result.labels[rows, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    ends = np.cumsum(bits.sum(axis=1), dtype=np.int32)
    ids = np.nonzero(bits)[1].astype(np.uint8)
    names = pa.array(patches.release.splits).take(pa.array(patches.splits[rows]))
    starts = np.concatenate([[0], ends]).astype(np.int32)
    columns = {
        "patch_id": patches.patch_ids(rows),
        "labels": pa.ListArray.from_arrays(starts, ids),
        "split": names,
        "stored": pa.array(result.stored[rows]),
        **_make_facts(result, rows),
    }
    scenes = make_scene_columns(result.scenes[rows], patches.release)
    columns |= scenes
    fields = [
        pa.field(name, column.type, nullable=name in scenes)
        for name, column in columns.items()
    ]
    return pa.table([*columns.values()], schema=pa.schema(fields))


def _make_facts(result: BuildResult, rows: npt.NDArray[np.intp]) -> dict[str, pa.Array]:
    """Returns what the release's table says of patches: names, and flags."""
    columns: dict[str, pa.Array] = {}
    for feature in result.config.schema:
        values = result.patches.column(feature.name)
        if values is not None and feature.kind == "class":
            columns[feature.name] = pa.array(feature.labels).take(
                pa.array(values[rows])
            )
        elif values is not None and feature.kind == "bool":
            columns[feature.name] = pa.array(values[rows])
    return columns


def write_patches(result: BuildResult, path: Path) -> None:
    """Writes `patches.parquet`; it appears whole or not at all."""
    table = make_patches_table(result)
    with DurableFile(path.parent, path.name) as file:
        pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP)
        file.finish()


def make_manifest(
    result: BuildResult, form: str, patches_file: Path
) -> dict[str, object]:
    """Returns what the `manifest.json` of one store holds.

    Args:
        result: The finished build.
        form: Name of the store's format.
        patches_file: The written `patches.parquet`.
    """
    splits: dict[str, dict[str, Any]] = {}
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
    for name, digest in result.ids_sha256.items():
        splits[name]["ids_sha256"] = digest
    config = result.config
    return {
        "dataset": "bigearthnet",
        "release": config.release.name,
        "config": config.name,
        "version": config.release.data_version,
        "format": form,
        "split_scheme": config.choice.scheme,
        "facts": describe_meaning(config),
        "splits": splits,
        "files": files,
        "patches": {
            "rows": int(result.read.sum()),
            "stored": int(result.stored.sum()),
            "synthetic": result.num_synthetic,
            "quarantined": len(result.quarantine),
            "sha256": hash_file(patches_file),
        },
        "writers": _writer_versions(config, form),
    }


def _writer_versions(config: Config, form: str) -> dict[str, str]:
    """Versions of the packages whose version the stored bytes may depend on."""
    packages = ["pyarrow"]
    if any(feature.kind == "image" for feature in FORMATS[form].features(config)):
        packages.append("pillow")
    return {package: metadata.version(package) for package in packages}


def make_provenance(result: BuildResult, seconds: float) -> dict[str, object]:
    """Returns what `provenance.json` holds: where, when and by what it was made.

    Args:
        result: The finished build.
        seconds: How long it took.
    """
    first, *others = result.sources
    return {
        "source": first.filename,
        "source_bytes": first.nbytes,
        "source_sha256": first.sha256,
        **(
            {"source_store": result.origin}
            if result.origin
            else {
                "source_litter": dict(first.litter),
                "source_places": asdict(first.places),
            }
        ),
        **({"other_sources": list(map(asdict, others))} if others else {}),
        "command": sys.argv,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def write_descriptions(
    folder: Path, result: BuildResult, form: str, seconds: float
) -> None:
    """Writes table of patches, manifest, statistics and provenance beside the shards.

    Args:
        folder: The folder of the shards.
        result: The finished build.
        form: Name of the store's format.
        seconds: How long the build took.
    """
    if result.quarantine:
        write_quarantine(result.quarantine, folder / QUARANTINE)
    table = folder / PATCHES
    write_patches(result, table)
    write_json(make_manifest(result, form, table), folder / MANIFEST)
    write_json(result.sums.to_json(STATISTICS_SPLIT), folder / STATISTICS)
    write_json(make_provenance(result, seconds), folder / PROVENANCE)

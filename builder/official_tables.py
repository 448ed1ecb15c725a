"""The official tables of v2.0 → the package's table of its patches.

The tables are `metadata.parquet` (patches without snow, clouds and shadow) and
`metadata_for_patches_with_snow_cloud_or_shadow.parquet` of Zenodo record 10891137.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bigearthnet.errors import ChecksumError, OptionError
from bigearthnet.release import V2, splits
from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.release.patch_ids import find_time
from builder.checksums import find_table, read_table

_TABLES = "official_tables.tsv"
# Column of the package's table that holds the prefixes of a name → column of the
# official ones that has the name.
_NAMES = {"prefix": "patch_id", "s1_prefix": "s1_name", "s2v1_prefix": "s2v1_name"}
_PARTS = r"^(?P<prefix>.+)_(?P<column>\d+)_(?P<row>\d+)$"


def read_tables(folder: Path, checksums: Path | None = None) -> tuple[pa.Table, ...]:
    """Reads the official tables and checks both.

    Args:
        folder: The folder that holds them.
        checksums: Table of file, rows and sha256; None for that of this clone.

    Returns:
        The patches without snow, clouds and shadow; the others.

    Raises:
        ChecksumError: If a table is not byte for byte the official one.
        OptionError: If one is not there.
    """
    tables = []
    for row in read_table(checksums or find_table(_TABLES)):
        path = folder / row["file"]
        if not path.is_file():
            raise OptionError(
                f"there is no {path}: expected the official table. Download it from "
                "https://zenodo.org/records/10891137."
            )
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != row["sha256"]:
            raise ChecksumError(
                f"{path} is not the official table: expected sha256 {row['sha256']}, "
                f"got {digest}. Download it again."
            )
        tables.append(pq.read_table(io.BytesIO(content)))
    return tuple(tables)


def make_table(clean: pa.Table, excluded: pa.Table) -> pa.Table:
    """Makes the compact table that `splits.read_table` reads.

    Args:
        clean: The official table of patches without snow, clouds and shadow.
        excluded: The one of the others.

    Returns:
        One row per patch, sorted by patch id: prefixes of the three names (dictionary),
        `column` and `row` of the patch in its tile, `official_split` (index into
        `Release.splits`), `season` (into SEASONS), `country` (into COUNTRIES), all
        uint8, two flags, and `ben19` (bits of class ids), uint32.

    Raises:
        ValueError: If the names of a patch do not share their numbers, or a split,
            country or label is new.
    """
    codes = [_find(clean["split"], V2.kept_splits)]
    codes.append(len(V2.kept_splits) + _find(excluded["split"], V2.kept_splits))
    table = pa.concat_tables([clean, excluded]).combine_chunks()
    table = table.append_column("code", pa.array(np.concatenate(codes)))
    table = table.sort_by("patch_id")
    names = {name: _split(table[column]) for name, column in _NAMES.items()}
    _, numbers, _ = names.values()
    if any(not found[1].equals(numbers[1]) for found in names.values()):
        raise ValueError("expected the names of a patch to share their numbers.")
    prefixes = {name: found[0].dictionary_encode() for name, found in names.items()}
    column, row = numbers[1].columns
    return pa.table(
        {
            "prefix": prefixes["prefix"],
            "column": column,
            "row": row,
            **{name: prefixes[name] for name in ("s1_prefix", "s2v1_prefix")},
            "official_split": table["code"],
            "season": _find_seasons(prefixes["prefix"]),
            "country": pa.array(_find(table["country"], splits.COUNTRIES)),
            "contains_seasonal_snow": table["contains_seasonal_snow"],
            "contains_cloud_or_shadow": table["contains_cloud_or_shadow"],
            "ben19": _encode_labels(table["labels"]),
        }
    )


def _split(names: pa.ChunkedArray) -> tuple[pa.Array, pa.Table]:
    """Returns the prefixes of names, and their numbers, columns `column` and `row`."""
    parts = pc.extract_regex(names.combine_chunks(), _PARTS)
    numbers = {n: parts.field(n).cast(pa.uint8()) for n in ("column", "row")}
    return parts.field("prefix"), pa.table(numbers)


def _find(values: pa.ChunkedArray, known: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Returns the index of each text among some known ones."""
    found = pc.index_in(values, pa.array(known))
    if found.null_count:
        raise ValueError(
            f"expected one of {known}, got {values.filter(found.is_null())[0]}"
        )
    return found.to_numpy().astype(np.uint8)


def _find_seasons(prefixes: pa.DictionaryArray) -> pa.Array:
    months = [int(find_time(name)[5:7]) for name in prefixes.dictionary.to_pylist()]
    seasons = pa.array([month % 12 // 3 for month in months], pa.uint8())
    return seasons.take(prefixes.indices)


def _encode_labels(labels: pa.ChunkedArray) -> pa.Array:
    ids = V2.nomenclature
    masks = [encode_mask(ids.encode(names)) for names in labels.to_pylist()]
    return pa.array(masks, pa.uint32())

r"""Makes the package's table of patch facts from what is officially published.

Those of v1.0 are lists that come with the PyPI package `bigearthnet-common` (extra
`[sample]`), those of v2.0 two tables of Zenodo record 10891137. They are checked
against `checksums/official_*.tsv` before anything is written.

Example:
  python -m builder.patch_table --output=bigearthnet/data/patches_v1.parquet
  python -m builder.patch_table --release=v2.0 --tables=downloads \
      --output=bigearthnet/data/patches_v2.parquet
"""

from __future__ import annotations

import bz2
import csv
import hashlib
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from absl import flags

from bigearthnet.errors import ChecksumError, OptionError
from bigearthnet.release import V1, V2, splits
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.util import command
from builder import official_tables, sample
from builder.checksums import find_table, read_table

_LISTS = "official_lists.tsv"


def read_lists(checksums: Path | None = None) -> dict[str, list[str]]:
    """Reads the official lists and checks every one of them.

    Args:
        checksums: Table of list, file, rows and sha256; None for that of this clone.

    Returns:
        Name of the list → its lines, without CR or LF.

    Raises:
        ChecksumError: If a list is not byte for byte the official one.
        OptionError: If the lists are not installed.
    """
    lists = {}
    for row in read_table(checksums or find_table(_LISTS)):
        path = sample.package_file(f"bigearthnet_common/{row['file']}.bz2")
        content = bz2.decompress(path.read_bytes())
        digest = hashlib.sha256(content).hexdigest()
        if digest != row["sha256"]:
            raise ChecksumError(
                f"{path.name} is not the official list: expected sha256 "
                f"{row['sha256']}, got {digest}. Install the version of "
                f"{sample.PACKAGE} that setup.cfg names."
            )
        lists[row["list"]] = content.decode("ascii").split()
    return lists


def make_table(lists: dict[str, list[str]]) -> pa.Table:
    """Makes the compact table that `splits.load_table` reads.

    Args:
        lists: The official lists, as `read_lists` returns them.

    Returns:
        One row per patch, sorted by patch id: `prefix` and `s1_prefix` (dictionary),
        `column` and `row` of the patch in its tile, `official_split` and `random_split`
        (index into `Release.splits`), `season` (into SEASONS), `country` (into
        COUNTRIES), all uint8, and three flags.

    Raises:
        ValueError: If the lists are of another release: a patch's S1 and S2 names do
            not share their numbers, or a country is new.
    """
    rows = sorted(csv.DictReader(lists["patches"]), key=lambda row: row["s2_name"])
    names = [row["s2_name"] for row in rows]
    prefixes, numbers = zip(*(_split_name(name) for name in names), strict=True)
    s1_prefixes, s1_numbers = zip(
        *(_split_name(row["s1_name"]) for row in rows), strict=True
    )
    if numbers != s1_numbers:
        raise ValueError("expected S1 and S2 names of a patch to share their numbers.")
    snow, cloud, no_ben19 = (
        _listed(names, lists[name])
        for name in ("seasonal_snow", "cloud_or_shadow", "no_ben19")
    )
    excluded = V1.splits.index("excluded")
    official = np.full(len(names), excluded, np.uint8)
    for code, name in enumerate(V1.kept_splits):
        official[_listed(names, lists[name])] = code
    patch_ids = pa.array(names)
    seasons = {p: _season(PatchId.parse(f"{p}_0_0").date.month) for p in set(prefixes)}
    return pa.table(
        {
            "prefix": pa.array(prefixes).dictionary_encode(),
            "column": pa.array([c for c, _ in numbers], pa.uint8()),
            "row": pa.array([r for _, r in numbers], pa.uint8()),
            "s1_prefix": pa.array(s1_prefixes).dictionary_encode(),
            "official_split": official,
            "random_split": splits.draw_random_split(
                patch_ids, ~(snow | cloud), seed=0
            ),
            "season": pa.array([seasons[p] for p in prefixes], pa.uint8()),
            "country": pa.array(
                [splits.COUNTRIES.index(row["country"]) for row in rows], pa.uint8()
            ),
            "contains_seasonal_snow": snow,
            "contains_cloud_or_shadow": cloud,
            "has_ben19": ~no_ben19,
        }
    )


def _split_name(name: str) -> tuple[str, tuple[int, int]]:
    prefix, column, row = name.rsplit("_", 2)
    return prefix, (int(column), int(row))


def _listed(names: list[str], chosen: list[str]) -> npt.NDArray[np.bool_]:
    wanted = frozenset(chosen)
    return np.fromiter((name in wanted for name in names), np.bool_, len(names))


def _season(month: int) -> int:
    return month % 12 // 3


def write_table(table: pa.Table, output: Path) -> None:
    """Writes the table small; its facts are tested, not its bytes."""
    pq.write_table(table, output, compression="zstd", compression_level=19)


def _define_flags() -> None:
    command.define_path("output", None, "Parquet file to write.", required=True)
    flags.DEFINE_enum("release", V1.name, [V1.name, V2.name], "Whose patches.")
    command.define_path("tables", None, "Folder of the official tables of v2.0.")


def _main() -> None:
    values = flags.FLAGS
    if (values.tables is None) != (values.release == V1.name):
        raise OptionError(f"tables: expected with release {V2.name}, and only then.")
    output = values.output
    print(f"makes {output} of the official lists of {values.release}", file=sys.stderr)
    if values.release == V1.name:
        table = make_table(read_lists())
    else:
        table = official_tables.make_table(*official_tables.read_tables(values.tables))
    write_table(table, output)
    print(
        f"{table.num_rows} patches in {output}, {output.stat().st_size} bytes\n"
        "next: make test, which compares its facts with the lists"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)

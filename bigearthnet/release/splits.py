"""Split, country, season and flags of every patch id, as one Arrow table.

A patch's split is part of the stored bytes (shards are per split and ordered by a
hash salted with its name): a change here is a new major version of the dataset.

The facts come from the official lists (`checksums/official_lists.tsv`);
`python -m builder.patch_table` makes the package data from them.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, Release

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "validation", "test", "excluded")
EXCLUDED = SPLITS.index("excluded")
SCHEMES = ("official", "random")

# Meteorological seasons: winter is December to February.
SEASONS = ("winter", "spring", "summer", "autumn")
COUNTRIES = (
    "Austria",
    "Belgium",
    "Finland",
    "Ireland",
    "Kosovo",
    "Lithuania",
    "Luxembourg",
    "Portugal",
    "Serbia",
    "Switzerland",
)

# Where the shuffled filtered patches are cut: 60 % and 80 % of 519,339, the paper's
# proportions (Sumbul et al., 2019, section 4). The paper's own draw is unpublished.
TRAIN_FRACTION = 3, 5
TRAIN_VALIDATION_FRACTION = 4, 5


def load_table(
    scheme: str = "official", *, seed: int = 0, release: Release = V1
) -> pa.Table:
    """Loads one row for every patch id of a release, sorted by patch id.

    Args:
        scheme: `official`, the published lists (patches with snow, cloud or without a
            BEN19 label are `excluded`), or `random`, the paper's protocol: the
            patches without snow and cloud, sorted by the sha256 of
            `"{seed}:{patch_id}"`, cut at 60 % and 80 %.
        seed: Seed of the random scheme; without meaning for the official one.
        release: The published release.

    Returns:
        Table of columns `patch_id` (string), `split`, `season`, `country`
        (dictionary of string), `contains_seasonal_snow`, `contains_cloud_or_shadow`,
        `has_ben19` (bool) and `s1_name` (string).

    Raises:
        OptionError: If the scheme is not one of SCHEMES.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    facts = read_facts(release.table)
    patch_ids = join_name(facts, "prefix")
    split = get_split(facts, scheme)
    if scheme == "random" and seed != 0:
        filtered = pc.invert(
            pc.or_(facts["contains_seasonal_snow"], facts["contains_cloud_or_shadow"])
        )
        split = draw_random_split(patch_ids, filtered.to_numpy(), seed)
    return pa.table(
        {
            "patch_id": patch_ids,
            "split": _named(split, SPLITS),
            "season": _named(facts["season"].to_numpy(), SEASONS),
            "country": _named(facts["country"].to_numpy(), COUNTRIES),
            "contains_seasonal_snow": facts["contains_seasonal_snow"],
            "contains_cloud_or_shadow": facts["contains_cloud_or_shadow"],
            "has_ben19": facts["has_ben19"],
            "s1_name": join_name(facts, "s1_prefix"),
        }
    )


def get_split(facts: pa.Table, scheme: str) -> npt.NDArray[np.uint8]:
    """Returns the index into SPLITS of every patch, shape (patch,).

    Args:
        facts: The table of `read_facts`.
        scheme: One of SCHEMES; the random one is drawn with seed 0.

    Raises:
        OptionError: If the scheme is not one of SCHEMES.
    """
    if scheme not in SCHEMES:
        raise OptionError(
            f"unknown split scheme: expected one of {', '.join(SCHEMES)}, got "
            f"{scheme!r}."
        )
    column: npt.NDArray[np.uint8] = facts[f"{scheme}_split"].to_numpy()
    return column


def read_facts(name: str) -> pa.Table:
    """Reads the compact table of facts as `builder.patch_table` made it.

    Args:
        name: File of the package data.
    """
    import pyarrow.parquet as pq

    path = resources.files("bigearthnet") / "data" / name
    with path.open("rb") as file:
        return pq.read_table(file).combine_chunks()


def join_name(facts: pa.Table, prefix: str) -> pa.Array:
    """Puts `<prefix>_<column>_<row>` together; S1 and S2 names share the numbers.

    Args:
        facts: The table of `read_facts`, or some of its rows.
        prefix: `prefix` for the patch ids, `s1_prefix` for the Sentinel-1 names.

    Returns:
        The names, shape (patch,), string.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [facts[prefix].cast(pa.string())]
    parts += [facts[number].cast(pa.string()) for number in ("column", "row")]
    joined = pc.binary_join_element_wise(*parts, "_")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _named(codes: npt.NDArray[np.uint8], names: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(codes.astype(np.int8), list(names))


def draw_random_split(
    patch_ids: pa.Array, filtered: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.uint8]:
    """Draws the 60/20/20 split of the paper's protocol.

    Args:
        patch_ids: All patch ids, shape (patch,).
        filtered: True where the patch takes part, shape (patch,).
        seed: Any integer.

    Returns:
        Index into SPLITS of every patch, shape (patch,), uint8.
    """
    rows = np.flatnonzero(filtered)
    digests = [
        hashlib.sha256(f"{seed}:{patch_id}".encode()).digest()
        for patch_id in patch_ids.take(rows).to_pylist()
    ]
    # dtype S would ignore trailing zero bytes, object compares whole digests.
    order = rows[np.argsort(np.array(digests, dtype=object), kind="stable")]
    cuts = [
        len(rows) * numerator // denominator
        for numerator, denominator in (TRAIN_FRACTION, TRAIN_VALIDATION_FRACTION)
    ]
    split = np.full(len(filtered), EXCLUDED, np.uint8)
    for code, part in enumerate(np.split(order, cuts)):
        split[part] = code
    return split

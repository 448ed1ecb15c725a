"""Split, country, season and flags of every patch id, as one Arrow table.

A patch's split is part of the stored bytes (shards are per split and ordered by a
hash salted with its name): a change here is a new major version of the dataset.

The facts come from the official lists (`checksums/official_lists.tsv`);
`python -m builder.patch_table` makes the package data from them.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, Release

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


class PatchFacts(NamedTuple):
    """What the official lists say of one patch.

    Attributes:
        split: Index into SPLITS.
        season: Index into SEASONS, from the month in the patch id.
        country: Index into COUNTRIES.
        contains_seasonal_snow: On the official list of snowy patches.
        contains_cloud_or_shadow: On the official list of cloudy patches.
        s1_name: The Sentinel-1 patch of the same place.
    """

    split: int
    season: int
    country: int
    contains_seasonal_snow: bool
    contains_cloud_or_shadow: bool
    s1_name: str


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
    if scheme not in SCHEMES:
        raise OptionError(
            f"unknown split scheme: expected one of {', '.join(SCHEMES)}, got "
            f"{scheme!r}."
        )
    facts = _read_facts(release.table)
    patch_ids = _join_name(facts, "prefix")
    filtered = pc.invert(
        pc.or_(facts["contains_seasonal_snow"], facts["contains_cloud_or_shadow"])
    ).to_numpy()
    if scheme == "official":
        split = facts["official_split"].to_numpy()
    elif seed == 0:
        split = facts["random_split"].to_numpy()
    else:
        split = draw_random_split(patch_ids, filtered, seed)
    return pa.table(
        {
            "patch_id": patch_ids,
            "split": _named(split, SPLITS),
            "season": _named(facts["season"].to_numpy(), SEASONS),
            "country": _named(facts["country"].to_numpy(), COUNTRIES),
            "contains_seasonal_snow": facts["contains_seasonal_snow"],
            "contains_cloud_or_shadow": facts["contains_cloud_or_shadow"],
            "has_ben19": facts["has_ben19"],
            "s1_name": _join_name(facts, "s1_prefix"),
        }
    )


def _read_facts(name: str) -> pa.Table:
    path = resources.files("bigearthnet") / "data" / name
    with path.open("rb") as file:
        return pq.read_table(file).combine_chunks()


def _join_name(facts: pa.Table, prefix: str) -> pa.Array:
    """Puts `<prefix>_<column>_<row>` together; S1 and S2 names share the numbers."""
    parts = [facts[prefix].cast(pa.string())]
    parts += [facts[number].cast(pa.string()) for number in ("column", "row")]
    joined = pc.binary_join_element_wise(*parts, "_")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _named(codes: npt.NDArray[np.uint8], names: tuple[str, ...]) -> pa.Array:
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


def _fixed_width(texts: pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    """Turns ASCII text into dtype S, without a Python object per text."""
    width = max(pc.max(pc.binary_length(texts)).as_py() or 1, 1)
    padded = pc.utf8_rpad(texts, width, "\0").cast(pa.binary(width)).combine_chunks()
    if isinstance(padded, pa.ChunkedArray):
        padded = padded.chunk(0)
    return np.frombuffer(padded.buffers()[1], f"S{width}", len(padded))


def _find_codes(
    texts: pa.ChunkedArray, names: tuple[str, ...]
) -> npt.NDArray[np.uint8]:
    codes = pc.index_in(texts.cast(pa.string()), value_set=pa.array(names))
    return codes.to_numpy().astype(np.uint8)


class PatchIndex:
    """Finds patches of a table by id, without a Python object per patch.

    Attributes:
        splits: Index into SPLITS of each row, shape (patch,), uint8.
        countries: Index into COUNTRIES of each row, shape (patch,), uint8.
    """

    def __init__(self, table: pa.Table) -> None:
        """Takes a table of the columns of `load_table`, sorted by patch id."""
        self._ids = _fixed_width(table["patch_id"])
        self._s1_names = _fixed_width(table["s1_name"])
        if len(self._ids) > 1 and not bool(np.all(self._ids[:-1] < self._ids[1:])):
            raise OptionError("the patch table must be sorted by unique patch ids.")
        self.splits = _find_codes(table["split"], SPLITS)
        self.countries = _find_codes(table["country"], COUNTRIES)
        self._seasons = _find_codes(table["season"], SEASONS)
        self._snow = table["contains_seasonal_snow"].to_numpy()
        self._cloud = table["contains_cloud_or_shadow"].to_numpy()

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, patch_id: str) -> int | None:
        """Returns the row of a patch id, or None if the table does not have it."""
        try:
            key = patch_id.encode("ascii")
        except UnicodeEncodeError:
            return None
        row = int(np.searchsorted(self._ids, key))
        return row if row < len(self) and self._ids[row] == key else None

    def patch_id(self, row: int) -> str:
        """Returns the patch id of a row."""
        return self._ids[row].decode("ascii")

    def patch_ids(self) -> pa.Array:
        """Returns the patch ids of all rows, shape (patch,), string."""
        return pa.array(self._ids).cast(pa.string())

    def facts(self, row: int) -> PatchFacts:
        """Returns what the table says of one patch."""
        return PatchFacts(
            split=int(self.splits[row]),
            season=int(self._seasons[row]),
            country=int(self.countries[row]),
            contains_seasonal_snow=bool(self._snow[row]),
            contains_cloud_or_shadow=bool(self._cloud[row]),
            s1_name=self._s1_names[row].decode("ascii"),
        )


@functools.lru_cache(maxsize=2)
def load_index(scheme: str = "official", release: Release = V1) -> PatchIndex:
    """Loads the index of a release's table; see `load_table`."""
    index = PatchIndex(load_table(scheme, release=release))
    # Making the names took 100 MB more than is kept; give them back.
    pa.default_memory_pool().release_unused()
    return index

"""Finds patches by id, and what the official lists say of them.

Works on the compact table of facts: no name is put together, and no Python object made,
before it is asked for.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.release import V1, Release
from bigearthnet.release.splits import get_split, join_name, read_facts

if TYPE_CHECKING:
    import pyarrow as pa

# Column and row of a patch in its tile are below this; the largest is 90.
_MOST_PATCHES = 128

_UNKNOWN = -1


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


class PatchIndex:
    """The patches of a release, by id and by row of its table.

    Attributes:
        splits: Index into SPLITS of each row, shape (patch,), uint8.
        countries: Index into COUNTRIES of each row, shape (patch,), uint8.
    """

    def __init__(self, facts: pa.Table, splits: npt.NDArray[np.uint8]) -> None:
        """Indexes a table of facts.

        Args:
            facts: The table of `splits.read_facts`.
            splits: Index into SPLITS of each row, shape (patch,).
        """
        self._facts = facts
        self.splits = splits
        self.countries: npt.NDArray[np.uint8] = facts["country"].to_numpy()
        self._seasons = facts["season"].to_numpy()
        self._snow = facts["contains_seasonal_snow"].to_numpy()
        self._cloud = facts["contains_cloud_or_shadow"].to_numpy()
        self._columns = facts["column"].to_numpy()
        self._rows = facts["row"].to_numpy()
        self._prefixes, self._prefix_codes = _take_apart(facts["prefix"])
        self._s1_prefixes, self._s1_codes = _take_apart(facts["s1_prefix"])
        self._codes = {prefix: code for code, prefix in enumerate(self._prefixes)}
        shape = len(self._prefixes), _MOST_PATCHES, _MOST_PATCHES
        self._places = np.full(shape, _UNKNOWN, np.int32)
        places = self._prefix_codes, self._columns, self._rows
        self._places[places] = np.arange(len(self), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.splits)

    def find(self, patch_id: str) -> int | None:
        """Returns the row of a patch id, or None if the table does not have it."""
        prefix, _, rest = patch_id.rpartition("T")
        time, _, numbers = rest.partition("_")
        column, _, row = numbers.partition("_")
        code = self._codes.get(f"{prefix}T{time}")
        if code is None or not _is_number(column) or not _is_number(row):
            return None
        found = int(self._places[code, int(column), int(row)])
        return None if found == _UNKNOWN else found

    def patch_id(self, row: int) -> str:
        """Returns the patch id of a row."""
        prefix = self._prefixes[self._prefix_codes[row]]
        return f"{prefix}_{self._columns[row]}_{self._rows[row]}"

    def patch_ids(self, rows: npt.NDArray[np.intp]) -> pa.Array:
        """Returns the patch ids of some rows, shape (row,), string."""
        return join_name(self._facts.take(rows), "prefix")

    def facts(self, row: int) -> PatchFacts:
        """Returns what the table says of one patch."""
        s1_prefix = self._s1_prefixes[self._s1_codes[row]]
        return PatchFacts(
            split=int(self.splits[row]),
            season=int(self._seasons[row]),
            country=int(self.countries[row]),
            contains_seasonal_snow=bool(self._snow[row]),
            contains_cloud_or_shadow=bool(self._cloud[row]),
            s1_name=f"{s1_prefix}_{self._columns[row]}_{self._rows[row]}",
        )


def _take_apart(texts: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Returns the distinct texts of a column, and the index of each row's."""
    encoded = texts.combine_chunks()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _is_number(text: str) -> bool:
    """Whether a text is a number as it stands in patch ids, below _MOST_PATCHES."""
    return (
        0 < len(text) <= 3
        and text.isascii()
        and text.isdigit()
        and str(int(text)) == text
        and int(text) < _MOST_PATCHES
    )


@functools.lru_cache(maxsize=2)
def load_index(scheme: str = "official", release: Release = V1) -> PatchIndex:
    """Loads the index of a release; the random split is that of seed 0.

    Raises:
        OptionError: If the scheme is not one of SCHEMES.
    """
    facts = read_facts(release.table)
    return PatchIndex(facts, get_split(facts, scheme))

"""Finds patches by id, and what the table of their release says of them.

Works on the compact table: no name is put together, and no Python object made, before
it is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.release.model import Release
from bigearthnet.release.nomenclature import decode_mask
from bigearthnet.release.patch_ids import (
    NAME_FIELDS,
    S1_IDS,
    IdCodec,
    find_day,
    find_time,
)
from bigearthnet.release.splits import get_split, join_ids, read_table

if TYPE_CHECKING:
    import pyarrow as pa

# Column and row of a patch in its tile are below this; the largest is 90.
_MOST_PATCHES = 128

_UNKNOWN = -1


class Names:
    """The patches of a release by the names that one archive gives them."""

    def __init__(self, table: pa.Table, ids: IdCodec) -> None:
        """Indexes the names.

        Args:
            table: The table of `splits.read_table`.
            ids: How the archive names patches.
        """
        self._table, self._ids = table, ids
        encoded = table[ids.prefix_column].combine_chunks()
        self._prefixes: list[str] = encoded.dictionary.to_pylist()
        self._prefix_codes = encoded.indices.to_numpy()
        self._columns, self._rows = table["column"].to_numpy(), table["row"].to_numpy()
        # Numbers as they stand in names; writing and parsing each would take longer.
        self._texts = [ids.write_number(number) for number in range(_MOST_PATCHES)]
        self._numbers = {text: number for number, text in enumerate(self._texts)}

    @functools.cached_property
    def _codes(self) -> dict[str, int]:
        return {prefix: code for code, prefix in enumerate(self._prefixes)}

    @functools.cached_property
    def _places(self) -> npt.NDArray[np.int32]:
        shape = len(self._prefixes), _MOST_PATCHES, _MOST_PATCHES
        places = np.full(shape, _UNKNOWN, np.int32)
        keys = self._prefix_codes, self._columns, self._rows
        places[keys] = np.arange(len(self._columns), dtype=np.int32)
        return places

    def find(self, name: str) -> int | None:
        """Returns the row of a name, or None if the table does not have it."""
        rest, _, row = name.rpartition("_")
        prefix, _, column = rest.rpartition("_")
        try:
            place = self._codes[prefix], self._numbers[column], self._numbers[row]
        except KeyError:
            return None
        found = int(self._places[place])
        return None if found == _UNKNOWN else found

    def name(self, row: int) -> str:
        """Returns the name of a row."""
        prefix = self._prefixes[self._prefix_codes[row]]
        texts = self._texts[self._columns[row]], self._texts[self._rows[row]]
        return f"{prefix}_{texts[0]}_{texts[1]}"

    def take(self, rows: npt.NDArray[np.intp]) -> pa.Array:
        """Returns the names of some rows, shape (row,), string."""
        return join_ids(self._table.take(rows), self._ids)

    @functools.cached_property
    def _times(self) -> list[str]:
        return [find_time(prefix) for prefix in self._prefixes]

    def times(self, rows: npt.NDArray[np.intp]) -> list[str]:
        """Returns the times in the names of some rows; see `patch_ids.find_time`."""
        return [self._times[code] for code in self._prefix_codes[rows]]


class PatchFacts(NamedTuple):
    """What the table of a release says of one patch.

    Attributes:
        patch_id: The patch id.
        labels: Ascending class ids; empty where they stand in the patch's JSON.
        fields: Name of each field of the release that the table has → its value.
    """

    patch_id: str
    labels: tuple[int, ...]
    fields: dict[str, int | bool | str]


@dataclass(frozen=True)
class PatchDescriptions:
    """What the table of a release says of some patches; for another process, too.

    Attributes:
        patch_ids: The patch ids.
        masks: Class ids as bit masks; None where they stand in the patches' JSON.
        fields: Name of each field of the release that the table has → its values.
    """

    patch_ids: list[str]
    masks: list[int] | None
    fields: dict[str, list[int | bool | str]]

    def __iter__(self) -> Iterator[PatchFacts]:
        """Yields one patch after the other."""
        masks = self.masks or [0] * len(self.patch_ids)
        columns = self.fields.values()
        for patch_id, mask, *values in zip(
            self.patch_ids, masks, *columns, strict=True
        ):
            fields = dict(zip(self.fields, values, strict=True))
            yield PatchFacts(patch_id, decode_mask(mask), fields)


class PatchIndex:
    """The patches of a release in one split scheme, by id and by row of its table.

    Attributes:
        release: The release.
        splits: Index into `Release.splits` of each row, shape (patch,), uint8.
        countries: Index into COUNTRIES of each row, shape (patch,), uint8.
        labels: Class ids of each row as bit masks, shape (patch,), uint64; None where
            the labels stand in the patches' JSON.
    """

    def __init__(
        self, release: Release, table: pa.Table, splits: npt.NDArray[np.uint8]
    ) -> None:
        """Indexes a table.

        Args:
            release: The release.
            table: The table of `splits.read_table`, or some of its rows.
            splits: Index into `Release.splits` of each row, shape (patch,).
        """
        self.release, self.splits = release, splits
        self._table = table
        self._names: dict[IdCodec, Names] = {}
        self.countries: npt.NDArray[np.uint8] = table["country"].to_numpy()
        self.labels: npt.NDArray[np.uint64] | None = None
        if release.label_column is not None:
            self.labels = table[release.label_column].to_numpy().astype(np.uint64)
        self._columns = {
            name: table[name].to_numpy()
            for name in release.fields
            if name in table.schema.names
        }
        fields = release.fields
        self._name_fields = {n: ids for n, ids in NAME_FIELDS.items() if n in fields}
        # Where there is JSON, it says the time; names of the first release do not.
        codecs = {"acquisition_date": release.ids, "s1_acquisition_date": S1_IDS}
        is_told = release.archives[0].metadata_suffix is not None
        self._time_fields = {
            name: ids for name, ids in codecs.items() if name in fields and not is_told
        }
        self._is_told = is_told

    def __len__(self) -> int:
        return len(self.splits)

    def names(self, ids: IdCodec) -> Names:
        """Returns the patches by the names that an archive gives them."""
        if ids not in self._names:
            self._names[ids] = Names(self._table, ids)
        return self._names[ids]

    def find(self, patch_id: str) -> int | None:
        """Returns the row of a patch id, or None if the table does not have it."""
        return self.names(self.release.ids).find(patch_id)

    def patch_id(self, row: int) -> str:
        """Returns the patch id of a row."""
        return self.names(self.release.ids).name(row)

    def patch_ids(self, rows: npt.NDArray[np.intp]) -> pa.Array:
        """Returns the patch ids of some rows, shape (row,), string."""
        return self.names(self.release.ids).take(rows)

    def split(self, row: int) -> str:
        """Returns the name of a row's split."""
        return self.release.splits[self.splits[row]]

    def column(self, name: str) -> npt.NDArray[np.uint8 | np.bool_] | None:
        """Returns what the table says of a field of each row; None if it has none."""
        return self._columns.get(name)

    def facts(self, row: int) -> dict[str, int | bool | str]:
        """Returns those fields of the release that its table says of one patch."""
        facts = {name: column[row].item() for name, column in self._columns.items()}
        for name, ids in self._name_fields.items():
            facts[name] = self.names(ids).name(row)
        for name, ids in self._time_fields.items():
            (facts[name],) = self.names(ids).times(np.array([row]))
        return facts

    def add_times(
        self, row: int, fields: Mapping[str, str | int]
    ) -> Mapping[str, str | int]:
        """Returns the fields of a patch, if it has any, with the times in its names.

        Where the JSON of another archive says the time, the day in the patch id.
        """
        if fields and self._is_told and "acquisition_date" not in fields:
            return {**fields, "acquisition_date": find_day(self.patch_id(row))}
        if not fields or not self._time_fields:
            return fields
        rows = np.array([row])
        times = {
            n: self.names(ids).times(rows)[0] for n, ids in self._time_fields.items()
        }
        return {**fields, **times}

    def describe(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> PatchDescriptions:
        """Returns all that the table says of some patches."""
        chosen = np.asarray(rows)
        fields = {name: all_[chosen].tolist() for name, all_ in self._columns.items()}
        for name, ids in self._name_fields.items():
            fields[name] = self.names(ids).take(chosen).to_pylist()
        for name, ids in self._time_fields.items():
            fields[name] = self.names(ids).times(chosen)
        masks = None if self.labels is None else self.labels[chosen].tolist()
        return PatchDescriptions(self.patch_ids(chosen).to_pylist(), masks, fields)


@functools.lru_cache(maxsize=2)
def load_index(release: Release, scheme: str) -> PatchIndex:
    """Loads the index of a release; the random split is that of seed 0.

    Raises:
        OptionError: If the release has no such scheme.
    """
    table = read_table(release)
    return PatchIndex(release, table, get_split(table, scheme))

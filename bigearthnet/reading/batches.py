"""What all readers of tables share: batches of arrays, columns, and orders."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import check_seed

if TYPE_CHECKING:
    import pyarrow as pa

# Column → array of shape (patch, …).
Batch: TypeAlias = "dict[str, npt.NDArray[Any]]"


def find_stored_columns(
    schema: pa.Schema, columns: Iterable[Feature]
) -> dict[str, Feature]:
    """Returns those of a configuration's columns that a table has as they are stored.

    Columns of another name or type are left out, those that a user of `datasets` has
    mapped to floats for example.

    Args:
        schema: The table's schema.
        columns: The columns of the configuration.

    Raises:
        OptionError: If no column is one of the configuration's.
    """
    from bigearthnet.formats.columns import arrow_type

    found = {}
    for feature in columns:
        group, _, field = feature.name.partition("/")
        index = schema.get_field_index(group)
        kind = schema.field(index).type if index >= 0 else None
        if field and kind is not None:
            kind = _find_field(kind, field)
        if kind is not None and _is_same(kind, arrow_type(feature).type):
            found[feature.name] = feature
    if not found:
        raise OptionError(
            "no column of BigEarthNet in its stored type: expected bands, got "
            f"{schema.names}."
        )
    return found


def _find_field(kind: pa.DataType, name: str) -> pa.DataType | None:
    """Returns the type of a field of a struct, or None if there is none."""
    fields = {field.name: field.type for field in kind} if kind.num_fields else {}
    return fields.get(name)


def _is_same(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether two types store the same; names of list elements do not count."""
    import pyarrow as pa

    if isinstance(one, pa.BaseExtensionType):
        one = one.storage_type
    if isinstance(one, pa.ListType) and isinstance(other, pa.ListType):
        return _is_same(one.value_type, other.value_type)
    if isinstance(one, pa.FixedSizeListType) and isinstance(
        other, pa.FixedSizeListType
    ):
        same_size = one.list_size == other.list_size
        return same_size and _is_same(one.value_type, other.value_type)
    return bool(one == other)


class Column(NamedTuple):
    """What a reader offers under a name.

    Attributes:
        feature: What is handed out, without the axis of patches.
        stored: The stored feature that it is, or is a band of.
        band: Index of the band in the stored feature; None for all of it.
    """

    feature: Feature
    stored: Feature
    band: int | None


def find_column(features: Mapping[str, Feature], name: str) -> Column:
    """Returns the column of a name: a stored feature, or a single band of one.

    Args:
        features: The stored features by name.
        name: The name, in upper or lower case.

    Raises:
        OptionError: If there is no such column.
    """
    if name in features:
        return Column(features[name], features[name], None)
    group = next((f for f in features.values() if name in f.bands), None)
    if group is None:
        return find_column(features, _find_name(features, name))
    single = dataclasses.replace(group, name=name, shape=group.shape[1:], bands=())
    return Column(single, group, group.bands.index(name))


def _find_name(features: Mapping[str, Feature], name: str) -> str:
    """Returns how a column is written that was asked for in another case."""
    bands = [band for feature in features.values() for band in feature.bands]
    folded = {known.casefold(): known for known in [*features, *bands]}
    if not isinstance(name, str) or name.casefold() not in folded:
        or_bands = f", or of the bands {', '.join(bands)}" if bands else ""
        raise OptionError(
            f"no column {name!r}: expected some of {', '.join(features)}, which have "
            f"the stored types{or_bands}."
        )
    return folded[name.casefold()]


def choose_columns(
    features: Mapping[str, Feature], columns: str | Sequence[str] | None
) -> list[str]:
    """Returns the columns that are asked for, all that are stored if None.

    A text is the name of a single one. Names are returned as they are stored.

    Raises:
        OptionError: If one of them is not there, or none is asked for.
    """
    columns = [columns] if isinstance(columns, str) else columns
    names = list(features) if columns is None else list(columns)
    if not names:
        raise OptionError(f"no column: expected some of {', '.join(features)}.")
    return [find_column(features, name).feature.name for name in names]


def check_indices(
    indices: Sequence[int] | npt.NDArray[np.integer[Any]], count: int
) -> npt.NDArray[np.int64]:
    """Checks the numbers of patches that are asked for.

    Args:
        indices: Which patches, in any order.
        count: Patches that there are.

    Returns:
        Shape (patch,), int64.

    Raises:
        IndexError: If an index is out of range.
        OptionError: If an index is not an integer.
    """
    rows = np.asarray(indices)
    if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
        raise OptionError(
            f"indices: expected a list of integers, got {rows.dtype} of shape "
            f"{rows.shape}. Of a mask, take np.flatnonzero."
        )
    rows = rows.astype(np.int64)
    wrong = rows[(rows < 0) | (rows >= count)]
    if len(wrong):
        raise IndexError(f"no patch {wrong[0]}: expected 0 to {count - 1}.")
    return rows


def make_generator(seed: int | None, epoch: int) -> np.random.Generator:
    """Returns the random numbers of one epoch; without a seed, always others.

    Raises:
        OptionError: If the seed is negative.
    """
    check_seed(seed)
    return np.random.default_rng(None if seed is None else [seed, epoch])

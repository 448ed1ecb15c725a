"""`where`: conditions on what a store's table says of its patches; reads no pixels."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bigearthnet.errors import LabelError, OptionError
from bigearthnet.release import Release
from bigearthnet.release.nomenclature import NOMENCLATURES, remap
from bigearthnet.schema.configs import Config
from bigearthnet.util.utm import to_degrees

# What users write; see `match_patches`.
Where: TypeAlias = "Mapping[str, Any] | str"

# Half the side of a patch, in metres.
_HALF_SIDE_M = 600

# Names that an error lists; there are more patch ids.
_MOST_LISTED = 100

# What ranges can be asked for of → the columns that it is made of.
_RANGES = {
    "date": ("date",),
    "epsg": ("epsg",),
    "ulx": ("ulx",),
    "uly": ("uly",),
    "longitude": ("epsg", "ulx", "uly"),
    "latitude": ("epsg", "ulx", "uly"),
}


def parse_where(where: Where) -> dict[str, Any]:
    """Returns conditions as a mapping; of a text, with its values as Python values.

    Args:
        where: A mapping, see `match_patches`; or a text, as commands take it, whose
            conditions are separated by `;`, names by `|`, and the ends of a range by
            `..`, for example `country=Portugal|Austria; date=2017-06-01..2017-08-31`.

    Raises:
        OptionError: If it is neither.
    """
    if isinstance(where, Mapping):
        return dict(where)
    if not isinstance(where, str):
        raise OptionError(
            "where: expected a mapping, for example {'country': 'Portugal'}, got "
            f"{where!r}."
        )
    conditions: dict[str, Any] = {}
    for part in filter(None, map(str.strip, where.split(";"))):
        name, is_equation, text = (piece.strip() for piece in part.partition("="))
        if not is_equation or not name or name in conditions:
            raise OptionError(
                "where: expected conditions such as country=Portugal; season=summer, "
                f"each once, got {part!r}."
            )
        low, is_range, high = (piece.strip() for piece in text.partition(".."))
        names = [piece.strip() for piece in text.split("|")]
        booleans = {"true": True, "false": False}
        value: Any = (low or None, high or None) if is_range else names
        conditions[name] = booleans.get(text.lower(), value)
    return conditions


def needed_columns(conditions: Mapping[str, Any], config: Config) -> set[str]:
    """Returns the columns of a table of patches that conditions need.

    Raises:
        OptionError: If there is nothing of that name to choose by.
    """
    known = _list_names(config)
    for name in conditions:
        if name not in known:
            raise OptionError(
                f"where: expected some of {', '.join(known)}, got {name!r}."
            )
    return {column for name in conditions for column in known[name]}


def match_patches(
    table: pa.Table, conditions: Mapping[str, Any], config: Config
) -> npt.NDArray[np.bool_]:
    """Says which patches meet all conditions.

    Args:
        table: Columns of a table of patches, see `store.manifest`.
        conditions: Names of columns → values. Of `labels`, `country`, `season` and
            `patch_id` a name, or several of which one must fit, in any case; labels by
            the names of any nomenclature. Of flags True or False. Of `date`, `epsg`,
            `ulx`, `uly`, and `longitude` and `latitude` of the centre, a value, or a
            pair (least, most), None for no bound; dates as `YYYY-MM-DD`.
        config: The configuration.

    Returns:
        Shape (patch,), bool.

    Raises:
        OptionError: If a name is unknown, or a value has no meaning.
    """
    features = {feature.name: feature for feature in config.schema}
    matches = np.ones(table.num_rows, np.bool_)
    for name, value in conditions.items():
        if name in _RANGES:
            found = _match_range(name, _compute(table, name), value)
        elif name == "labels":
            found = _match_labels(table["labels"], value, config.release)
        elif features[name].kind == "bool":
            if not isinstance(value, bool):
                raise OptionError(f"where: {name} is True or False, got {value!r}.")
            found = table[name].to_numpy() == value
        else:
            known = features[name].labels or table[name].to_pylist()
            names = _find_names(value, known, name)
            found = pc.is_in(table[name], pa.array(names, pa.string())).to_numpy()
        matches &= found
    return matches


def _list_names(config: Config) -> dict[str, tuple[str, ...]]:
    """Returns what patches can be chosen by → the columns it needs."""
    names: dict[str, tuple[str, ...]] = {"labels": ("labels",)}
    for feature in config.schema:
        if feature.kind in ("class", "bool") or feature.name == "patch_id":
            names[feature.name] = (feature.name,)
    return names | (_RANGES if "coordinates" in config.release.fields else {})


def _find_names(value: object, known: Iterable[str], what: str) -> list[str]:
    """Returns names as they are known, whatever their case; a text is a single one."""
    names = [value] if isinstance(value, str) else value
    if (
        not isinstance(names, Iterable)
        or not (names := list(names))
        or not all(isinstance(name, str) for name in names)
    ):
        raise OptionError(f"where: {what}: expected a name or several, got {value!r}.")
    folded = {one.casefold(): one for one in reversed([*known])}
    for name in names:
        if name.casefold() not in folded:
            raise OptionError(f"where: unknown {what} {name!r}{_advise(name, folded)}")
    return [folded[name.casefold()] for name in names]


def _advise(name: str, folded: Mapping[str, str]) -> str:
    """Returns how an error about a name goes on: with those that are like it, or all.

    Args:
        name: The name.
        folded: Names as they are known, by what they are in lower case, the last first.
    """
    if len(folded) >= _MOST_LISTED:
        return " among these patches."
    if near := difflib.get_close_matches(name.casefold(), folded):
        return ": did you mean " + " or ".join(repr(folded[one]) for one in near) + "?"
    return (
        ": expected one of " + ", ".join(map(repr, reversed([*folded.values()]))) + "."
    )


def _match_labels(
    lists: pa.ChunkedArray, value: object, release: Release
) -> npt.NDArray[np.bool_]:
    """Says which patches have one of some classes; the first nomenclature counts."""
    source = release.nomenclature
    own = {s.nomenclature.name: s.nomenclature for s in release.label_sets}
    ids: dict[str, set[int]] = {}
    for target in (own | dict(NOMENCLATURES)).values():
        try:
            becomes = remap(source, target)
        except LabelError:  # of another release
            continue
        new = {label: number for number, label in enumerate(target.labels)}
        for label in new.keys() - ids.keys():
            ids[label] = {n for n, to in enumerate(becomes) if to == new[label]}
    wanted = set().union(*(ids[name] for name in _find_names(value, ids, "labels")))
    flat = lists.combine_chunks()
    has = np.isin(flat.flatten().to_numpy(), list(wanted))
    found = np.zeros(len(flat), np.bool_)
    found[flat.value_parent_indices().to_numpy()[has]] = True
    return found


def _compute(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Returns numbers that can be compared; NaN where nobody knows."""
    numbers = {
        column: table[column].cast(pa.int32() if column == "date" else pa.int64())
        for column in _RANGES[name]
    }
    arrays = {
        column: values.cast(pa.float64()).fill_null(float("nan")).to_numpy()
        for column, values in numbers.items()
    }
    if name in arrays:
        return arrays[name]
    longitude, latitude = to_degrees(
        numbers["epsg"].fill_null(0).to_numpy(),
        arrays["ulx"] + _HALF_SIDE_M,
        arrays["uly"] - _HALF_SIDE_M,
    )
    return longitude if name == "longitude" else latitude


def _match_range(
    name: str, values: npt.NDArray[np.float64], value: object
) -> npt.NDArray[np.bool_]:
    if isinstance(value, list) and len(value) == 1:  # of a text
        value = value[0]
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or tuple(pair) == (None, None):
        raise _refuse_range(name, value)
    low, high = (_parse_number(name, bound, value) for bound in pair)
    found = ~np.isnan(values)
    if low is not None:
        found &= values >= low
    if high is not None:
        found &= values <= high
    return found


def _parse_number(name: str, bound: object, value: object) -> float | None:
    if bound is None or bound == "":
        return None
    try:
        if name != "date":
            if isinstance(bound, bool):
                raise ValueError
            return float(bound)  # type: ignore[arg-type]
        if isinstance(bound, str):
            bound = datetime.date.fromisoformat(bound)
        if isinstance(bound, datetime.date):
            return float(bound.toordinal() - datetime.date(1970, 1, 1).toordinal())
    except (TypeError, ValueError):
        pass
    raise _refuse_range(name, value)


def _refuse_range(name: str, value: object) -> OptionError:
    example = "'2017-06-01', '2017-08-31'" if name == "date" else "38.5, 39.0"
    return OptionError(
        f"where: {name} is a value, or a pair (least, most) with None for no bound, "
        f"for example ({example}), got {value!r}."
    )

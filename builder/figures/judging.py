"""Is a table of patches that of the whole release, as it was published?

Split, country, season and flags are compared patch by patch: two patches that have
changed places leave every total as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, V2, Release, splits
from bigearthnet.release.nomenclature import decode_mask
from builder.figures.counting import find_figure, walk_figures
from builder.figures.published import PAPER, TABLES_V2
from builder.figures.tables import Patches

# Name of a check → the release, and what was published of it.
CHECKS: Mapping[str, tuple[Release, Mapping[str, Any]]] = {
    "paper": (V1, PAPER),
    "v2": (V2, TABLES_V2),
}
_COLUMNS = (
    "split",
    "country",
    "season",
    "contains_seasonal_snow",
    "contains_cloud_or_shadow",
)
_MOST_NAMED = 3


@dataclass(frozen=True)
class Judgement:
    """What is to be said of one figure.

    Attributes:
        name: The figure, for example `classes clc43 all Airports`.
        verdict: Whether it is what was published, or could not be judged.
        expected: The published figure; None if there is none.
        found: The figure of the table; None if there is none.
        reason: Which patches differ, or why it could not be judged.
    """

    name: str
    verdict: Literal["equal", "different", "not judged"]
    expected: float | None = None
    found: float | None = None
    reason: str = ""


def judge(patches: Patches, figures: Mapping[str, Any], check: str) -> list[Judgement]:
    """Compares a table with what was published.

    Args:
        patches: The table.
        figures: Its figures, as `count_figures` returns them.
        check: `paper` for v1.0, `v2` for v2.0.

    Raises:
        OptionError: If the table is of another release.
    """
    release, published = CHECKS[check]
    if patches.release.name != release.name:
        raise OptionError(
            f"check: {check} is about release {release.name}; {patches.path} is of "
            f"{patches.release.name}."
        )
    official, rows = _find_rows(patches)
    unknown = [str(name) for name in patches.table["patch_id"].filter(rows.is_null())]
    repeated = len(patches) - pc.count_distinct(patches.table["patch_id"]).as_py()
    judged = [
        _judge_ids("unknown patch ids", len(unknown), unknown),
        _judge_ids("repeated patch ids", repeated, []),
        *_judge_patches(patches, official, rows),
    ]
    missing = len(official["patch_id"]) - (len(patches) - len(unknown) - repeated)
    return judged + list(_judge_totals(patches, figures, published, missing))


def _find_rows(patches: Patches) -> tuple[dict[str, Any], pa.Array]:
    """Returns the official columns, and the row in them of every patch.

    A table alone does not say which split scheme it is of: the one with fewer
    differences is meant.
    """
    release, ids = patches.release, patches.table["patch_id"].combine_chunks()
    facts = splits.read_table(release)
    official: dict[str, Any] = {"patch_id": splits.join_ids(facts, release.ids)}
    rows = pc.index_in(ids, value_set=official["patch_id"])
    known, taken = ~_is_null(rows), rows.drop_null().to_numpy()
    found = patches.splits[known]
    names = np.array(release.splits, object)
    schemes = {choice.scheme for choice in release.choices}
    if patches.store is not None:
        schemes = {patches.store.config.choice.scheme}
    candidates = {s: names[splits.get_split(facts, s)] for s in sorted(schemes)}
    scheme = min(candidates, key=lambda s: int((candidates[s][taken] != found).sum()))
    official |= {"scheme": scheme, "split": candidates[scheme]}
    for column, values in (("country", splits.COUNTRIES), ("season", splits.SEASONS)):
        official[column] = np.array(values, object)[facts[column].to_numpy()]
    for column in _COLUMNS[3:]:
        official[column] = facts[column].to_numpy()
    if release.label_column is not None:
        official["labels"] = facts[release.label_column].to_numpy().astype(np.uint64)
    return official, rows


def _is_null(rows: pa.Array) -> npt.NDArray[np.bool_]:
    return rows.is_null().to_numpy(zero_copy_only=False)


def _judge_ids(name: str, count: int, named: list[str]) -> Judgement:
    verdict: Literal["equal", "different"] = "different" if count else "equal"
    return Judgement(name, verdict, 0, count, ", ".join(named[:_MOST_NAMED]))


def _judge_patches(
    patches: Patches, official: Mapping[str, Any], rows: pa.Array
) -> Iterator[Judgement]:
    """Compares what the official lists say of every single patch."""
    known, taken = np.flatnonzero(~_is_null(rows)), rows.drop_null().to_numpy()
    columns = {n: patches.table[n] for n in _COLUMNS if n in patches.table.schema.names}
    found = {name: column.to_numpy()[known] for name, column in columns.items()}
    if "labels" in official:
        found["labels"] = patches.masks[known]
    for name in (*_COLUMNS, *(["labels"] if "labels" in official else [])):
        scheme = f" ({official['scheme']})" if name == "split" else ""
        title = f"patches with another {name}{scheme}"
        if name not in found:
            yield Judgement(
                title, "not judged", 0, None, "the table has no such column"
            )
            continue
        differing = np.flatnonzero(found[name] != official[name][taken])
        texts = [
            f"{official['patch_id'][int(taken[n])]}: expected "
            f"{_show(official[name][taken[n]])}, got {_show(found[name][n])}"
            for n in differing[:_MOST_NAMED]
        ]
        verdict: Literal["equal", "different"] = (
            "different" if len(differing) else "equal"
        )
        yield Judgement(title, verdict, 0, len(differing), "; ".join(texts))


def _show(value: Any) -> str:
    if isinstance(value, np.uint64):
        return f"class ids {list(decode_mask(int(value)))}"
    return str(value)


def _judge_totals(
    patches: Patches,
    figures: Mapping[str, Any],
    published: Mapping[str, Any],
    missing: int,
) -> Iterator[Judgement]:
    """Compares totals, which only a whole release has."""
    about_labels = ("classes", "labels")
    for path, expected in walk_figures(published):
        name, found = " ".join(path), find_figure(figures, path)
        reason = ""
        if missing:
            reason = f"{missing:,} patches of {patches.release.name} are not there"
        elif path[0] in about_labels and patches.num_synthetic:
            reason = f"the labels of {patches.num_synthetic:,} patches are made up"
        elif found is None:
            reason = "the table has no such column"
        if reason:
            yield Judgement(name, "not judged", expected, found, reason)
        elif _is_equal(path, expected, found):
            yield Judgement(name, "equal", expected, found)
        else:
            yield Judgement(name, "different", expected, found)


def _is_equal(path: tuple[str, ...], expected: float, found: float | None) -> bool:
    if path[-1].startswith("percent") and found is not None:
        # Given as a whole number, which may be rounded or cut off.
        return expected in (round(found), int(found))
    return expected == found

"""Which patches a gallery shows: some of every class, split, country, season, flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from builder.figures.tables import Patches

MOST_PATCHES = 300
# Patches that a gallery has of each class, and of each value of another kind, where
# there are as many.
PER_CLASS, PER_VALUE = 5, 20
# Patches that may be chosen for a value: enough that several values meet in some.
_CANDIDATES = 200

FLAGS = {
    "contains_seasonal_snow": "seasonal snow",
    "contains_cloud_or_shadow": "cloud or shadow",
}


def list_values(patches: Patches) -> dict[str, dict[str, npt.NDArray[np.bool_]]]:
    """Lists what patches can be chosen by.

    Returns:
        Kind (`class`, `split`, `country`, `season`, `flag`) → value → which patches
        have it, shape (patch,), bool; without values that no patch has.
    """
    names, labels = patches.table.column_names, patches.release.nomenclature.labels
    bits = [np.uint64(1) << np.uint64(number) for number in range(len(labels))]
    values = {
        "class": {
            label: (patches.masks & bit) > 0
            for label, bit in zip(labels, bits, strict=True)
        }
    }
    for kind in ("split", "country", "season"):
        if kind in names:
            column = patches.table[kind].to_numpy()
            values[kind] = {v: column == v for v in sorted(set(column))}
    flags = {t: patches.table[n].to_numpy() for n, t in FLAGS.items() if n in names}
    if flags:
        none = ~np.logical_or.reduce(list(flags.values()))
        values["flag"] = {**flags, "neither": none}
    return {
        kind: {value: rows for value, rows in found.items() if rows.any()}
        for kind, found in values.items()
    }


def choose_patches(
    values: Mapping[str, Mapping[str, npt.NDArray[np.bool_]]],
    stored: npt.NDArray[np.bool_],
) -> list[int]:
    """Chooses the patches of a gallery, the same ones for the same patches.

    Of each class there are at least five, of each other value twenty, or all. The
    patch that more values still want is taken next.

    Args:
        values: As `list_values` returns them.
        stored: Which patches the store has, shape (patch,).

    Returns:
        Rows of the table, at most 300, ascending.
    """
    order = np.random.default_rng(0).permutation(np.flatnonzero(stored))
    members, needs = [], []
    for kind, found in values.items():
        for rows in found.values():
            needed = PER_CLASS if kind == "class" else PER_VALUE
            members.append(rows[order])
            needs.append(min(needed, int(members[-1].sum())))
    candidates = np.unique(
        np.concatenate([np.flatnonzero(rows)[:_CANDIDATES] for rows in members])
    )
    has = np.stack([rows[candidates] for rows in members]).astype(np.int64)
    chosen = _cover(has, needs)
    return sorted(int(order[candidates[number]]) for number in chosen)


def _cover(has: npt.NDArray[np.int64], needs: Sequence[int]) -> list[int]:
    """Takes patches until every value has enough; see `choose_patches`.

    Args:
        has: Whether a patch has a value, shape (value, patch), 0 or 1.
        needs: How many patches each value needs.
    """
    left, chosen = np.array(needs), list[int]()
    free = np.ones(has.shape[1], bool)
    # Rare values first: what they want is worth more.
    worth = 1 / np.maximum(1, has.sum(axis=1))
    while (left > 0).any() and len(chosen) < MOST_PATCHES:
        wanted = left > 0
        gain = (wanted.astype(float) * (1 + worth)) @ has
        best = int(np.argmax(np.where(free, gain, -1)))
        chosen.append(best)
        free[best] = False
        left -= has[:, best]
    return chosen

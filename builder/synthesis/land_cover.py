"""Draws the land cover of a patch whose labels are given, and its reference map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bigearthnet.release.nomenclature import BEN19, CLC43, MAP_CODES, remap
from builder.synthesis.labels import FREQUENCIES, IN_BEN19

# Share of patches with a class that is none of BEN19, and of those with a corner that
# has no class of CLC43 at all. Ours.
_OTHER_SHARE = 0.2
_CORNER_SHARE = 0.3
# Sides of such a corner in pixels, and the codes that it may have: unlabelled, glacier.
_CORNER_PX = 5, 30
_CORNER_CODES = (999, 335)
_CORNER_WEIGHTS = (0.9, 0.1)

_TARGETS = np.array([-1 if t is None else t for t in remap(CLC43, BEN19)])

# Published code of each class of CLC43, in its order.
_CODES: npt.NDArray[np.uint16] = np.array(
    [code for code, stored in MAP_CODES if stored < len(CLC43)], np.uint16
)


def draw_classes(labels: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
    """Draws classes that have the given labels.

    Args:
        labels: Class ids of BEN19; 1 to 11.
        rng: Source of randomness.

    Returns:
        Ascending class ids of CLC43: one for each label, and sometimes one that is none
        of BEN19.
    """
    chosen = [_draw(np.flatnonzero(label == _TARGETS), rng) for label in labels]
    if rng.random() < _OTHER_SHARE:
        chosen.append(_draw(np.flatnonzero(~IN_BEN19), rng))
    return tuple(sorted(chosen))


def _draw(ids: npt.NDArray[np.intp], rng: np.random.Generator) -> int:
    weights = FREQUENCIES[ids]
    return int(rng.choice(ids, p=weights / weights.sum()))


def draw_map(
    classes: tuple[int, ...], mosaic: npt.NDArray[np.intp], rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Draws the reference map of a mosaic.

    Args:
        classes: Class ids of CLC43.
        mosaic: Index of the class of each pixel, shape (y, x).
        rng: Source of randomness.

    Returns:
        Codes of land cover as they are published, shape (y, x), uint16. No class is
        lost to a corner without one.
    """
    codes = _CODES[np.array(classes)[mosaic]]
    if rng.random() < _CORNER_SHARE:
        height, width = rng.integers(*_CORNER_PX, 2)
        with_corner = codes.copy()
        with_corner[:height, :width] = rng.choice(_CORNER_CODES, p=_CORNER_WEIGHTS)
        if np.isin(codes, with_corner).all():
            return with_corner
    return codes

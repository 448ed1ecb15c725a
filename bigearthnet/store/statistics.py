"""Exact statistics of the pixels of a split, band by band."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import BANDS, GROUPS

# Sums are kept in the order in which the bands are stored.
_BANDS = [band for group in GROUPS for band in group.bands]

# All bands are whole multiples of a 60 m band's pixels, so that the pixels of a patch
# are a matrix of such rows, and the sums of a band those of some rows.
_ROW_PX = min(band.size_px**2 for band in _BANDS)
_ROWS_OF_BANDS = [band.size_px**2 // _ROW_PX for band in _BANDS]
_FIRST_ROWS = np.cumsum([0, *_ROWS_OF_BANDS[:-1]])
_ONES = np.ones(_ROW_PX)


def _add(one: Iterable[int], other: Iterable[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


class BandSums:
    """Sums over the digital numbers of patches; adding is exact in any order.

    Attributes:
        num_patches: Patches added.
    """

    def __init__(self) -> None:
        self.num_patches = 0
        # Python integers, so that sums over any number of patches are exact.
        self._sums = [0] * len(_BANDS)
        self._squares = [0] * len(_BANDS)

    def add_pixels(self, pixels: npt.NDArray[np.uint16]) -> None:
        """Adds the pixels of one patch.

        Args:
            pixels: Shape (pixel,), uint16: the bands as they are stored, one after
                another; see `Patch.flat`.
        """
        # Exact in float64: a band has at most 14,400 squares under 2**32.
        rows = pixels.astype(np.float64).reshape(-1, _ROW_PX)
        sums = np.add.reduceat(np.vecdot(rows, _ONES), _FIRST_ROWS)
        squares = np.add.reduceat(np.vecdot(rows, rows), _FIRST_ROWS)
        self._sums = _add(self._sums, map(int, sums.tolist()))
        self._squares = _add(self._squares, map(int, squares.tolist()))
        self.num_patches += 1

    def add(self, other: BandSums) -> None:
        """Adds the sums of other patches."""
        self.num_patches += other.num_patches
        self._sums = _add(self._sums, other._sums)
        self._squares = _add(self._squares, other._squares)

    def encode(self) -> dict[str, object]:
        """Returns the sums as JSON; integers as text, so that none is rounded."""
        sums, squares = map(str, self._sums), map(str, self._squares)
        return {
            "num_patches": self.num_patches,
            "sums": list(sums),
            "squares": list(squares),
        }

    @classmethod
    def decode(cls, content: Mapping[str, Any]) -> BandSums:
        """Inverse of `encode`."""
        sums = cls()
        sums.num_patches = content["num_patches"]
        sums._sums = list(map(int, content["sums"]))
        sums._squares = list(map(int, content["squares"]))
        return sums

    def to_json(self, split: str) -> dict[str, object]:
        """Returns the statistics of a split for `statistics.json`.

        Returns:
            `split`, `num_patches` and, under `bands` by name, `mean` and `std` (of the
            population) in digital numbers, and `sum` and `sum_of_squares` as decimal
            text, so that no reader rounds them. `bands` is empty without patches.
        """
        bands = {}
        for band in BANDS if self.num_patches else ():
            count = self.num_patches * band.size_px**2
            index = _BANDS.index(band)
            total, square = self._sums[index], self._squares[index]
            mean = Fraction(total, count)
            bands[band.name] = {
                "mean": float(mean),
                "std": math.sqrt(Fraction(square, count) - mean**2),
                "sum": str(total),
                "sum_of_squares": str(square),
            }
        return {"split": split, "num_patches": self.num_patches, "bands": bands}

"""Exact statistics of the pixels of a split, band by band."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bigearthnet.bands import BANDS, GROUPS

# Sums over one patch are exact in float64: at most 14,400 squares under 2**32 each.
_EXACT = np.float64

# Sums are kept in the order in which the bands are stored.
_INDEX = {
    band: index
    for index, band in enumerate(band for group in GROUPS for band in group.bands)
}
_NUM_BANDS = len(_INDEX)


class BandSums:
    """Sums over the digital numbers of patches; adding is exact in any order.

    Attributes:
        num_patches: Patches added.
    """

    def __init__(self) -> None:
        self.num_patches = 0
        # Python integers, so that sums over any number of patches are exact.
        self._sums = [0] * _NUM_BANDS
        self._squares = [0] * _NUM_BANDS

    def add_pixels(self, pixels: Mapping[str, npt.NDArray[np.uint16]]) -> None:
        """Adds the pixels of one patch.

        Args:
            pixels: Group name → array of shape (band, y, x), uint16, for every group.
        """
        sums: list[float] = []
        squares: list[float] = []
        for group in GROUPS:
            values = pixels[group.name]
            flat = values.reshape(len(values), -1).astype(_EXACT)
            sums += flat.sum(axis=1).tolist()
            squares += np.einsum("bp,bp->b", flat, flat).tolist()
        self._sums = [a + int(b) for a, b in zip(self._sums, sums, strict=True)]
        self._squares = [
            a + int(b) for a, b in zip(self._squares, squares, strict=True)
        ]
        self.num_patches += 1

    def add(self, other: BandSums) -> None:
        """Adds the sums of other patches."""
        self.num_patches += other.num_patches
        self._sums = [a + b for a, b in zip(self._sums, other._sums, strict=True)]
        self._squares = [
            a + b for a, b in zip(self._squares, other._squares, strict=True)
        ]

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
            total, square = self._sums[_INDEX[band]], self._squares[_INDEX[band]]
            mean = Fraction(total, count)
            bands[band.name] = {
                "mean": float(mean),
                "std": math.sqrt(Fraction(square, count) - mean**2),
                "sum": str(total),
                "sum_of_squares": str(square),
            }
        return {"split": split, "num_patches": self.num_patches, "bands": bands}

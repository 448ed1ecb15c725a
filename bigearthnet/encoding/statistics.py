"""Exact statistics of the pixels of a split, band by band."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bigearthnet.bands import BANDS, GROUPS

# Sums over one patch are exact in float64: at most 14,400 squares under 2**32 each.
_EXACT = np.float64

_NAMES = tuple(band.name for band in BANDS)


@dataclass
class BandSums:
    """Sums over the digital numbers of patches; adding is exact in any order.

    Attributes:
        num_patches: Patches added.
        sums: Band name → sum of the digital numbers.
        squares: Band name → sum of their squares.
    """

    num_patches: int = 0
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_NAMES, 0))
    squares: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_NAMES, 0))

    def add_pixels(self, pixels: Mapping[str, npt.NDArray[np.uint16]]) -> None:
        """Adds the pixels of one patch.

        Args:
            pixels: Group name → array of shape (band, y, x), uint16, for every group.
        """
        for group in GROUPS:
            flat = pixels[group.name].reshape(len(group.bands), -1).astype(_EXACT)
            sums, squares = flat.sum(axis=1), np.einsum("bp,bp->b", flat, flat)
            for band, total, square in zip(group.bands, sums, squares, strict=True):
                self.sums[band.name] += int(total)
                self.squares[band.name] += int(square)
        self.num_patches += 1

    def add(self, other: BandSums) -> None:
        """Adds the sums of other patches."""
        self.num_patches += other.num_patches
        for name in _NAMES:
            self.sums[name] += other.sums[name]
            self.squares[name] += other.squares[name]

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
            mean = Fraction(self.sums[band.name], count)
            variance = Fraction(self.squares[band.name], count) - mean**2
            bands[band.name] = {
                "mean": float(mean),
                "std": math.sqrt(variance),
                "sum": str(self.sums[band.name]),
                "sum_of_squares": str(self.squares[band.name]),
            }
        return {"split": split, "num_patches": self.num_patches, "bands": bands}

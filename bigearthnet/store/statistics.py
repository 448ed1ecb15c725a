"""Exact statistics of the pixels of a split, band by band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import BandGroup, order_bands

# The split whose statistics are stored.
STATISTICS_SPLIT = "train"

# Pixels that are summed up at once: a part of every band, and short, since OpenBLAS
# starts threads for longer products, which take far more time.
_LINE_PX = 400
_ONES = np.ones(_LINE_PX)

# Floats are summed as whole multiples of this part of a unit, so that sums are exact
# and do not depend on their order: of backscatter, 0.00002 dB.
_FLOAT_SCALE = 2**16
# Squares of these are too large for int64 and are summed in two parts.
_LOW_BITS = 16


class BandSums:
    """Sums over the pixels of patches, band by band; adding is exact in any order.

    Attributes:
        num_patches: Patches added.
    """

    def __init__(self, groups: Sequence[BandGroup]) -> None:
        """Begins with nothing.

        Args:
            groups: The groups whose pixels are summed; maps among them are left out.
        """
        self.num_patches = 0
        measured = [group for group in groups if not group.is_map]
        self._integers = [group for group in measured if "float" not in group.dtype]
        self._floats = [group for group in measured if "float" in group.dtype]
        self._groups = (*self._integers, *self._floats)
        count = sum(len(group.bands) for group in self._groups)
        lines = [g.size_px**2 // _LINE_PX for g in self._integers for _ in g.bands]
        self._first_lines = np.cumsum([0, *lines[:-1]])
        # Python integers, so that sums over any number of patches are exact: of the
        # pixels and of their squares, shape (2, band).
        self._sums = np.zeros((2, count), object)

    def add_pixels(self, groups: Mapping[str, npt.NDArray[Any]]) -> None:
        """Adds the pixels of one patch.

        Args:
            groups: Name of each group → shape (band, y, x), of the group's dtype.
        """
        sums: tuple[list[int], list[int]] = [], []
        if self._integers:
            sums = self._sum_integers([groups[group.name] for group in self._integers])
        for group in self._floats:
            for part, found in zip(sums, _sum_floats(groups[group.name]), strict=True):
                part += found
        self._sums += np.array(sums, object)
        self.num_patches += 1

    def _sum_integers(
        self, groups: Sequence[npt.NDArray[Any]]
    ) -> tuple[list[int], list[int]]:
        """Returns sum and sum of squares of each band, of up to 16 bits a pixel."""
        # Exact in float64: a band has at most 14,400 squares under 2**32.
        lines = np.concatenate([g.reshape(-1, _LINE_PX) for g in groups], dtype=float)
        sums, squares = (
            np.add.reduceat(np.vecdot(lines, other), self._first_lines).tolist()
            for other in (_ONES, lines)
        )
        return list(map(int, sums)), list(map(int, squares))

    def choose(self, groups: Sequence[BandGroup]) -> BandSums:
        """Returns the sums of some of the groups."""
        chosen = BandSums(groups)
        chosen.num_patches = self.num_patches
        names = [band.name for group in self._groups for band in group.bands]
        wanted = [band.name for group in chosen._groups for band in group.bands]
        chosen._sums = self._sums[:, list(map(names.index, wanted))]
        return chosen

    def add(self, other: BandSums) -> None:
        """Adds the sums of other patches."""
        self.num_patches += other.num_patches
        self._sums += other._sums

    def encode(self) -> dict[str, object]:
        """Returns the sums as JSON; integers as text, so that none is rounded."""
        sums, squares = ([str(number) for number in row] for row in self._sums)
        return {"num_patches": self.num_patches, "sums": sums, "squares": squares}

    @classmethod
    def decode(
        cls, content: Mapping[str, Any], groups: Sequence[BandGroup]
    ) -> BandSums:
        """Inverse of `encode`."""
        sums = cls(groups)
        sums.num_patches = content["num_patches"]
        for row, name in enumerate(("sums", "squares")):
            sums._sums[row] = list(map(int, content[name]))
        return sums

    def to_json(self, split: str) -> dict[str, object]:
        """Returns the statistics of a split for `statistics.json`.

        Returns:
            `split`, `num_patches` and, under `bands` by name, `mean` and `std` (of the
            population) in the unit of the pixels, and `sum` and `sum_of_squares` as
            decimal text, so that no reader rounds them. `bands` is empty without
            patches.
        """
        stored = [
            (band.name, band.size_px**2, _FLOAT_SCALE if "float" in group.dtype else 1)
            for group in self._groups
            for band in group.bands
        ]
        order = [name for name, *_ in stored]
        made = {}
        for band in order_bands(self._groups) if self.num_patches else ():
            index = order.index(band.name)
            _, count, scale = stored[index]
            total = Fraction(self._sums[0, index], scale)
            square = Fraction(self._sums[1, index], scale**2)
            count *= self.num_patches
            mean = total / count
            made[band.name] = {
                "mean": float(mean),
                "std": math.sqrt(square / count - mean**2),
                "sum": _to_text(total),
                "sum_of_squares": _to_text(square),
            }
        return {"split": split, "num_patches": self.num_patches, "bands": made}


def _sum_floats(pixels: npt.NDArray[Any]) -> tuple[list[int], list[int]]:
    """Returns the same of floats, in units of 1 / _FLOAT_SCALE.

    Args:
        pixels: Shape (band, y, x), floats below `geotiff.MAX_FLOAT`.
    """
    bands = pixels.astype(np.float64).reshape(len(pixels), -1)
    whole = np.rint(bands * _FLOAT_SCALE).astype(np.int64)
    squares = [
        (int(high @ high) << 2 * _LOW_BITS)
        + (int(high @ low) << _LOW_BITS + 1)
        + int(low @ low)
        for high, low in zip(
            whole >> _LOW_BITS, whole & (2**_LOW_BITS - 1), strict=True
        )
    ]
    return whole.sum(axis=1).tolist(), squares


def _to_text(number: Fraction) -> str:
    """Returns an integer as text; other numbers as the nearest float."""
    return str(number if number.denominator == 1 else float(number))

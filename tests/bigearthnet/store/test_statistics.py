from __future__ import annotations

import math
import pickle
import statistics
from typing import Any

import numpy as np
import pytest

from bigearthnet.release.bands import BANDS, GROUPS, split
from bigearthnet.store.statistics import BandSums

Pixels = dict[str, np.ndarray]
NAMES = [band.name for band in BANDS]


def make_pixels(number: int) -> Pixels:
    """Groups of ramps that use the whole range of uint16, other ones for each number.

    No two bands have equal sums.
    """
    pixels = {}
    for place, group in enumerate(GROUPS):
        band, y, x = np.indices(group.shape)
        ramp = 65535 - (number * 37 + place * 11 + band * 101 + 3 * y + 7 * x)
        pixels[group.name] = ramp.astype(np.uint16)
    return pixels


def add_all(*patches: Pixels) -> BandSums:
    """Sums over patches."""
    sums = BandSums(GROUPS)
    for pixels in patches:
        sums.add_pixels(pixels)
    return sums


def exact(sums: BandSums) -> dict[str, tuple[int, int]]:
    """Band name → the sum of the digital numbers, and that of their squares."""
    found: Any = sums.to_json("train")["bands"]
    return {n: (int(b["sum"]), int(b["sum_of_squares"])) for n, b in found.items()}


def values_of(*patches: Pixels) -> dict[str, list[int]]:
    """Band name → all pixels as Python integers."""
    return {
        name: [n for pixels in patches for n in split(pixels)[name].ravel().tolist()]
        for name in NAMES
    }


def test_sums_equal_python_integers() -> None:
    """Sums and sums of squares are exact, band by band."""
    patches = make_pixels(0), make_pixels(5)
    values = values_of(*patches)

    sums = add_all(*patches)
    expected = {n: (sum(v), sum(i * i for i in v)) for n, v in values.items()}

    assert expected == exact(sums)
    assert 2 == sums.num_patches
    assert 12 == len({total for total, _ in expected.values()})


def test_the_largest_values_are_exact() -> None:
    """Patches of 65535 alone overflow nothing."""
    full = {g.name: np.full(g.shape, 65535, np.uint16) for g in GROUPS}
    sizes = {band.name: 3 * band.size_px**2 for band in BANDS}

    found = exact(add_all(full, full, full))

    assert {n: (65535 * s, 65535**2 * s) for n, s in sizes.items()} == found


def test_a_difference_of_one_is_not_lost() -> None:
    """One pixel lower by one shows in the sums of its band, and in no other's."""
    full = {g.name: np.full(g.shape, 65535, np.uint16) for g in GROUPS}
    other = {name: array.copy() for name, array in full.items()}
    other["bands_10m"][3, 119, 0] = 65534

    one, two = exact(add_all(full)), exact(add_all(other))
    lost = {n: (one[n][0] - two[n][0], one[n][1] - two[n][1]) for n in NAMES}

    assert dict.fromkeys(NAMES, (0, 0)) | {"B08": (1, 65535**2 - 65534**2)} == lost


def test_any_order_gives_the_same_sums() -> None:
    """Patches one by one, in any order, or as sums of parts, give equal sums."""
    a, b, c = (make_pixels(number) for number in (0, 3, 9))
    parts = add_all(c)
    parts.add(add_all(b, a))
    parts.add(BandSums(GROUPS))

    expected = add_all(a, b, c).to_json("test")

    assert expected == add_all(c, a, b).to_json("test")
    assert expected == parts.to_json("test")
    assert ("test", 3) == (expected["split"], expected["num_patches"])


def test_sums_survive_pickling() -> None:
    """Sums can be sent from one process to another."""
    sums = add_all(make_pixels(4))

    found = pickle.loads(pickle.dumps(sums))

    assert sums.to_json("train") == found.to_json("train")


def test_mean_and_deviation_are_those_of_the_population() -> None:
    """Mean and standard deviation equal those of Python's exact statistics module."""
    patches = make_pixels(1), make_pixels(8)
    values = values_of(*patches)

    found = add_all(*patches).to_json("train")["bands"]

    assert isinstance(found, dict)
    assert NAMES == list(found)
    for name in ("B01", "B09", "B11"):
        numbers = values[name]

        assert statistics.fmean(numbers) == found[name]["mean"]
        assert statistics.pstdev(numbers) == pytest.approx(found[name]["std"], 1e-14)
        assert str(sum(numbers)) == found[name]["sum"]
        assert str(sum(n * n for n in numbers)) == found[name]["sum_of_squares"]


def test_equal_pixels_have_no_deviation() -> None:
    """A constant band has the deviation 0, not a rounding error."""
    flat = {g.name: np.full(g.shape, 12345, np.uint16) for g in GROUPS}

    found = add_all(flat, flat, flat).to_json("train")["bands"]

    assert isinstance(found, dict)
    assert {(12345.0, 0.0)} == {(b["mean"], b["std"]) for b in found.values()}


def test_without_patches_there_are_no_statistics() -> None:
    """Zero patches have zero sums, and no mean of any band."""
    empty = BandSums(GROUPS)

    assert {"split": "train", "num_patches": 0, "bands": {}} == empty.to_json("train")
    assert 0 == empty.num_patches


def test_numbers_are_finite_floats() -> None:
    """The statistics can be written as JSON: plain finite floats and text."""
    found = add_all(make_pixels(2)).to_json("train")["bands"]

    assert isinstance(found, dict)
    for band in found.values():
        assert [float, float, str, str] == [type(value) for value in band.values()]
        assert math.isfinite(band["std"])
        assert band["std"] > 0

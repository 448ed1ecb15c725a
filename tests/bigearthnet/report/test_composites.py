from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import MAP_CODES
from bigearthnet.report.composites import (
    KINDS,
    compute_index,
    list_kinds,
    make_picture,
)
from bigearthnet.report.given import take_patch
from bigearthnet.report.land_cover import COLORS, name_class
from bigearthnet.schema.examples import Example

Bands = dict[str, npt.NDArray[np.uint16]]


def find_patch(rows: list[Example], end: str) -> Bands:
    """The bands of the real patch whose id ends so."""
    row = next(row for row in rows if str(row["patch_id"]).endswith(end))
    return take_patch(row).bands


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(100, 700, -0.75), (700, 100, 0.75), (60_000, 20_000, 0.5), (0, 0, np.nan)],
)
def test_an_index_does_not_wrap(first: int, second: int, expected: float) -> None:
    """Negative differences and large sums of uint16 come out right; 0 / 0 is NaN."""
    one, other = np.array([first], np.uint16), np.array([second], np.uint16)

    found = compute_index(one, other)

    assert np.float32 == found.dtype
    np.testing.assert_array_equal([np.float32(expected)], found)


def test_vegetation_is_red_in_false_colour(sample_rows: list[Example]) -> None:
    """Of a patch of pastures, red is far above green and blue."""
    picture = make_picture(find_patch(sample_rows, "_4_55"), "false_color")
    red, green, blue = picture.reshape(-1, 3).mean(axis=0)

    assert red > green + 60
    assert red > blue + 60


@pytest.mark.parametrize("kind", ["true_color", "false_color", "swir"])
def test_water_is_dark_and_snow_white(sample_rows: list[Example], kind: str) -> None:
    """A lake is dark; snow is bright, but in the infrared."""
    lake = make_picture(find_patch(sample_rows, "_69_24"), kind)[5:15, 20:35]
    snow = make_picture(find_patch(sample_rows, "_57_38"), kind).reshape(-1, 3)

    assert lake.max() < 60
    darkest = snow.mean(axis=0).min()
    assert (darkest > 150) == (kind != "swir")


def test_bands_of_all_sizes_make_one_picture(sample_rows: list[Example]) -> None:
    """Pixels of coarse bands are repeated where they lie."""
    bands = find_patch(sample_rows, "_69_24")
    picture = make_picture(bands, "swir")

    assert (120, 120, 3) == picture.shape
    np.testing.assert_array_equal(picture[::2, ::2, 0], picture[1::2, 1::2, 0])
    coarse = make_picture(
        {n: bands[n] for n in ("B12", "B8A")} | {"B04": bands["B12"]}, "swir"
    )
    np.testing.assert_array_equal(coarse[..., 0], picture[::2, ::2, 0])


def test_interpolated_pixels_below_zero_are_black() -> None:
    """Floats, as `load` gives them, are rounded; what lies below 0 does not wrap."""
    band = np.array([[-3.0, 0.4], [9.6, 1e9]], np.float32)
    whole = np.array([[0, 0], [10, 65_535]], np.uint16)
    names = KINDS["true_color"].bands

    np.testing.assert_array_equal(
        make_picture(dict.fromkeys(names, whole), "true_color"),
        make_picture(dict.fromkeys(names, band), "true_color"),
    )


def test_radar_is_scaled_in_decibels() -> None:
    """Both ends of each range become 0 and 255."""
    vv, vh = np.array([[-25.0, 0.0]]), np.array([[-32.0, -7.0]])

    picture = make_picture({"VV": vv, "VH": vh}, "sar")

    assert [[0, 0], [255, 255]] == picture[0, :, :2].tolist()


def test_every_class_of_a_map_has_a_colour_and_a_name() -> None:
    """The 44 codes of CORINE Land Cover have 44 colours, unlabelled pixels another."""
    stored = [number for _, number in MAP_CODES]

    assert 45 == len({tuple(COLORS[number]) for number in stored})
    assert 45 == len({name_class(number) for number in stored})
    picture = make_picture({"reference_map": np.array([[39, 255]])}, "reference_map")
    assert [[128, 242, 230], [120, 120, 120]] == picture[0].tolist()


def test_what_is_missing_is_named() -> None:
    """An unknown kind, or a band that is not there, says what there is."""
    bands = {"B08": np.ones((2, 2)), "B04": np.ones((2, 2))}

    assert ["ndvi"] == list_kinds(bands)
    with pytest.raises(OptionError, match=r"B03 not among B08, B04.*made: ndvi"):
        make_picture(bands, "false_color")
    with pytest.raises(OptionError, match=r"needs VV, VH: the patch has no bands"):
        make_picture({}, "sar")
    with pytest.raises(OptionError, match=r"unknown kind of picture.*got 'evi'"):
        make_picture(bands, "evi")

from __future__ import annotations

import numpy as np

from bigearthnet.release import bands
from bigearthnet.release.bands import BANDS, GROUPS

NAMES = [
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09"),
    *("B11", "B12"),
]


def test_bands_are_in_wavelength_order() -> None:
    """The 12 bands stand in ascending wavelength, B8A before B09, without B10."""
    wavelengths = [band.wavelength_nm for band in BANDS]

    assert NAMES == [band.name for band in BANDS]
    assert sorted(set(wavelengths)) == wavelengths


def test_groups_hold_the_bands_of_a_resolution() -> None:
    """Each of the three groups lists its bands, and its shape, in the stored order."""
    actual = {
        group.name: (" ".join(b.name for b in group.bands), group.shape, group.nbytes)
        for group in GROUPS
    }

    assert {
        "bands_10m": ("B02 B03 B04 B08", (4, 120, 120), 115_200),
        "bands_20m": ("B05 B06 B07 B8A B11 B12", (6, 60, 60), 43_200),
        "bands_60m": ("B01 B09", (2, 20, 20), 1_600),
    } == actual
    assert ["bands_10m", "bands_20m", "bands_60m"] == list(actual)


def test_size_follows_from_the_resolution() -> None:
    """A band is as many pixels wide and high as 1.2 km of its resolution take."""
    sizes = {band.resolution_m: band.shape for band in BANDS}

    assert {10: (120, 120), 20: (60, 60), 60: (20, 20)} == sizes


def test_rgb_is_red_green_blue() -> None:
    """The RGB bands are B04, B03, B02, from long to short wavelength."""
    assert ("B04", "B03", "B02") == bands.RGB


def test_published_statistics_are_of_the_right_bands() -> None:
    """Means and deviations equal the published BAND_STATS, band by band."""
    published = {band.name: (band.mean, band.std) for band in BANDS}

    assert {
        "B01": (340.76769064, 554.81258967),
        "B02": (429.9430203, 572.41639287),
        "B03": (614.21682446, 582.87945694),
        "B04": (590.23569706, 675.88746967),
        "B05": (950.68368468, 729.89827633),
        "B06": (1792.46290469, 1096.01480586),
        "B07": (2075.46795189, 1273.45393088),
        "B08": (2218.94553375, 1365.45589904),
        "B8A": (2266.46036911, 1356.13789355),
        "B09": (2246.0605464, 1302.3292881),
        "B11": (1594.42694882, 1079.19066363),
        "B12": (1009.32729131, 818.86747235),
    } == published


def test_bands_are_found_by_name() -> None:
    """`BY_NAME` gives each band under its own name, in the same order."""
    assert NAMES == list(bands.BY_NAME)
    assert all(name == band.name for name, band in bands.BY_NAME.items())


def make_groups(*leading: int) -> dict[str, np.ndarray]:
    """Groups whose every element differs from all the others."""
    groups, start = {}, 0
    for group in GROUPS:
        shape = (*leading, *group.shape)
        groups[group.name] = np.arange(start, start + np.prod(shape)).reshape(shape)
        start += 1_000_000
    return groups


def test_split_takes_groups_apart_by_name() -> None:
    """`split` gives every band, in wavelength order, from its place in its group."""
    groups = make_groups()

    found = bands.split(groups)

    assert NAMES == list(found)
    assert groups["bands_60m"][1].tolist() == found["B09"].tolist()
    assert groups["bands_20m"][3].tolist() == found["B8A"].tolist()
    assert all(band.shape == found[band.name].shape for band in BANDS)
    assert 80_000 == len(np.unique(np.concatenate([b.ravel() for b in found.values()])))


def test_split_keeps_leading_axes() -> None:
    """`split` takes a batch apart just like one example."""
    groups = make_groups(3, 2)

    found = bands.split(groups)

    assert (3, 2, 120, 120) == found["B08"].shape
    assert groups["bands_10m"][:, :, 3].tolist() == found["B08"].tolist()


def test_split_leaves_missing_groups_out() -> None:
    """`split` of some groups gives the bands of these alone."""
    groups = {"bands_60m": make_groups()["bands_60m"], "patch_id": "x"}

    assert ["B01", "B09"] == list(bands.split(groups))

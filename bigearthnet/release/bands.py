"""Bands, and the groups they are stored in; the 12 bands of Sentinel-2.

The order of bands and groups is part of the stored bytes: a change here is a new
major version of the dataset.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Band:
    """One channel of a patch, at its own resolution.

    Attributes:
        name: Name of the band, for example `B8A`.
        resolution_m: Ground sampling distance in metres.
        wavelength_nm: Central wavelength in nanometres; None where a band has none.
        mean: Published mean (of Sentinel-2: digital numbers, BAND_STATS of the authors'
            v1 code; on which patches it was computed is not stated); None if unknown.
        std: Published standard deviation, from the same source.
    """

    name: str
    resolution_m: int
    wavelength_nm: int | None = None
    mean: float | None = None
    std: float | None = None

    @property
    def size_px(self) -> int:
        """Height and width of the band in pixels; a patch is 1.2 km × 1.2 km."""
        return PATCH_SIZE_M // self.resolution_m

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (y, x) of the band's array."""
        return (self.size_px, self.size_px)


@dataclass(frozen=True)
class BandGroup:
    """All bands of one resolution, stored as one feature of axes (band, y, x).

    Attributes:
        name: Name of the stored feature, for example `bands_10m`.
        bands: The bands, in ascending wavelength.
        dtype: NumPy name of the pixels' type.
        unit: What a pixel says, for people.
        is_map: Whether pixels are class ids: these have no mean, and are no part of
            an image.
        codes: Of a map that is published in uint16 codes of land cover: each code, and
            the class id of CLC43, or what stands for none, that is stored in its place.
            No other code is taken. Empty if pixels are stored as published.
    """

    name: str
    bands: tuple[Band, ...]
    dtype: str = "uint16"
    unit: str = "Level-2A digital numbers, reflectance = DN / 10000"
    is_map: bool = False
    codes: tuple[tuple[int, int], ...] = ()

    @functools.cached_property
    def file_dtype(self) -> str:
        """NumPy name of the type that pixels have in the published files."""
        return "uint16" if self.codes else self.dtype

    @property
    def size_px(self) -> int:
        """Height and width of every band of the group in pixels."""
        return self.bands[0].size_px

    @functools.cached_property
    def shape(self) -> tuple[int, int, int]:
        """Shape (band, y, x) of the group's array."""
        return (len(self.bands), self.size_px, self.size_px)

    @functools.cached_property
    def nbytes(self) -> int:
        """Bytes of the group's pixels."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)


# Side of a patch in metres (Sumbul et al., 2019, section 2).
PATCH_SIZE_M = 1200

# Height and width of the 10 m bands in pixels, which is that of images.
IMAGE_SIZE = PATCH_SIZE_M // 10

# Digital number of reflectance 1.0 in Sentinel-2 Level-2A products before processing
# baseline 04.00 (ESA, Sentinel-2 User Handbook): reflectance = DN / 10000.
QUANTIFICATION_VALUE = 10_000

# Resolutions and central wavelengths: ESA, Sentinel-2 User Handbook. B10 (cirrus) is
# not part of Level-2A. Ascending wavelength.
BANDS: tuple[Band, ...] = (
    Band("B01", 60, 443, 340.76769064, 554.81258967),
    Band("B02", 10, 490, 429.9430203, 572.41639287),
    Band("B03", 10, 560, 614.21682446, 582.87945694),
    Band("B04", 10, 665, 590.23569706, 675.88746967),
    Band("B05", 20, 705, 950.68368468, 729.89827633),
    Band("B06", 20, 740, 1792.46290469, 1096.01480586),
    Band("B07", 20, 783, 2075.46795189, 1273.45393088),
    Band("B08", 10, 842, 2218.94553375, 1365.45589904),
    Band("B8A", 20, 865, 2266.46036911, 1356.13789355),
    Band("B09", 60, 945, 2246.0605464, 1302.3292881),
    Band("B11", 20, 1610, 1594.42694882, 1079.19066363),
    Band("B12", 20, 2190, 1009.32729131, 818.86747235),
)

BY_NAME: Mapping[str, Band] = {band.name: band for band in BANDS}

# Red, green, blue.
RGB: tuple[str, str, str] = ("B04", "B03", "B02")

GROUPS: tuple[BandGroup, ...] = tuple(
    BandGroup(
        f"bands_{resolution}m",
        tuple(band for band in BANDS if band.resolution_m == resolution),
    )
    for resolution in (10, 20, 60)
)


# In the order of names that is said everywhere; files come in another order, VH first.
RADAR = BandGroup(
    "bands_s1",
    (Band("VV", 10), Band("VH", 10)),
    dtype="float32",
    unit="backscatter in dB",
)


def order_bands(groups: Iterable[BandGroup]) -> tuple[Band, ...]:
    """Returns the bands of groups by ascending wavelength, those without one last.

    Args:
        groups: The groups.
    """
    bands = [band for group in groups for band in group.bands]
    return tuple(sorted(bands, key=lambda band: band.wavelength_nm or np.inf))


def split(
    example: Mapping[str, Any], groups: Iterable[BandGroup] = GROUPS
) -> dict[str, Any]:
    """Takes the stored groups of an example, or of a batch, apart by band name.

    Args:
        example: Anything that maps names of groups (`bands_10m`, `bands_20m`,
            `bands_60m`) to arrays or tensors of shape (…, band, y, x). Groups may be
            missing.
        groups: The groups; those of Sentinel-2 if left out.

    Returns:
        Band name → array of shape (…, y, x), in ascending wavelength. Values are the
        stored ones, of Sentinel-2 digital numbers; reflectance = DN / 10000.
    """
    present = [group for group in groups if group.name in example]
    found = {
        band.name: example[group.name][..., index, :, :]
        for group in present
        for index, band in enumerate(group.bands)
    }
    return {band.name: found[band.name] for band in order_bands(present)}

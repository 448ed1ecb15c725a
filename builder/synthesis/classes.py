"""Spectral signature and texture of each of the 43 synthetic classes.

All numbers are ours. They look like the reflectances of Level-2A products, but none
was measured: they say nothing about the real classes. A change here, or in classes.csv,
changes the bytes of every synthetic archive.
"""

from __future__ import annotations

import csv
import math
from importlib import resources
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.release.nomenclature import CLC43


class Texture(NamedTuple):
    """How the brightness of a class varies within its regions.

    Attributes:
        grain_px: Correlation length across the grain, in pixels of 10 m.
        elongation: Correlation length along the grain ÷ across it.
        direction_deg: Direction of the grain, counter-clockwise from east.
        contrast: Standard deviation of the logarithm of the brightness.
    """

    grain_px: float
    elongation: float
    direction_deg: float
    contrast: float


# Standard deviation of a pixel's noise ÷ its noise-free value, independent between
# pixels and bands.
NOISE_SIGMA = 0.06

# Digital numbers in the order of BANDS:
# B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12.
BASES: dict[str, tuple[int, ...]] = {
    "crop": (330, 420, 740, 560, 1150, 2800, 3400, 3600, 3750, 3750, 2000, 1050),
    "grass": (300, 370, 760, 470, 1250, 3200, 3900, 4100, 4300, 4300, 2150, 1100),
    "forest": (210, 270, 490, 320, 820, 2300, 2800, 2950, 3100, 3100, 1450, 700),
    "shrub": (280, 350, 560, 480, 950, 1900, 2250, 2400, 2500, 2500, 1800, 1000),
    "dry": (420, 560, 850, 920, 1400, 1950, 2150, 2350, 2450, 2450, 2700, 1900),
    "soil": (600, 780, 1080, 1380, 1700, 1900, 2050, 2200, 2350, 2350, 2900, 2450),
    "urban": (880, 1040, 1220, 1320, 1480, 1650, 1760, 1860, 1950, 1980, 2100, 1850),
    "rock": (1050, 1250, 1480, 1640, 1760, 1820, 1880, 1950, 2000, 2000, 2350, 2150),
    "sand": (1450, 1850, 2350, 2750, 2950, 3080, 3200, 3320, 3420, 3400, 4000, 3600),
    "marsh": (330, 400, 590, 520, 850, 1500, 1700, 1850, 1900, 1900, 1250, 700),
    "water": (560, 540, 470, 330, 290, 270, 260, 250, 240, 230, 160, 110),
}

# Pairs of classes that red, green and blue cannot tell apart: the second has the
# visible bands and the texture of the first, and these factors (nir, swir) on the
# infrared bands of the first. Each pair parts two BEN19 classes.
PAIRS: dict[str, tuple[str, float, float]] = {
    "Mixed forest": ("Coniferous forest", 1.75, 1.2),
    "Transitional woodland/shrub": ("Broad-leaved forest", 0.5, 1.3),
    "Complex cultivation patterns": ("Pastures", 0.55, 1.0),
    "Land principally occupied by agriculture, with significant areas of natural "
    "vegetation": ("Non-irrigated arable land", 1.2, 0.5),
    "Sea and ocean": ("Water bodies", 0.4, 0.5),
    "Industrial or commercial units": ("Discontinuous urban fabric", 1.0, 1.9),
    "Sclerophyllous vegetation": ("Olive groves", 1.6, 0.8),
    "Moors and heathland": ("Natural grassland", 0.9, 0.5),
}

# Label → its row of classes.csv: key of BASES, the factors that make the base spectrum
# the signature of the class (see `_factors`), and its texture. In CLC-code order; the
# second of a pair is in PAIRS only.
_CLASSES = {
    row["label"]: row
    for row in csv.DictReader(
        (resources.files("builder.synthesis") / "classes.csv")
        .read_text(encoding="utf-8")
        .splitlines()
    )
}


def _factors(
    nir: float, swir: float, blue: float = 1, green: float = 1, red: float = 1
) -> npt.NDArray[np.float64]:
    """Factor on each band, in the order of BANDS.

    Args:
        nir: On the near infrared, B06 to B09; its root on the red edge, B05, which
            lies half way up to it.
        swir: On the short-wave infrared, B11 and B12.
        blue: On B01 and B02.
        green: On B03.
        red: On B04.
    """
    edge = math.sqrt(nir)
    return np.array([blue, blue, green, red, edge, *[nir] * 5, swir, swir])


def _signature(label: str) -> npt.NDArray[np.float64]:
    if label in PAIRS:
        partner, nir, swir = PAIRS[label]
        return _signature(partner) * _factors(nir, swir)
    row = _CLASSES[label]
    names = ("nir", "swir", "blue", "green", "red")
    factors = _factors(*(float(row[name]) for name in names))
    return np.array(BASES[row["base"]]) * factors


def _find_row(label: str) -> dict[str, str]:
    return _CLASSES[PAIRS[label][0] if label in PAIRS else label]


def _texture(label: str) -> Texture:
    row = _find_row(label)
    return Texture(*(float(row[name]) for name in Texture._fields))


# Mean digital number of each class in each band at gain 1, shape (class, band): CLC43
# order, bands in ascending wavelength.
SIGNATURES: npt.NDArray[np.float64] = np.stack([_signature(x) for x in CLC43.labels])

# Texture of each class, in CLC43 order.
TEXTURES: tuple[Texture, ...] = tuple(map(_texture, CLC43.labels))

# Key of BASES of each class, in CLC43 order.
BASE_NAMES: tuple[str, ...] = tuple(_find_row(x)["base"] for x in CLC43.labels)

"""Spectral signature and texture of each of the 43 synthetic classes.

All numbers are ours. They look like the reflectances of Level-2A products, but none
was measured: they say nothing about the real classes. A change here changes the
bytes of every synthetic archive.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import BANDS
from bigearthnet.release.nomenclature import CLC43


class Tint(NamedTuple):
    """Factors that turn a base spectrum into the signature of a class.

    Attributes:
        base: Key of BASES.
        blue: Factor on B01 and B02.
        green: Factor on B03.
        red: Factor on B04.
        nir: Factor on B06 to B09 (near infrared).
        swir: Factor on B11 and B12 (short-wave infrared).
    """

    base: str
    blue: float
    green: float
    red: float
    nir: float
    swir: float


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

# label: tint, texture. In CLC-code order; the second of a pair is in PAIRS only.
_CLASSES: dict[str, tuple[Tint, Texture]] = {
    "Continuous urban fabric": (
        Tint("urban", 1.10, 1.04, 1.00, 0.90, 1.05),
        Texture(1.0, 1.0, 0, 0.27),
    ),
    "Discontinuous urban fabric": (
        Tint("urban", 0.80, 0.85, 0.80, 1.25, 0.90),
        Texture(1.3, 1.0, 0, 0.23),
    ),
    "Road and rail networks and associated land": (
        Tint("urban", 0.95, 0.90, 0.85, 0.75, 0.75),
        Texture(1.2, 8.0, 30, 0.22),
    ),
    "Port areas": (
        Tint("urban", 1.20, 1.10, 0.92, 0.60, 0.50),
        Texture(2.0, 4.0, 90, 0.27),
    ),
    "Airports": (
        Tint("urban", 0.75, 0.95, 0.85, 1.65, 1.25),
        Texture(2.5, 8.0, 60, 0.20),
    ),
    "Mineral extraction sites": (
        Tint("rock", 0.90, 1.05, 1.18, 1.25, 1.20),
        Texture(5.0, 1.0, 0, 0.20),
    ),
    "Dump sites": (
        Tint("rock", 0.70, 0.72, 0.78, 0.75, 1.15),
        Texture(2.0, 1.0, 0, 0.27),
    ),
    "Construction sites": (
        Tint("rock", 0.85, 0.85, 1.05, 1.00, 0.70),
        Texture(3.0, 3.0, 0, 0.25),
    ),
    "Green urban areas": (
        Tint("grass", 1.50, 1.00, 1.15, 0.65, 0.65),
        Texture(1.6, 1.0, 0, 0.22),
    ),
    "Sport and leisure facilities": (
        Tint("grass", 1.20, 1.15, 0.90, 0.95, 1.30),
        Texture(3.0, 2.0, 45, 0.20),
    ),
    "Non-irrigated arable land": (
        Tint("crop", 1.10, 1.00, 1.30, 0.75, 1.35),
        Texture(3.0, 4.0, 20, 0.18),
    ),
    "Permanently irrigated land": (
        Tint("crop", 0.80, 1.05, 0.80, 1.25, 0.75),
        Texture(4.0, 3.0, 110, 0.18),
    ),
    "Rice fields": (
        Tint("crop", 1.05, 1.00, 0.85, 0.60, 0.35),
        Texture(5.0, 2.5, 0, 0.18),
    ),
    "Vineyards": (
        Tint("dry", 0.90, 0.85, 1.00, 1.15, 1.05),
        Texture(1.0, 6.0, 70, 0.20),
    ),
    "Fruit trees and berry plantations": (
        Tint("crop", 0.85, 0.85, 0.95, 0.80, 1.00),
        Texture(1.2, 4.0, 140, 0.22),
    ),
    "Olive groves": (
        Tint("dry", 0.75, 0.80, 0.80, 0.85, 0.85),
        Texture(1.2, 1.0, 0, 0.18),
    ),
    "Pastures": (
        Tint("grass", 0.95, 1.05, 0.95, 1.15, 1.05),
        Texture(6.0, 1.5, 160, 0.14),
    ),
    "Annual crops associated with permanent crops": (
        Tint("dry", 0.85, 1.05, 0.90, 1.40, 0.75),
        Texture(2.0, 2.5, 100, 0.22),
    ),
    "Agro-forestry areas": (
        Tint("dry", 1.00, 1.02, 1.12, 1.05, 1.25),
        Texture(2.2, 1.0, 0, 0.23),
    ),
    "Broad-leaved forest": (
        Tint("forest", 1.00, 1.10, 0.95, 1.20, 1.00),
        Texture(2.6, 1.0, 0, 0.16),
    ),
    "Coniferous forest": (
        Tint("forest", 0.90, 0.80, 0.85, 0.60, 0.65),
        Texture(1.5, 1.0, 0, 0.18),
    ),
    "Natural grassland": (
        Tint("shrub", 1.00, 1.20, 1.15, 1.10, 1.30),
        Texture(8.0, 1.5, 45, 0.16),
    ),
    "Beaches, dunes, sands": (
        Tint("sand", 1.00, 1.00, 1.00, 1.00, 1.00),
        Texture(4.0, 5.0, 80, 0.16),
    ),
    "Bare rock": (
        Tint("rock", 1.12, 1.02, 0.95, 0.85, 0.80),
        Texture(2.2, 3.0, 120, 0.27),
    ),
    "Sparsely vegetated areas": (
        Tint("soil", 1.05, 0.95, 0.88, 1.10, 0.85),
        Texture(3.5, 2.0, 10, 0.23),
    ),
    "Burnt areas": (
        Tint("soil", 0.55, 0.45, 0.42, 0.40, 0.72),
        Texture(6.0, 1.0, 0, 0.22),
    ),
    "Inland marshes": (
        Tint("marsh", 1.00, 1.05, 0.90, 1.15, 0.70),
        Texture(3.5, 3.0, 150, 0.23),
    ),
    "Peatbogs": (
        Tint("marsh", 0.85, 0.90, 1.10, 0.90, 1.20),
        Texture(7.0, 1.0, 0, 0.20),
    ),
    "Salt marshes": (
        Tint("marsh", 1.35, 1.10, 1.05, 0.75, 0.90),
        Texture(2.5, 4.0, 15, 0.22),
    ),
    "Salines": (
        Tint("sand", 1.20, 1.00, 0.80, 0.55, 0.18),
        Texture(6.0, 2.0, 90, 0.20),
    ),
    "Intertidal flats": (
        Tint("water", 1.15, 1.55, 1.90, 2.30, 2.60),
        Texture(10.0, 3.0, 135, 0.20),
    ),
    "Water courses": (
        Tint("water", 0.75, 1.10, 1.05, 1.70, 1.20),
        Texture(4.0, 6.0, 40, 0.14),
    ),
    "Water bodies": (
        Tint("water", 0.90, 0.90, 0.80, 1.00, 1.00),
        Texture(12.0, 1.0, 0, 0.13),
    ),
    "Coastal lagoons": (
        Tint("water", 1.20, 1.35, 0.95, 0.80, 0.80),
        Texture(9.0, 2.0, 0, 0.14),
    ),
    "Estuaries": (
        Tint("water", 1.00, 1.40, 1.75, 1.20, 0.70),
        Texture(7.0, 4.0, 100, 0.16),
    ),
}

_VISIBLE = ("B01", "B02", "B03", "B04")
_RED_EDGE = ("B05",)
_SHORT_WAVE = ("B11", "B12")


def _infrared(nir: float, swir: float) -> npt.NDArray[np.float64]:
    """Factors (nir, swir) as one factor a band; 1 on the visible bands.

    The red edge (B05) lies half way up to the near infrared.
    """
    factors = dict.fromkeys((band.name for band in BANDS), nir)
    factors |= dict.fromkeys(_VISIBLE, 1.0)
    factors |= dict.fromkeys(_RED_EDGE, math.sqrt(nir))
    factors |= dict.fromkeys(_SHORT_WAVE, swir)
    return np.array([factors[band.name] for band in BANDS])


def _tinted(tint: Tint) -> npt.NDArray[np.float64]:
    spectrum = np.array(BASES[tint.base]) * _infrared(tint.nir, tint.swir)
    spectrum[: len(_VISIBLE)] *= (tint.blue, tint.blue, tint.green, tint.red)
    return spectrum


def _signature(label: str) -> npt.NDArray[np.float64]:
    if label not in PAIRS:
        return _tinted(_CLASSES[label][0])
    partner, nir, swir = PAIRS[label]
    return _signature(partner) * _infrared(nir, swir)


# Mean digital number of each class in each band at gain 1, shape (class, band): CLC43
# order, bands in ascending wavelength.
SIGNATURES: npt.NDArray[np.float64] = np.stack([_signature(x) for x in CLC43.labels])

# Texture of each class, in CLC43 order.
TEXTURES: tuple[Texture, ...] = tuple(
    _CLASSES[PAIRS[label][0] if label in PAIRS else label][1] for label in CLC43.labels
)

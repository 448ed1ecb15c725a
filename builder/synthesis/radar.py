"""Draws what Sentinel-1 sees of a mosaic: backscatter in dB, with speckle.

All numbers are ours, chosen so that mean and spread of both bands are near those that
are published of the real patches. A class shares its backscatter with all that are made
of the same base spectrum: radar tells some classes apart, and others not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from builder.synthesis.classes import BASE_NAMES
from builder.synthesis.pixels import Floats

# Mean backscatter in dB of VV and VH, by base of `classes.BASES`.
_BACKSCATTER: dict[str, tuple[float, float]] = {
    "crop": (-11.5, -18.5),
    "grass": (-12.5, -20.0),
    "forest": (-10.5, -15.5),
    "shrub": (-11.5, -17.0),
    "dry": (-12.5, -20.5),
    "soil": (-13.5, -22.5),
    "urban": (-4.5, -12.0),
    "rock": (-9.0, -17.5),
    "sand": (-16.5, -25.0),
    "marsh": (-14.0, -21.5),
    "water": (-20.0, -28.0),
}

# dB, shape (band, class): VV, VH; CLC43 order.
BACKSCATTER_DB: Floats = np.array([_BACKSCATTER[name] for name in BASE_NAMES]).T

# Looks that a pixel is the mean of: GRDH products have 4.4 (ESA, Sentinel-1 Product
# Specification).
_LOOKS = 4.4
# Standard deviation in dB of what a whole patch differs by: angle, moisture.
_PATCH_SIGMA_DB = 1.5


def draw_radar(
    labels: tuple[int, ...],
    mosaic: npt.NDArray[np.intp],
    log_brightness: Floats,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Draws the backscatter of a mosaic.

    Args:
        labels: Class ids of CLC43.
        mosaic: Index of the label of each pixel, shape (y, x).
        log_brightness: Logarithm of the brightness of its cell, likewise.
        rng: Source of randomness.

    Returns:
        Shape (band, y, x), float32, dB: VV, VH.
    """
    seen = BACKSCATTER_DB[:, np.array(labels)[mosaic]]
    power: Floats = rng.standard_gamma(_LOOKS, seen.shape) / _LOOKS
    seen += 10 * (np.log10(power) + np.log10(np.e) * log_brightness)
    seen += rng.normal(0.0, _PATCH_SIGMA_DB)
    return seen.astype(np.float32)

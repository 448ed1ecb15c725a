"""UTM coordinates → longitude and latitude on WGS 84."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# WGS 84: semi-major axis in metres, and flattening.
_AXIS, _FLATTENING = 6_378_137.0, 1 / 298.257223563
_SCALE, _FALSE_EASTING, _FALSE_NORTHING = 0.9996, 500_000, 10_000_000

_N = _FLATTENING / (2 - _FLATTENING)
_RADIUS = _AXIS / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64) * _SCALE
_BETAS = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96,
    _N**2 / 48 + _N**3 / 15,
    17 * _N**3 / 480,
)
_DELTAS = (
    2 * _N - 2 * _N**2 / 3 - 2 * _N**3,
    7 * _N**2 / 3 - 8 * _N**3 / 5,
    56 * _N**3 / 15,
)


def to_degrees(
    epsg: npt.NDArray[np.int64],
    easting: npt.NDArray[np.float64],
    northing: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns longitude and latitude, to a centimetre; NaN outside of UTM's zones.

    Args:
        epsg: EPSG codes of the zones: 32601 to 32660 north, 32701 to 32760 south.
        easting: Metres, of the same shape.
        northing: Metres, of the same shape.

    Source: L. Krüger's series in the third flattening, as C. Karney gives them
    ("Transverse Mercator with an accuracy of a few nanometers", 2011, section 4).
    """
    hemisphere, zone = np.divmod(epsg, 100)
    is_south = hemisphere == 327
    known = ((hemisphere == 326) | is_south) & (zone >= 1) & (zone <= 60)
    xi = (northing - _FALSE_NORTHING * is_south) / _RADIUS
    eta = (easting - _FALSE_EASTING) / _RADIUS
    doubles = [2 * (number + 1) for number in range(len(_BETAS))]
    terms = list(zip(doubles, _BETAS, strict=True))
    x = xi - sum(b * np.sin(k * xi) * np.cosh(k * eta) for k, b in terms)
    y = eta - sum(b * np.cos(k * xi) * np.sinh(k * eta) for k, b in terms)
    chi = np.arcsin(np.sin(x) / np.cosh(y))
    terms = list(zip(doubles, _DELTAS, strict=True))
    latitude = chi + sum(d * np.sin(k * chi) for k, d in terms)
    longitude = np.degrees(np.arctan2(np.sinh(y), np.cos(x))) + 6 * zone - 3
    longitude = longitude % 360 - 180
    return (
        np.where(known, longitude, np.nan),
        np.where(known, np.degrees(latitude), np.nan),
    )

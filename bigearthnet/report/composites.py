"""Bands → pictures: composites, index maps, radar, reference maps.

Pure functions of arrays. Index maps are computed in floats: integers of 16 bits wrap
where a difference is negative, which made an NDVI of 306 of water.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release.bands import RGB
from bigearthnet.report.land_cover import COLORS
from bigearthnet.schema.rgb import radar_to_rgb, to_rgb
from bigearthnet.util.options import look_up


@dataclass(frozen=True)
class Composite:
    """Three bands as red, green and blue, with the stretch of `rgb.STRETCH`.

    Attributes:
        bands: Names of the bands.
        description: What it shows, for people.
    """

    bands: tuple[str, str, str]
    description: str


@dataclass(frozen=True)
class Index:
    """The normalized difference of two bands, (first − second) / (first + second).

    Attributes:
        bands: The first and the second band.
        description: What it shows, for people.
        colors: Name of the colour map of matplotlib, drawn from −1 to 1.
    """

    bands: tuple[str, str]
    description: str
    colors: str


@dataclass(frozen=True)
class Radar:
    """Backscatter as red, green and blue; see `rgb.radar_to_rgb`.

    Attributes:
        bands: Names of the bands.
        description: What it shows, for people.
    """

    bands: tuple[str, str]
    description: str


@dataclass(frozen=True)
class ReferenceMap:
    """A map of classes in the colours of CORINE Land Cover.

    Attributes:
        bands: Name of the only band.
        description: What it shows, for people.
    """

    bands: tuple[str]
    description: str


Kind = Composite | Index | Radar | ReferenceMap

KINDS: Mapping[str, Kind] = {
    "true_color": Composite(RGB, "natural colours"),
    "false_color": Composite(("B08", "B04", "B03"), "near infrared: vegetation is red"),
    "swir": Composite(
        ("B12", "B8A", "B04"),
        "short-wave infrared: vegetation is green, bare soil reddish, snow blue",
    ),
    # Rouse et al., 1974.
    "ndvi": Index(("B08", "B04"), "vegetation, from −1 to 1", "RdYlGn"),
    # McFeeters, 1996; of the two indices of that name, the one that shows open water.
    "ndwi": Index(("B03", "B08"), "open water, from −1 to 1", "BrBG"),
    "sar": Radar(("VV", "VH"), "backscatter: VV, VH and VV − VH"),
    "reference_map": ReferenceMap(("reference_map",), "classes of CORINE Land Cover"),
}


def find_kind(name: str) -> Kind:
    """Returns a kind of picture by name.

    Raises:
        OptionError: If there is none of that name.
    """
    return look_up(KINDS, name, "kind of picture")


def list_kinds(bands: Mapping[str, Any]) -> list[str]:
    """Returns the names of the kinds that can be made of some bands."""
    return [name for name, kind in KINDS.items() if set(kind.bands) <= set(bands)]


def compute_index(
    first: npt.NDArray[Any], second: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Computes a normalized difference, (first − second) / (first + second).

    Args:
        first: Digital numbers or reflectance, of any shape and type.
        second: Likewise.

    Returns:
        The same shape, float32, in [−1, 1] where neither is negative; NaN where both
        are 0.
    """
    one, other = first.astype(np.float32), second.astype(np.float32)
    total = one + other
    nothing = np.full_like(total, np.nan)
    return np.divide(one - other, total, out=nothing, where=total != 0)


def make_picture(
    bands: Mapping[str, npt.NDArray[Any]], name: str
) -> npt.NDArray[np.uint8]:
    """Makes a picture of a patch.

    Args:
        bands: Band name → shape (y, x), at its own resolution or any: optical bands in
            digital numbers, VV and VH in dB, a map as it is stored.
        name: Name of the kind.

    Returns:
        Shape (y, x, channel), uint8, red, green and blue; of the size of the largest
        of its bands, of which smaller ones repeat pixels.

    Raises:
        OptionError: If there is no such kind, or a band that it needs is missing.
    """
    kind = find_kind(name)
    found = take_bands(bands, name)
    if isinstance(kind, Composite):
        return to_rgb([_to_numbers(band) for band in found])
    if isinstance(kind, Index):
        from matplotlib import colormaps

        values = (compute_index(*found) + 1) / 2
        colored = colormaps[kind.colors](np.ma.masked_invalid(values), bytes=True)
        return np.ascontiguousarray(colored[..., :3])
    if isinstance(kind, Radar):
        return radar_to_rgb(*found)
    return COLORS.take(found[0].astype(np.uint8), axis=0)


def take_bands(
    bands: Mapping[str, npt.NDArray[Any]], name: str
) -> list[npt.NDArray[Any]]:
    """Returns the bands that a kind of picture is made of, all of one size.

    Raises:
        OptionError: If there is no such kind, or a band is missing.
    """
    kind = find_kind(name)
    if not bands:
        raise OptionError(
            f"{name} needs {', '.join(kind.bands)}: the patch has no bands. What has a "
            "picture in their place is drawn as true_color."
        )
    if missing := [band for band in kind.bands if band not in bands]:
        possible = ", ".join(list_kinds(bands)) or "none"
        raise OptionError(
            f"{name} needs {', '.join(kind.bands)}: {', '.join(missing)} not among "
            f"{', '.join(bands) or 'no bands'}. Pictures that can be made: {possible}."
        )
    found = [np.asarray(bands[band]) for band in kind.bands]
    size = max(len(band) for band in found)
    return [_repeat(band, size) for band in found]


def _repeat(band: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Repeats pixels, so that a band of 20 or 60 m lies over one of 10 m."""
    rows = np.arange(size) * len(band) // size
    return band if len(band) == size else band[rows[:, None], rows]


def _to_numbers(band: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Returns digital numbers as integers; interpolated ones may lie below 0."""
    if band.dtype == np.uint16:
        return band
    return np.rint(np.nan_to_num(band)).clip(0, 2**16 - 1).astype(np.uint16)

"""Names of the models, and the bands that each takes, in the order of its channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

from bigearthnet.release import Archive
from bigearthnet.release.bands import RGB, order_bands

# Models of the authors' later code ("BigEarthNet Deep Learning Models with TensorFlow",
# 2019) and its order of bands, which released weights depend on; 60 m bands are left
# out but of the K-Branch CNN.
ResNet: TypeAlias = Literal["resnet50", "resnet101", "resnet152"]
Vgg: TypeAlias = Literal["vgg16", "vgg19"]
RELEASED_MODELS = (*get_args(ResNet), *get_args(Vgg), "k_branch")
_RELEASED_BANDS = (
    *("B04", "B03", "B02", "B08"),
    *("B05", "B06", "B07", "B8A", "B11", "B12"),
)

# The model that takes whatever bands the chosen sensors have.
ALL_BANDS = "s_cnn_all"
# Every other model → its bands.
_FIXED_BANDS: Mapping[str, tuple[str, ...]] = {
    "s_cnn_rgb": RGB,
    "inception_v2": RGB,
    **dict.fromkeys(RELEASED_MODELS, _RELEASED_BANDS),
    "k_branch": (*_RELEASED_BANDS, "B01", "B09"),
}


def find_bands(
    model: str, archives: Iterable[Archive], sensors: str
) -> tuple[str, ...]:
    """Returns the bands that a model takes, in the order of its channels.

    Args:
        model: Name of the model.
        archives: What its patches are made of.
        sensors: Name of the archive whose bands ALL_BANDS takes, or `all`.

    Returns:
        Names; of ALL_BANDS by ascending wavelength, those without one last.
    """
    if model != ALL_BANDS:
        return _FIXED_BANDS[model]
    chosen = [a for a in archives if sensors in ("all", a.name)]
    groups = [g for archive in chosen for g in archive.groups if not g.is_map]
    return tuple(band.name for band in order_bands(groups))

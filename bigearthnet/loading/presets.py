"""Inputs of other packages by name: bands, classes, resampling and scaling, in order.

A model that was trained with one of these packages gets the same from `load`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigearthnet.errors import OptionError
from bigearthnet.release.bands import BANDS
from bigearthnet.util.options import look_up


@dataclass(frozen=True)
class Preset:
    """What one package gives to models.

    Attributes:
        name: Short name.
        package: Package and version.
        source: Where that stands in it.
        config: Configuration that has the bands.
        bands: Names of the bands, in the order of the channels.
        labels: The nomenclature.
        resampling: How bands of 20 and 60 m get 120 × 120 pixels.
        offset: Of each channel, what is subtracted.
        divisor: Of each channel, what is divided by then.
        note: What differs all the same.
    """

    name: str
    package: str
    source: str
    config: str
    bands: tuple[str, ...]
    labels: str
    resampling: str
    offset: tuple[float, ...]
    divisor: tuple[float, ...]
    note: str = ""

    @property
    def load_options(self) -> dict[str, Any]:
        """Options of `load` and of `torch_dataset`."""
        names = ("config", "bands", "labels", "resampling")
        return {name: getattr(self, name) for name in names}

    def scale(self, images: Any) -> Any:
        """Scales images that were loaded with `load_options`.

        Args:
            images: Shape (…, y, x, channel), float32, of NumPy or TensorFlow; or
                (…, channel, y, x) of PyTorch. Integers are taken as float32.

        Returns:
            (images - offset) / divisor of each channel, of the same kind.

        Raises:
            OptionError: If they have another number of channels.
        """
        is_torch = hasattr(images, "new_tensor")
        axis = -3 if is_torch else -1
        shape = getattr(images, "shape", ())
        # TensorFlow may not know a shape, or a size of it.
        sizes = None if getattr(shape, "rank", 0) is None else tuple(shape)
        if sizes is not None and (
            len(sizes) < 3 or sizes[axis] not in (len(self.bands), None)
        ):
            raise OptionError(
                f"preset {self.name}: expected images with {len(self.bands)} channels "
                f"on axis {axis}, as load_options give them, got shape {sizes}."
            )
        images = _make_floats(images)
        offset: Any = np.array(self.offset, np.float32)
        divisor: Any = np.array(self.divisor, np.float32)
        if is_torch:
            offset = images.new_tensor(offset).view(-1, 1, 1)
            divisor = images.new_tensor(divisor).view(-1, 1, 1)
        return (images - offset) / divisor


def _make_floats(images: Any) -> Any:
    """Returns integers as float32, of the same library; anything else as it is."""
    if hasattr(images, "is_floating_point"):  # of PyTorch
        return images if images.is_floating_point() else images.float()
    if getattr(images.dtype, "is_integer", False):  # of TensorFlow
        import tensorflow as tf

        return tf.cast(images, tf.float32)
    is_integer = isinstance(images, np.ndarray) and images.dtype.kind in "iu"
    return images.astype(np.float32) if is_integer else images


class _Presets(dict[str, Preset]):
    """Presets by name; the error for another name lists those that there are."""

    def __missing__(self, name: str) -> Preset:
        return look_up(self, name, "preset")


_S2 = tuple(band.name for band in BANDS)
_S2_10M_20M = tuple(band.name for band in BANDS if band.resolution_m < 60)
_S1 = ("VV", "VH")

# Mean and standard deviation of the train split of v2.0, `120_nearest`: the same in
# ConfigILM 0.6.6 and 0.7.1.
_STATISTICS = {
    "B01": (361.0767822265625, 575.0687255859375),
    "B02": (438.3720703125, 607.02685546875),
    "B03": (614.0556640625, 603.2968139648438),
    "B04": (588.4096069335938, 684.56884765625),
    "B05": (942.8433227539062, 738.4326782226562),
    "B06": (1769.931640625, 1100.4560546875),
    "B07": (2049.551513671875, 1275.805419921875),
    "B08": (2193.2919921875, 1369.3717041015625),
    "B8A": (2235.556640625, 1356.5440673828125),
    "B09": (2241.455322265625, 1316.393310546875),
    "B11": (1568.226806640625, 1070.1612548828125),
    "B12": (997.7324829101562, 813.5276489257812),
    "VV": (-12.643863677978516, 5.133493900299072),
    "VH": (-19.352558135986328, 5.590505599975586),
}

# Least and most of torchgeo's data module of v1.0, of 100,000 patches.
_TORCHGEO_MOST = dict(
    zip(
        _S2,
        (
            9859,
            12872,
            13163,
            14445,
            12477,
            12563,
            12289,
            15596,
            12183,
            9458,
            5897,
            5544,
        ),
        strict=True,
    )
)


def _find_config(bands: Sequence[str]) -> str:
    sensors = {"s1" if band in _S1 else "s2" for band in bands}
    return f"v2-{''.join(sorted(sensors))}"


def _standardise(
    name: str, package: str, bands: Sequence[str], note: str = ""
) -> Preset:
    """Returns a preset of ConfigILM, and of the models that are trained with it."""
    offset, divisor = zip(*(_STATISTICS[band] for band in bands), strict=True)
    return Preset(
        name,
        package,
        "configilm/extra/BENv2_utils.py: STANDARD_BANDS, means and stds (120_nearest)",
        _find_config(bands),
        tuple(bands),
        "ben19_alphabetical",
        "nearest",
        offset,
        divisor,
        note,
    )


def _list_reben() -> list[Preset]:
    # The order of ConfigILM before version 0.7.
    old = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B11", "B12", "B8A")
    orders = {
        "reben-v0.1.1": ("0.6.6", (*old, "VH", "VV"), old, ("VH", "VV")),
        "reben-v0.2.0": ("0.7.1", (*_S1, *_S2_10M_20M), _S2_10M_20M, _S1),
    }
    return [
        _standardise(
            f"{name}{suffix}", f"reBEN models, with ConfigILM {version}", bands
        )
        for name, (version, *choices) in orders.items()
        for suffix, bands in zip(("", "-s2", "-s1"), choices, strict=True)
    ]


def _list_configilm() -> list[Preset]:
    channels = {
        "configilm": (*_S1, *_S2),
        "configilm-12": (*_S1, *_S2_10M_20M),
        "configilm-10": _S2_10M_20M,
        "configilm-4": ("B02", "B03", "B04", "B08"),
        "configilm-3": ("B04", "B03", "B02"),
        "configilm-2": _S1,
    }
    notes = {
        "configilm": "its data module fails with 14 channels; its data set does not"
    }
    return [
        _standardise(name, "ConfigILM 0.7.1", bands, notes.get(name, ""))
        for name, bands in channels.items()
    ]


def _list_torchgeo() -> list[Preset]:
    # Files in the order of their names: VH first, though VV is documented.
    radar = ("VH", "VV")
    rounded = "torchgeo rounds to integers, which moves dB by up to 0.5"
    choices = {
        "torchgeo": ((*radar, *_S2), f"as one image; {rounded}"),
        "torchgeo-s2": (_S2, "torchgeo rounds resampled pixels"),
        "torchgeo-s1": (radar, rounded),
    }
    found = [
        Preset(
            name,
            "torchgeo 0.8.1",
            "torchgeo/datasets/bigearthnet.py: BigEarthNetV2, which does not scale",
            _find_config(bands),
            bands,
            "ben19",
            "bilinear",
            (0.0,) * len(bands),
            (1.0,) * len(bands),
            note,
        )
        for name, (bands, note) in choices.items()
    ]
    first = dataclasses.replace(
        found[1],
        name="torchgeo-v1-s2",
        source="torchgeo/datamodules/bigearthnet.py: mins and maxs",
        config="s2",
        offset=(1.0,) * len(_S2),
        divisor=tuple(_TORCHGEO_MOST[band] - 1.0 for band in _S2),
    )
    return [*found, first]


# Name → preset. Names that end in sensors, or in a number of channels, choose bands.
presets = _Presets(
    (preset.name, preset)
    for preset in (*_list_reben(), *_list_configilm(), *_list_torchgeo())
)

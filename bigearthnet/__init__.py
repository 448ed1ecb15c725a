"""BigEarthNet: 590,326 Sentinel-2 patches, from the archive to fast exact loaders.

Importing the package registers the builder of `tfds.load("bigearthnet")` where
tensorflow-datasets is installed. It imports neither TensorFlow nor datasets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bigearthnet.errors import (
    ArchiveError,
    BigEarthNetError,
    ChecksumError,
    DiskSpaceError,
    LabelError,
    OptionError,
    PatchError,
    ShardError,
    StoreError,
)
from bigearthnet.loading import load
from bigearthnet.loading.presets import Preset, presets
from bigearthnet.registration import IS_REGISTERED
from bigearthnet.release import RELEASES, V1, V2, Release, bands, nomenclature
from bigearthnet.release.bands import BANDS, GROUPS, RGB, Band, BandGroup
from bigearthnet.release.nomenclature import (
    BEN19,
    BEN19_ALPHABETICAL,
    CLC43,
    CLC43_ALPHABETICAL,
    CLC_LEVEL1,
    CLC_LEVEL2,
    Nomenclature,
    multi_hot,
    remap,
    remap_ids,
)

if TYPE_CHECKING:
    from bigearthnet.datasets_support import load_dataset
    from bigearthnet.loading.to_tf import to_tf
    from bigearthnet.loading.to_torch import torch_dataset
    from bigearthnet.reading import open_reader
    from bigearthnet.reading.arrow import ArrowReader
    from bigearthnet.reading.tfrecord import TFRecordReader
    from bigearthnet.release.crosswalk import crosswalk
    from bigearthnet.report.plotting import plot, show

__version__ = "0.1.0"

__all__ = [
    "BANDS",
    "BEN19",
    "BEN19_ALPHABETICAL",
    "CLC43",
    "CLC43_ALPHABETICAL",
    "CLC_LEVEL1",
    "CLC_LEVEL2",
    "GROUPS",
    "IS_REGISTERED",
    "RELEASES",
    "RGB",
    "V1",
    "V2",
    "ArchiveError",
    "ArrowReader",
    "Band",
    "BandGroup",
    "BigEarthNetError",
    "ChecksumError",
    "DiskSpaceError",
    "LabelError",
    "Nomenclature",
    "OptionError",
    "PatchError",
    "Preset",
    "Release",
    "ShardError",
    "StoreError",
    "TFRecordReader",
    "bands",
    "crosswalk",
    "load",
    "load_dataset",
    "multi_hot",
    "nomenclature",
    "open_reader",
    "plot",
    "presets",
    "remap",
    "remap_ids",
    "show",
    "to_tf",
    "torch_dataset",
]

# Names that need pyarrow, which takes a while to import → their modules.
_IMPORTED_LATER = {
    "ArrowReader": "bigearthnet.reading.arrow",
    "TFRecordReader": "bigearthnet.reading.tfrecord",
    "crosswalk": "bigearthnet.release.crosswalk",
    "load_dataset": "bigearthnet.datasets_support",
    "open_reader": "bigearthnet.reading",
    "plot": "bigearthnet.report.plotting",
    "show": "bigearthnet.report.plotting",
    "to_tf": "bigearthnet.loading.to_tf",
    "torch_dataset": "bigearthnet.loading.to_torch",
}


def __getattr__(name: str) -> Any:
    """Imports what needs pyarrow when it is first asked for."""
    if name in _IMPORTED_LATER:
        return getattr(importlib.import_module(_IMPORTED_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""BigEarthNet: 590,326 Sentinel-2 patches, from the archive to fast exact loaders.

Importing the package registers the builder of `tfds.load("bigearthnet")` where
tensorflow-datasets is installed. It imports neither TensorFlow nor datasets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from bigearthnet.registration import IS_REGISTERED
from bigearthnet.release.bands import BANDS, GROUPS, RGB, Band, BandGroup
from bigearthnet.release.nomenclature import (
    BEN19,
    BEN19_ALPHABETICAL,
    CLC43,
    CLC43_ALPHABETICAL,
    CLC_LEVEL1,
    CLC_LEVEL2,
    Nomenclature,
    remap,
    remap_ids,
)

if TYPE_CHECKING:
    from bigearthnet.reading.arrow import ArrowReader

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
    "RGB",
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
    "ShardError",
    "StoreError",
    "load",
    "remap",
    "remap_ids",
]


def __getattr__(name: str) -> object:
    """Imports `ArrowReader`, and pyarrow with it, when it is first asked for."""
    if name == "ArrowReader":
        from bigearthnet.reading.arrow import ArrowReader

        return ArrowReader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The second release, of 2024, known as reBEN: Sentinel-2, Sentinel-1, reference maps.

Labels, splits and names come from two official tables, of which the package has its own
(`splits.read_table`); archives hold pixels alone.

Source: Zenodo record 10891137; Clasen et al., 2024, https://arxiv.org/abs/2407.03653.
"""

from __future__ import annotations

import dataclasses

from bigearthnet.release.bands import GROUPS, RADAR, RGB, Band, BandGroup
from bigearthnet.release.model import Archive, Choice, Digest, LabelSet, Release
from bigearthnet.release.nomenclature import BEN19, MAP_CODES
from bigearthnet.release.patch_ids import S1_IDS, S2_V2_IDS
from bigearthnet.release.v1 import V1_S1

_RECORD = "https://zenodo.org/records/10891137/files"

_MAP = BandGroup(
    "reference_map",
    (Band("reference_map", 10),),
    dtype="uint8",
    unit="class ids of CLC43, 43 for glaciers (CLC 335), 255 for unlabelled pixels",
    is_map=True,
    codes=MAP_CODES,
)

# No checksum but the MD5 is published; sizes are those of the downloads. All files of a
# patch lie in `<folder>/<product>/<patch>`, and there is no JSON.
_S2 = Archive(
    name="s2",
    url=f"{_RECORD}/BigEarthNet-S2.tar.zst",
    filenames=("BigEarthNet-S2.tar.zst",),
    folder="BigEarthNet-S2",
    levels=1,
    nbytes=63_251_710_377,
    digest=Digest("md5", "2245ed2d1a93f6ce637d839bc856396e"),
    ids=S2_V2_IDS,
    groups=GROUPS,
    has_place=True,
)
_S1 = dataclasses.replace(
    _S2,
    name="s1",
    url=f"{_RECORD}/BigEarthNet-S1.tar.zst",
    filenames=("BigEarthNet-S1.tar.zst",),
    folder="BigEarthNet-S1",
    nbytes=54_439_153_171,
    digest=Digest("md5", "a55eaa2cdf6a917e296bd6601ec1e348"),
    ids=S1_IDS,
    groups=(RADAR,),
    # v1.0's has the same files of these patches, those of others, and JSON, which says
    # labels of another nomenclature. Whoever has it needs no other download.
    spare_suffix=V1_S1.metadata_suffix,
    wider=(
        dataclasses.replace(
            V1_S1,
            metadata=None,
            has_place=True,
            spare_suffix=V1_S1.metadata_suffix,
        ),
    ),
)
_MAPS = dataclasses.replace(
    _S2,
    name="maps",
    url=f"{_RECORD}/Reference_Maps.tar.zst",
    filenames=("Reference_Maps.tar.zst",),
    folder="Reference_Maps",
    nbytes=282_391_301,
    digest=Digest("md5", "95d85a222fa983faddcac51a19f28917"),
    groups=(_MAP,),
)

_SPLITS = ("train", "validation", "test")
# Patches with snow, clouds or shadow have an official split, too.
_EXCLUDED = tuple(f"excluded_{split}" for split in _SPLITS)

V2 = Release(
    name="v2.0",
    data_version="1.0.0",
    num_patches=549_488,
    archives=(_S2, _S1, _MAPS),
    table="patches_v2.parquet",
    # Not called `labels`: no id of the 19 classes must be taken for one of the 43.
    label_sets=(LabelSet(BEN19, "labels_19", "multi_hot_19"),),
    label_column="ben19",
    splits=_SPLITS + _EXCLUDED,
    excluded=_EXCLUDED,
    fields=(
        "s1_name",
        "s2v1_name",
        "acquisition_date",
        "s1_acquisition_date",
        "epsg",
        "coordinates",
        "country",
        "season",
        "contains_seasonal_snow",
        "contains_cloud_or_shadow",
    ),
    rgb=RGB,
    choices=(
        Choice(
            "v2-s2",
            "official",
            ("s2", "maps"),
            "v2.0 (reBEN): 12 Sentinel-2 bands at native resolution and the reference "
            "map, official splits.",
            suffix="-v2",
            part="s2",
        ),
        Choice(
            "v2-s1",
            "official",
            ("s1",),
            "v2.0 (reBEN): Sentinel-1 backscatter, VV and VH, official splits.",
            suffix="-v2",
            part="s1",
        ),
        Choice(
            "v2-s1s2",
            "official",
            ("s2", "s1", "maps"),
            "v2.0 (reBEN): Sentinel-2, Sentinel-1 and the reference map, official "
            "splits.",
            suffix="-v2",
            has_tables=False,
        ),
        Choice(
            "v2-s2-rgb",
            "official",
            ("s2",),
            "v2.0 (reBEN): 8-bit RGB images (B04, B03, B02), official splits.",
            is_rgb=True,
            suffix="-v2",
        ),
    ),
    has_ids_digest=True,
)

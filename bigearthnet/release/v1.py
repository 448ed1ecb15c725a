"""The first release, of 2019, with CLC43 labels in the JSON of patches.

Sentinel-1 was published for the same patches in 2021 (BigEarthNet-MM).
"""

from __future__ import annotations

from bigearthnet.release.bands import GROUPS, RADAR, RGB
from bigearthnet.release.model import (
    Archive,
    Choice,
    Digest,
    LabelSet,
    MetadataKeys,
    Release,
)
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.release.patch_ids import S1_IDS, S2_PATTERN, IdCodec

S2_KEYS = MetadataKeys(
    suffix="_labels_metadata.json",
    south="lry",
    product="tile_source",
    time="acquisition_date",
    time_field="acquisition_date",
    separator=" ",
)

# Zenodo record 12687186; the older file on bigearth.net has the same bytes.
# `checksums/sources.tsv` and `bigearthnet/checksums.tsv` say the same (tested).
_S2 = Archive(
    name="s2",
    url="https://zenodo.org/records/12687186/files/BigEarthNet-S2-v1.0.tar.gz",
    filenames=("BigEarthNet-S2-v1.0.tar.gz", "BigEarthNet-v1.0.tar.gz"),
    folder="BigEarthNet-v1.0",
    levels=0,
    nbytes=70_032_164_579,
    digest=Digest(
        "sha256", "58744cf96b8cf02a7bd339a4a9602deea774ae98c6fe209f0d48d7ee0eef5700"
    ),
    ids=IdCodec(S2_PATTERN, "S2B_MSIL2A_20170924T93020_69_24", "prefix"),
    groups=GROUPS,
    metadata=S2_KEYS,
)

# No checksum but the MD5 is published, and no size.
V1_S1 = Archive(
    name="s1",
    url="https://zenodo.org/records/12687186/files/BigEarthNet-S1-v1.0.tar.gz",
    filenames=("BigEarthNet-S1-v1.0.tar.gz",),
    folder="BigEarthNet-S1-v1.0",
    levels=0,
    nbytes=None,
    digest=Digest("md5", "94ced73440dea8c7b9645ee738c5a172"),
    ids=S1_IDS,
    groups=(RADAR,),
    metadata=MetadataKeys(
        suffix="_labels_metadata.json",
        south="lly",
        product="scene_source",
        time="acquisition_time",
        time_field="s1_acquisition_date",
        separator="T",
        patch="corresponding_s2_patch",
    ),
)

_SCHEMES = (
    ("official", "official splits"),
    ("random", "a seeded random 60/20/20 split, as of s2-random"),
)

V1 = Release(
    name="v1.0",
    # Begins with 2 so that nobody takes it for TFDS's built-in 1.0.0.
    data_version="2.0.0",
    num_patches=590_326,
    archives=(_S2, V1_S1),
    table="patches_v1.parquet",
    label_sets=(
        LabelSet(CLC43, "labels", "multi_hot_43"),
        LabelSet(BEN19, "labels_19", "multi_hot_19"),
    ),
    label_column=None,
    splits=("train", "validation", "test", "excluded"),
    excluded=("excluded",),
    fields=(
        "s1_name",
        "tile_source",
        "scene_source",
        "acquisition_date",
        "s1_acquisition_date",
        "projection",
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
            "s2",
            "official",
            ("s2",),
            "12 Sentinel-2 bands at native resolution, official splits.",
        ),
        Choice(
            "s2",
            "random",
            ("s2",),
            "12 Sentinel-2 bands at native resolution, a seeded random 60/20/20 split "
            "of the patches without snow and cloud, which is the paper's protocol.",
        ),
        Choice(
            "s2-rgb",
            "official",
            ("s2",),
            "8-bit RGB images (B04, B03, B02), official splits.",
            is_rgb=True,
        ),
        *(
            Choice(
                "s1",
                scheme,
                ("s1",),
                f"Sentinel-1 backscatter, VV and VH, {splits}.",
                suffix="-s1",
            )
            for scheme, splits in _SCHEMES
        ),
        *(
            Choice(
                "s1s2",
                scheme,
                ("s2", "s1"),
                f"Sentinel-2 and Sentinel-1, {splits}.",
                suffix="-s1s2",
                has_tables=False,
            )
            for scheme, splits in _SCHEMES
        ),
    ),
)

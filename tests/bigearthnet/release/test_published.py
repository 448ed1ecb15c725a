from __future__ import annotations

import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_ids import S1_IDS, PatchId
from bigearthnet.release.published import explain

TILE = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        *[(name, "BigEarthNet v2.0") for name in ("BigEarthNet-S2", TILE)],
        ("BigEarthNet-S2.tar.zst", "BigEarthNet v2.0"),
        (f"{TILE}_26_57", "BigEarthNet v2.0"),
        (f"{TILE}_26_57_B8A.tif", "BigEarthNet v2.0"),
        ("Reference_Maps.tar.zst", "a map of BigEarthNet v2.0"),
        (f"{TILE}_26_57_reference_map.tif", "a map of BigEarthNet v2.0"),
        ("metadata.parquet", "metadata of BigEarthNet v2.0"),
        (
            "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
            "metadata of BigEarthNet v2.0",
        ),
        ("BigEarthNet-S1", "Sentinel-1 of BigEarthNet v2.0"),
        ("BigEarthNet-S1.tar.zst", "Sentinel-1 of BigEarthNet v2.0"),
        ("BigEarthNet-S1-v1.0.tar.gz", "Sentinel-1 of BigEarthNet v1.0"),
        (S1_IDS.example, "Sentinel-1 of BigEarthNet"),
        (f"{S1_IDS.example}_VV.tif", "Sentinel-1 of BigEarthNet"),
        ("S1A_IW_GRDH_1SDV_20170613T165043", "Sentinel-1 of BigEarthNet"),
    ],
)
def test_what_cannot_be_read_yet_is_known_by_name(name: str, what: str) -> None:
    """Archives, folders, files and ids of it are told apart."""
    assert f" This is {what}, which cannot be read yet" in explain("other", name)


@pytest.mark.parametrize(
    "name",
    [
        *[*V1.archive("s2").filenames, V1.archive("s2").folder, V1.ids.example],
        *[*V1.archive("s2").file_names(V1.ids.example), "", "patches.parquet"],
        *["BigEarthNet-S2-v1.0", "BigEarthNet-S2-Example", "S2A_MSIL2A_2017"],
    ],
)
def test_what_can_be_read_is_not_explained(name: str) -> None:
    """Nothing of v1.0's Sentinel-2 patches is taken for something else."""
    assert "" == explain(name)


@pytest.mark.parametrize("name", [f"{TILE}_26_57", S1_IDS.example])
def test_names_of_other_releases_are_no_patch_ids(name: str) -> None:
    """Who parses one is told what it is."""
    with pytest.raises(PatchError, match=r"not a patch id.* This is .*BigEarthNet"):
        PatchId.parse(name)

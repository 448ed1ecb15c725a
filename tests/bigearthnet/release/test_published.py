from __future__ import annotations

import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release import V1, V2, Archive
from bigearthnet.release.patch_ids import S1_IDS, PatchId
from bigearthnet.release.published import explain

TILE = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"


S2_USE = "which the config v2-s2 is built from"
S1_USE = "which the config v2-s1 is built from"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        *[(name, f"BigEarthNet v2.0, {S2_USE}") for name in ("BigEarthNet-S2", TILE)],
        ("BigEarthNet-S2.tar.zst", f"BigEarthNet v2.0, {S2_USE}"),
        (f"{TILE}_26_57", f"BigEarthNet v2.0, {S2_USE}"),
        (f"{TILE}_26_57_B8A.tif", f"BigEarthNet v2.0, {S2_USE}"),
        ("Reference_Maps.tar.zst", f"a map of BigEarthNet v2.0, {S2_USE}"),
        (f"{TILE}_26_57_reference_map.tif", f"a map of BigEarthNet v2.0, {S2_USE}"),
        ("metadata.parquet", "metadata of BigEarthNet v2.0, which is part of this"),
        (
            "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
            "metadata of BigEarthNet v2.0",
        ),
        ("BigEarthNet-S1", f"Sentinel-1 of BigEarthNet v2.0, {S1_USE}"),
        ("BigEarthNet-S1.tar.zst", f"Sentinel-1 of BigEarthNet v2.0, {S1_USE}"),
        (
            "BigEarthNet-S1-v1.0.tar.gz",
            "Sentinel-1 of BigEarthNet v1.0, which the config s1 is built from",
        ),
        (S1_IDS.example, f"Sentinel-1 of BigEarthNet, {S1_USE}"),
        (f"{S1_IDS.example}_VV.tif", f"Sentinel-1 of BigEarthNet, {S1_USE}"),
        ("S1A_IW_GRDH_1SDV_20170613T165043", f"Sentinel-1 of BigEarthNet, {S1_USE}"),
    ],
)
def test_what_was_published_is_known_by_name(name: str, what: str) -> None:
    """Archives, folders, files and ids of it are told apart."""
    assert f" This is {what}" in explain("other", name)
    assert f" This is {what}" in explain("other", name, archive=V1.archive("s2"))


@pytest.mark.parametrize("archive", V2.archives, ids=lambda archive: archive.name)
def test_an_archive_is_not_explained_to_itself(archive: Archive) -> None:
    """What should be of an archive is not called it; the others still are."""
    own = (*archive.filenames, archive.folder, archive.ids.example)
    others = {a.filenames[0] for a in (*V1.archives, *V2.archives)} - set(own)

    assert "" == explain(*own, archive=archive)
    for name in others:
        assert " This is " in explain(name, archive=archive)
    assert " This is BigEarthNet v1.0, which the config s2 is built from." == explain(
        V1.ids.example, archive=archive
    )


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

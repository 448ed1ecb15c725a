from __future__ import annotations

from pathlib import Path

from bigearthnet.release import Release
from bigearthnet.report.land_cover import COLORS
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.rgb import decode_image
from bigearthnet.store.search import open_store
from tests.builder.test_card_gallery import list_files, list_shown


def test_optical_patches_are_shown_with_their_maps(
    release: Release, stores: Path
) -> None:
    """Three pictures a patch; maps are in the colours of their classes alone."""
    store = open_store(stores, get_config("v2-s2", [release]), "parquet")
    files = list_files(store)
    natural = [name.removesuffix(".jpg") for name in files if name[-5].isdigit()]
    known = {tuple(color) for color in COLORS.tolist()}

    ends = (".jpg", "_false_color.jpg", "_reference_map.png")
    assert natural
    assert {name + end for name in natural for end in ends} == set(files)
    assert set(files) == set(list_shown(store))
    for name in natural:
        pixels = decode_image(files[f"{name}_reference_map.png"]).reshape(-1, 3)
        assert set(map(tuple, pixels.tolist())) <= known


def test_radar_is_shown_as_backscatter(release: Release, stores: Path) -> None:
    """One picture a patch, of the store of Sentinel-1 alone."""
    store = open_store(stores, get_config("v2-s1", [release]), "parquet")
    shown = list_shown(store)

    assert set(list_files(store)) == set(shown)
    assert shown
    assert all(name.endswith("_sar.jpg") for name in shown)
    assert all(text.endswith("VV, VH and VV − VH") for text in shown.values())

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS
from bigearthnet.release.nomenclature import CLC43
from builder import demo
from builder.loaders import LoadedPatch


def test_the_demonstration_compares_both_ends(tmp_path: Path) -> None:
    """The command builds, loads and compares the sample, and draws a picture.

    It replaces what an earlier one made.
    """
    demo._clear(tmp_path)
    (tmp_path / "data" / "huggingface").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "builder.demo", f"--output={tmp_path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    pictures = [
        matplotlib.image.imread(tmp_path / name)
        for name in ("patches.png", "radar.png")
    ]

    assert 0 == done.returncode, done.stderr
    assert "everything agrees, to the last bit" in done.stdout
    assert 8 == done.stdout.count("72 of 72")
    lines = done.stderr.splitlines()
    assert ["spool", "shards"] == [line.partition(":")[0] for line in lines]
    assert "bands=['VH', 'B04', 'VV', 'B03']): images (4, 120, 120, 4)" in done.stdout
    for picture in pictures:
        assert picture.shape[0] > 500
        assert picture[..., :3].std() > 0.1


def read_with_rasterio(folder: Path) -> dict[str, np.ndarray]:
    """Reads the bands of a patch by means of rasterio."""
    import rasterio

    bands = {}
    for band in BANDS:
        file = V1.archive("s2").band_file(folder.name, band)
        with rasterio.open(folder / file) as dataset:
            bands[band.name] = dataset.read(1)
    return bands


@pytest.mark.parametrize("change", ["pixel", "dtype"])
def test_a_wrong_band_is_counted(change: str, sample_folder: Path) -> None:
    """A band that differs in one pixel, or in its type, does not count as equal."""
    folder = next(sample_folder.iterdir())
    bands = read_with_rasterio(folder)
    unchanged = LoadedPatch("train", folder.name, dict(bands), {})
    if change == "pixel":
        bands["B09"] = bands["B09"].copy()
        bands["B09"][0, 0] += 1
    else:
        bands["B09"] = bands["B09"].astype(np.int64)
    changed = LoadedPatch("train", folder.name, bands, {})

    assert 12 == demo.count_equal_bands(unchanged, folder)
    assert 11 == demo.count_equal_bands(changed, folder)


@pytest.mark.parametrize("field", ["labels", "tile_source", "coordinates"])
def test_a_wrong_field_is_named(field: str, sample_folder: Path) -> None:
    """A field that differs from the JSON is named; one that was not loaded is not."""
    folder = next(sample_folder.iterdir())
    raw = json.loads((folder / f"{folder.name}_labels_metadata.json").read_text())
    fields = {
        "labels": sorted(CLC43.ids[label] for label in raw["labels"]),
        "coordinates": raw["coordinates"],
        "projection": raw["projection"],
        "tile_source": raw["tile_source"],
    }
    unchanged = LoadedPatch("train", folder.name, {}, fields)
    changed = LoadedPatch("train", folder.name, {}, {**fields, field: [0]})

    assert [] == demo.find_unequal_fields(unchanged, folder)
    assert [field] == demo.find_unequal_fields(changed, folder)


def test_only_what_a_demonstration_made_is_deleted(tmp_path: Path) -> None:
    """A folder `data` of somebody else is left alone, and nothing is written."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store").touch()

    with pytest.raises(OptionError, match="data is there, and would be deleted"):
        demo.run(tmp_path)
    assert ["data", "data/store"] == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")
    )

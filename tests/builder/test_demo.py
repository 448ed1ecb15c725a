from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from bigearthnet.patch import band_file
from builder import demo


def test_the_demonstration_compares_both_ends(tmp_path: Path) -> None:
    """The command builds, loads and compares the sample, and draws a picture."""
    done = subprocess.run(
        [sys.executable, "-m", "builder.demo", f"--output={tmp_path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    picture = matplotlib.image.imread(tmp_path / "patches.png")

    assert 0 == done.returncode, done.stderr
    assert "everything agrees, to the last bit" in done.stdout
    assert 6 == done.stdout.count("12 of 12")
    assert picture.shape[0] > 500
    assert picture[..., :3].std() > 0.1


def test_a_wrong_pixel_is_counted(sample_folder: Path) -> None:
    """A band that differs in one pixel does not count as equal."""
    folder = next(sample_folder.iterdir())
    example = read_with_rasterio(folder)
    example["bands_60m"][1, 0, 0] += 1

    assert 11 == demo.count_equal_bands(example, folder)


def read_with_rasterio(folder: Path) -> dict[str, np.ndarray]:
    """Reads the groups of a patch by means of rasterio."""
    import rasterio

    from bigearthnet.bands import GROUPS

    groups = {}
    for group in GROUPS:
        bands = []
        for band in group.bands:
            with rasterio.open(folder / band_file(folder.name, band.name)) as dataset:
                bands.append(dataset.read(1))
        groups[group.name] = np.stack(bands)
    return groups


@pytest.mark.parametrize("field", ["labels", "tile_source", "coordinates"])
def test_a_wrong_field_is_named(field: str, sample_folder: Path) -> None:
    """A field that differs from the JSON is named."""
    import json

    from bigearthnet.nomenclature import CLC43

    folder = next(sample_folder.iterdir())
    raw = json.loads((folder / f"{folder.name}_labels_metadata.json").read_text())
    example = {
        "labels": sorted(CLC43.ids[label] for label in raw["labels"]),
        "coordinates": raw["coordinates"],
        "projection": raw["projection"].encode(),
        "tile_source": raw["tile_source"].encode(),
        "acquisition_date": raw["acquisition_date"].encode(),
        "patch_id": folder.name.encode(),
    }
    unchanged = demo.find_unequal_fields(example, folder)
    changed = demo.find_unequal_fields({**example, field: [0]}, folder)

    assert [] == unchanged
    assert [field] == changed

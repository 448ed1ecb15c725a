from __future__ import annotations

import json
from pathlib import Path

import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import RELEASES
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.schema.configs import get_config
from builder.build import build
from builder.demo import count_equal_bands, find_unequal_fields
from builder.loaders import LOADERS

S2 = get_config("s2", RELEASES)


@pytest.fixture(scope="module")
def data_dir(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with all stores of the real sample."""
    folder = tmp_path_factory.mktemp("loaders")
    options = BuildOptions(include_excluded=True, quiet=True, workers=1)
    formats = ("tfrecord", "parquet", "arrow")
    build(sample_folder, folder, S2, options, formats=formats)
    return folder


@pytest.mark.parametrize("line", LOADERS)
def test_every_line_gives_what_was_published(
    line: str, data_dir: Path, sample_folder: Path, tmp_path: Path
) -> None:
    """Each way to load gives every patch once, bit for bit and field for field."""
    patches = list(LOADERS[line](data_dir, tmp_path))
    labels = {
        folder.name: sorted(
            CLC43.ids[label]
            for label in json.loads(
                (folder / f"{folder.name}_labels_metadata.json").read_text()
            )["labels"]
        )
        for folder in sample_folder.iterdir()
    }

    assert labels == {patch.patch_id: patch.fields["labels"] for patch in patches}
    assert 6 == len(patches)
    assert {"train": 4, "test": 1, "excluded": 1} == {
        split: [patch.split for patch in patches].count(split)
        for split in ("train", "test", "excluded")
    }
    for patch in patches:
        folder = sample_folder / patch.patch_id
        assert 12 == count_equal_bands(patch, folder)
        assert [] == find_unequal_fields(patch, folder)

"""Stores of v2.0 for the recipes, which need neither TensorFlow nor its datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import V2
from bigearthnet.schema.configs import get_config
from builder.build import build
from tests.archives import write_folder
from tests.v2.made import make_files


@pytest.fixture(scope="session")
def v2_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of made-up patches of both sensors; not to be changed."""
    folder = tmp_path_factory.mktemp("v2_tables")
    for archive in V2.archives:
        write_folder(folder / archive.folder, make_files(archive))
    options = BuildOptions(quiet=True, workers=1)
    for name in ("v2-s2", "v2-s1"):
        config = get_config(name, [V2])
        build(folder, folder / "data", config, options, formats=["arrow"])
    return folder / "data"

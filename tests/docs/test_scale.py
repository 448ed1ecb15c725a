from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bigearthnet.release.bands import GROUPS
from tests.docs.test_recipes import ROOT, find_packages, find_programs

TEXT = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
PARTS, *ENGINES = find_programs(TEXT)

# Seconds after which a program is said to hang; engines take a minute to start.
LIMIT = 600


def run(source: str, folder: Path) -> str:
    """Runs a program, if what it needs is installed; returns what it prints."""
    packages = find_packages(source)
    for package in packages:
        pytest.importorskip(package)
    if "pyspark" in packages and shutil.which("java") is None:
        pytest.skip("Spark needs a Java runtime")
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_a_source_is_read_in_parts(thousand_patches: Path, tmp_path: Path) -> None:
    """The program reads every patch of an archive."""
    (tmp_path / "archive.tar").symlink_to(thousand_patches.parent / "synthetic.tar.gz")

    assert "s2-00000-of-00001 1000 ()\n" == run(PARTS, tmp_path)


@pytest.mark.parametrize("source", ENGINES, ids=["Dask", "Ray Data", "Spark"])
def test_an_engine_reads_stored_pixels(source: str, thousand_patches: Path) -> None:
    """Type, shape and mean of each band are those that the store says."""
    store = thousand_patches / "huggingface"
    statistics = json.loads((store / "statistics.json").read_text())
    (path,) = (store / "s2").glob("train-*.parquet")
    rows = pq.read_metadata(path).num_rows
    means = [round(statistics["bands"][b.name]["mean"], 3) for b in GROUPS[0].bands]

    printed = run(source, thousand_patches.parent)

    assert f"uint16 ({rows}, 4, 120, 120)\n{means}\n" == printed


def test_every_engine_has_a_program() -> None:
    """Dask, Ray Data and Spark each have one."""
    assert ["dask", "ray", "pyspark"] == [
        next(name for name in ("dask", "ray", "pyspark") if name in find_packages(text))
        for text in ENGINES
    ]

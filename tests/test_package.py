from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_code_and_data(tmp_path: Path) -> None:
    """An installed package has all three packages and the facts they need."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for package in ("bigearthnet", "builder", "baselines"):
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(copy)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (copy / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(ROOT))
        for package in ("bigearthnet", "builder", "baselines")
        for path in (ROOT / package).rglob("*.py")
    }

    assert modules <= names
    assert {
        "bigearthnet/README.md",
        "bigearthnet/CITATIONS.bib",
        "bigearthnet/TAGS.txt",
        "bigearthnet/checksums.tsv",
        "bigearthnet/py.typed",
        "bigearthnet/data/clc_nomenclature.csv",
        "bigearthnet/data/patches_v1.parquet",
        "bigearthnet/data/patches_v2.parquet",
        "bigearthnet/data/v2.0.bib",
        "bigearthnet/data/v2.0.md",
        "bigearthnet/report/gallery.js",
        "bigearthnet/report/page.html",
        "builder/card/loading.md",
        "builder/card/releases/v1.0.md",
        "builder/card/releases/v2.0.md",
        "builder/card/traps.md",
        "builder/reporting/outlines.json",
        "builder/synthesis/classes.csv",
    } <= names
    assert not [name for name in names if name.startswith("tests/")]
    assert wheel.stat().st_size < 5_000_000

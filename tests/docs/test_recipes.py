from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import bigearthnet
from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.build import build

S2 = get_config("s2", RELEASES)

RECIPES = Path(bigearthnet.__file__).parent.parent / "docs" / "recipes.md"
BLOCKS = re.findall(r"```python\n(.*?)```", RECIPES.read_text(encoding="utf-8"), re.S)

# What each program prints about the sample's four train patches, in their order.
PRINTED = (
    "(4, 120, 120, 12) (4, 19)\n",
    "1 torch.Size([4, 4, 120, 120]) torch.Size([4, 43]) 0.",
    "1 (4, 43) 0.",
    "S2A_MSIL2A_20171221T112501_56_35\n(2, 6, 60, 60) uint16\n(4, 43)\n",
    "<dtype: 'uint16'>\n",
    "(2, 20, 20) [19 20 22 28] 32629\n",
    "patches",
    "shape: (4, 3)",
    *["4 rows are as they were written\n"] * 4,
)


def find_packages(source: str) -> set[str]:
    """Returns the top-level packages that a program imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.fixture(scope="module")
def folder(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` is a data directory of the real sample."""
    folder = tmp_path_factory.mktemp("recipes")
    formats = ["parquet", "arrow"]
    if find_spec("tensorflow_datasets") is not None:
        formats.append("tfrecord")
    options = BuildOptions(quiet=True, workers=1)
    build(
        sample_folder,
        folder / "data",
        S2,
        options,
        formats=formats,
    )
    return folder


@pytest.mark.parametrize(("source", "printed"), list(zip(BLOCKS, PRINTED, strict=True)))
def test_a_recipe_runs_as_it_stands(
    source: str,
    printed: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each program of the recipes runs, and prints what it says."""
    packages = find_packages(source)
    if "bigearthnet.load(" in source or "to_tf(" in source:
        packages.add("tensorflow")
    for package in packages:
        pytest.importorskip(package)
    program = tmp_path / "recipe.py"
    program.write_text(source, encoding="utf-8")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert printed in done.stdout


def test_every_system_has_a_recipe() -> None:
    """PyTorch, JAX, TensorFlow, `datasets`, DuckDB and polars all have programs."""
    packages = set().union(*(find_packages(source) for source in BLOCKS))

    assert {"torch", "jax", "bigearthnet", "datasets", "duckdb", "polars"} <= packages

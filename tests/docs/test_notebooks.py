"""The notebooks, run as they stand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_recipes import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
# Those that start TensorFlow, which takes its time.
SLOW = {"fine_tune", "quickstart"}
# Seconds after which a cell is said to hang.
LIMIT = 300


def list_code(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=[pytest.mark.slow] if p.stem in SLOW else [], id=p.stem)
        for p in NOTEBOOKS
    ],
)
def test_a_notebook_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell runs, one after the other, in an empty folder."""
    nbformat, nbclient = map(pytest.importorskip, ("nbformat", "nbclient"))
    for package in ("tensorflow", "ipykernel"):
        pytest.importorskip(package)
    commands = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name, value in {"PATH": commands, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}

    nbclient.NotebookClient(notebook, timeout=LIMIT, resources=place).execute()

    counts = [c["execution_count"] for c in notebook.cells if c["cell_type"] == "code"]
    assert [*range(1, len(list_code(path)) + 1)] == counts


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs(path: Path) -> None:
    """What is kept of a notebook is what a person wrote."""
    for cell in list_code(path):
        assert ([], None) == (cell["outputs"], cell["execution_count"])


def test_there_is_a_notebook_for_each_way() -> None:
    """First steps, classes, choosing, fine-tuning and both sensors have one."""
    names = {"quickstart", "classes", "choose_and_plot", "fine_tune", "both_sensors"}

    assert names == {path.stem for path in NOTEBOOKS}

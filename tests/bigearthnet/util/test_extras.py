"""How to install what an extra brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.util.extras import advise_install


def test_from_a_clone_the_clone_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index has the package, so that its name would find nothing, or another."""
    (tmp_path / "setup.cfg").touch()
    assert advise_install("hf", root=tmp_path) == f"pip install '{tmp_path}[hf]'"
    monkeypatch.chdir(tmp_path)
    assert advise_install("tfds", "hf", root=tmp_path) == "pip install '.[tfds,hf]'"


def test_an_installed_package_is_named(tmp_path: Path) -> None:
    """Where there is no clone, pip knows where the package came from by its name."""
    assert advise_install("hf", root=tmp_path) == "pip install 'bigearthnet[hf]'"

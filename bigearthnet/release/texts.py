"""What people are told of a release: its description and how to cite it."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

from bigearthnet.release.model import Release


def has_own(release: Release) -> bool:
    """Whether a release has texts of its own, or the first one's stand for it."""
    return _find(f"{release.name}.md").is_file()


def read_description(release: Release) -> str:
    """Returns the description of a release, Markdown."""
    return _read(f"{release.name}.md", "README.md")


def read_citation(release: Release) -> str:
    """Returns the paper of a release, BibTeX."""
    return _read(f"{release.name}.bib", "CITATIONS.bib")


def _read(name: str, first: str) -> str:
    """Reads a file of a release; those of the first are where TFDS wants them."""
    own = _find(name)
    path = own if own.is_file() else resources.files("bigearthnet") / first
    return path.read_text("utf-8").strip()


def _find(name: str) -> Traversable:
    return resources.files("bigearthnet") / "data" / name

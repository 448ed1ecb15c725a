"""What tests of pairs share: tables of both sensors, compared by their files."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from bigearthnet.release import Release
from builder.build import build
from tests.v2.conftest import QUIET
from tests.v2.test_building import config_of

FORMATS = ("parquet", "arrow")
FOLDERS = ("huggingface-v2", "arrow-v2")
PARTS = ("v2-s2", "v2-s1")


def hash_files(data_dir: Path) -> dict[str, str]:
    """Path → sha256 of what a pair consists of, but for time and command."""
    return {
        str(path.relative_to(data_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in FOLDERS
        for path in sorted((data_dir / folder).rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


def hash_manifests(data_dir: Path) -> dict[str, str]:
    """The same of the manifests, which have the checksum of each shard."""
    files = hash_files(data_dir).items()
    return {path: sha256 for path, sha256 in files if path.endswith("manifest.json")}


def build_later(
    source: Path, data_dir: Path, release: Release, *names: str, **changes: Any
) -> None:
    """Builds tables of configurations one after the other."""
    options = dataclasses.replace(QUIET, **changes)
    for name in names:
        build(source, data_dir, config_of(name, release), options, formats=FORMATS)

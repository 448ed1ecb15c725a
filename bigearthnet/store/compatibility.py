"""What stored data takes for granted: orders of classes and bands, splits, version.

A store says which of these it was written with, and a reader refuses one that was
written with others: its labels would mean something else.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from bigearthnet.errors import StoreError
from bigearthnet.release import V1
from bigearthnet.release.bands import GROUPS
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.schema.configs import DATA_VERSION


def describe_facts() -> dict[str, Any]:
    """Returns what the package's data is written with, JSON.

    Returns:
        `clc43` and `ben19`, the sha256 of their labels in order, joined by line feeds;
        `bands`, the names of the stored bands in order; `splits`, the sha256 of the
        table of splits and official lists.
    """
    return {
        "clc43": hash_lines(CLC43.labels),
        "ben19": hash_lines(BEN19.labels),
        "bands": [band.name for group in GROUPS for band in group.bands],
        "splits": _hash_table(V1.table),
    }


def hash_lines(lines: Sequence[str]) -> str:
    """Returns the sha256 of lines joined by line feeds, in UTF-8."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@functools.cache
def _hash_table(name: str) -> str:
    path = resources.files("bigearthnet") / "data" / name
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_facts(
    manifest: Mapping[str, Any], statistics: Mapping[str, Any], where: object
) -> None:
    """Refuses a store that this version of the package would misread.

    Args:
        manifest: Content of the store's manifest.
        statistics: Content of its statistics.
        where: Its folder, for the error.

    Raises:
        StoreError: If it was written with another version, other orders or splits; or
            its statistics are not those of its patches.
    """
    if manifest.get("version") != DATA_VERSION:
        raise StoreError(
            f"{where} holds version {manifest.get('version')} of the data, and this "
            f"package reads {DATA_VERSION}. Build it again, or install the version of "
            "the package that wrote it."
        )
    stored, expected = manifest.get("facts"), describe_facts()
    if stored != expected:
        found = stored if isinstance(stored, dict) else {}
        names = [name for name in expected if found.get(name) != expected[name]]
        raise StoreError(
            f"{where} was written with other {', '.join(names)} than this package "
            "has: its labels, bands or splits would mean something else. Build it "
            "again, or install the version of the package that wrote it."
        )
    split = manifest["splits"].get(str(statistics.get("split")), {"rows": 0})
    if statistics.get("num_patches") != split["rows"]:
        raise StoreError(
            f"the statistics of {where} are of {statistics.get('num_patches')} patches "
            f"of {statistics.get('split')}: expected {split['rows']}. They belong to "
            "another build."
        )

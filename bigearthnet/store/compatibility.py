"""Checks that a store was written with the classes, bands and splits of this package.

Its manifest names the orders of classes and bands, the splits and the version of the
data that it was written with. Readers refuse a store that was written with others: its
labels would mean something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bigearthnet.errors import StoreError
from bigearthnet.release.splits import hash_table
from bigearthnet.schema.configs import Config


def describe_meaning(config: Config) -> dict[str, Any]:
    """Returns what the data of a configuration is written with, JSON.

    Returns:
        For each nomenclature by name (`clc43`, `ben19`), the sha256 of its labels in
        order, joined by line feeds; `bands`, the names of the bands in stored order;
        `splits`, the sha256 of the release's table of splits and official lists.
    """
    nomenclatures = [chosen.nomenclature for chosen in config.release.label_sets]
    return {
        **{n.name: hash_lines(n.labels) for n in nomenclatures},
        "bands": [band.name for group in config.groups for band in group.bands],
        "splits": hash_table(config.release),
    }


def hash_lines(lines: Sequence[str]) -> str:
    """Returns the sha256 of lines joined by line feeds, in UTF-8."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def check_compatibility(
    manifest: Mapping[str, Any],
    statistics: Mapping[str, Any],
    config: Config,
    where: object,
) -> None:
    """Refuses a store that this version of the package would misread.

    Args:
        manifest: Content of the store's manifest.
        statistics: Content of its statistics.
        config: The configuration that it says it is of.
        where: Its folder, for the error.

    Raises:
        StoreError: If it was written with another version, other orders or splits; or
            its statistics are not those of its patches.
    """
    version = config.release.data_version
    if manifest.get("version") != version:
        raise StoreError(
            f"{where} holds version {manifest.get('version')} of the data, and this "
            f"package reads {version}. Build it again, or install the version of the "
            "package that wrote it."
        )
    stored, expected = manifest.get("facts"), describe_meaning(config)
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
            "another build. Build it again."
        )

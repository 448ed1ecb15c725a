"""The tables of `checksums/`, which hold every checksum that is trusted.

The manifest.json of a store has the sha256 of each shard, so that its own checksum
stands for the whole store: `stores.tsv` lists those of every release of the data.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from bigearthnet.errors import OptionError
from bigearthnet.store import MANIFEST, Store
from bigearthnet.util.files import hash_file
from builder.findings import Damaged, Finding

FOLDER = Path(__file__).parent.parent / "checksums"
STORES = "stores.tsv"
# What identifies a store, and what it must be.
_KEY = ("release", "config", "version", "format")
COLUMNS = (*_KEY, "patches", "manifest_sha256")


def find_table(name: str, folder: Path = FOLDER) -> Path:
    """Returns the path of a table.

    Args:
        name: Name of the file.
        folder: The folder of the tables.

    Raises:
        OptionError: If it is not there, as in an installed package.
    """
    path = folder / name
    if not path.is_file():
        raise OptionError(
            f"there is no {path}: checksums/ comes with a clone of the repository, not "
            "with an installed package. Run the command in a clone."
        )
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    """Reads tab-separated values below a line of names: column → value of each line."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def describe_store(store: Store) -> dict[str, str]:
    """Returns the line of a store in checksums/stores.tsv: column → value."""
    manifest = store.manifest
    return {
        **{name: str(manifest[name]) for name in _KEY},
        "patches": str(sum(split["rows"] for split in manifest["splits"].values())),
        "manifest_sha256": hash_file(store.folder / MANIFEST),
    }


def check_released(store: Store, path: Path) -> Iterator[Finding]:
    """Checks that a store has the manifest of a release of the data.

    Args:
        store: The store.
        path: The table of releases.
    """
    line = describe_store(store)
    expected = {key(known): known for known in read_table(path)}.get(key(line))
    if expected is None:
        yield f"{store.folder} is no release that {path.name} lists"
    elif expected == line:
        yield None
    else:
        problem = (
            f"{MANIFEST}: expected sha256 {expected['manifest_sha256']} of the "
            f"release, got {line['manifest_sha256']}"
        )
        yield Damaged(store.folder / MANIFEST, problem)


def key(line: dict[str, str]) -> tuple[str, ...]:
    """Returns what identifies the store of a line of stores.tsv."""
    return tuple(line[name] for name in _KEY)

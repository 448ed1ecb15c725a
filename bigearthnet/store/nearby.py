"""Finds stores near a folder in which one was expected, for messages."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from bigearthnet.formats import FORMATS
from bigearthnet.store import MANIFEST
from bigearthnet.util.files import read_json_object

# Stores that a message names.
_MOST_STORES = 5

# Folders that are looked into, and entries of one that are listed: a home directory or
# a folder of patches may be the one that was named.
_MOST_FOLDERS = 2_000
_MOST_ENTRIES = 1_000


def is_store(folder: Path) -> bool:
    """Whether a folder is a store itself, and not a data directory."""
    try:
        manifest = read_json_object(folder / MANIFEST)
    except (OSError, ValueError):
        return False
    # Many programs call a file manifest.json.
    return {"release", "config", "files"} <= manifest.keys()


def advise_conversion(data_dir: Path, config: str, form: str) -> str:
    """Returns the command that makes a store of the one that is there.

    Args:
        data_dir: The data directory, or the folder of the store.
        config: Name of the configuration.
        form: Name of the format that is wanted.
    """
    output = " --output=NEW_DATA_DIR" if is_store(data_dir) else ""
    return (
        f"python -m builder.convert --data_dir={data_dir} --config={config} "
        f"--formats={form}{output}"
    )


def describe_stores(folders: Iterable[Path]) -> list[str]:
    """Describes the stores in some folders, in theirs, and beside them.

    Args:
        folders: Data directories, or whatever was taken for one.

    Returns:
        `<folder> (config <name>, <format>)` for each, at most five; those in the
        folders come first.
    """
    named = [folder.absolute() for folder in folders]
    searched = dict.fromkeys([*named, *(folder.parent for folder in named)])
    found = dict.fromkeys(store for place in searched for store in _search(place))
    lines = (line for store in found if (line := _describe(store)))
    return list(itertools.islice(lines, _MOST_STORES))


def _search(root: Path) -> Iterator[Path]:
    """Yields the stores at a folder and below, as far as it pays to look."""
    for folder in itertools.islice(_list_places(root), _MOST_FOLDERS):
        if is_store(folder):
            yield folder


def _list_places(root: Path) -> Iterator[Path]:
    """Yields a folder, its folders and theirs, and where a data directory has stores.

    Two levels below also find what the cache of a hub holds of a repository.
    """
    below = _list_folders(root)
    for folder in (root, *below):
        yield folder
        for form in FORMATS.values():
            pattern = form.folder.format(config="*", version="*", suffix="*")
            yield from sorted(folder.glob(pattern)) if "/" in pattern else ()
    for folder in below:
        yield from _list_folders(folder)


def _list_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = list(itertools.islice(entries, _MOST_ENTRIES))
        return sorted(Path(entry) for entry in listed if entry.is_dir())
    except OSError:
        return []


def _describe(store: Path) -> str | None:
    """Describes a store of any version; None if it is none of this data set."""
    try:
        manifest = read_json_object(store / MANIFEST)
    except (OSError, ValueError):
        return None
    if manifest.get("dataset") != "bigearthnet":
        return None
    return f"{store} (config {manifest.get('config')}, {manifest.get('format')})"

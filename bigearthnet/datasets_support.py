"""The Parquet store for `datasets`, built if missing, as loading scripts used to do."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigearthnet.archives import find_archives, make_sources
from bigearthnet.engine.job import Job
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.places import check_places
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.store import MANIFEST, PATCHES, Store
from bigearthnet.store.nearby import is_store
from bigearthnet.store.outputs import check_output
from bigearthnet.store.remote import open_anywhere
from bigearthnet.store.search import default_data_dir, open_store
from bigearthnet.util.command import check_packages
from bigearthnet.util.options import look_up
from bigearthnet.util.paths import local_path
from bigearthnet.util.remote import is_url

# The view, and its only split, of the table of patches.
_PATCHES = "patches"
# What `datasets.load_dataset` takes, and is decided here.
_OURS = ("path", "data_files")
# Characters of its errors that are shown.
_MOST_TEXT = 200
# The command that makes stores, by name: the card of a store is its business, and the
# library does not import commands.
_BUILD = "builder.build"


def load_dataset(
    name: str | None = None,
    *,
    split: str | None = None,
    data_dir: Path | str | None = None,
    streaming: bool = False,
    config: str = "s2",
    release: Release | None = None,
    **options: Any,
) -> Any:
    """Loads the Parquet store with `datasets`; it is made first if it is not there.

    It is made of another store of the data directory, or else of the archive, which is
    searched for, downloaded, checked and resumed as by `tfds.load`: in
    `data_dir/downloads/manual/` lies what you have.

    Args:
        name: The view: `s2-43` (default), `s2-19`, `s2-10m`, `preview` or `patches`.
        split: As `datasets` takes it: `train`, `train[:10%]`, `train+validation`; None
            for all splits.
        data_dir: The data directory, or the folder of a Parquet store; None for the
            data directory of TensorFlow Datasets. Or the URL of a published store, as
            `bigearthnet.load` takes it.
        streaming: Reads the store where it is. Otherwise `datasets` first writes all
            splits of the view to its cache, which take 86 GB of s2-43.
        config: Name of the configuration: `s2`, or `s2-random` for random splits.
        release: The release that it belongs to; None for one that the package knows.
        **options: The others of `datasets.load_dataset`.

    Returns:
        What `datasets.load_dataset` returns.

    Raises:
        OptionError: If there is no such configuration, view, split or folder, or an
            option has no meaning.
        StoreError: If there is another store where the Parquet store should be.
        ShardError: If the store is damaged.
        ArchiveError, ChecksumError, DownloadError, DiskSpaceError, PatchError: If it
            cannot be built of the archive.
    """
    check_packages("hf", "datasets", "yaml", "PIL")
    chosen = get_config(config, RELEASES if release is None else [release])
    if not chosen.columns:
        parts = " and ".join(part.name for part in chosen.parts)
        raise OptionError(
            f"config {config} has no Parquet store of its own: its rows are those of "
            f"{parts}, which are loaded one by one."
            if parts
            else f"config {config} has no Parquet store: expected one with bands. Its "
            "8-bit pictures are the view preview of s2."
        )
    views = {**chosen.views, _PATCHES: ()}
    for other in list_configs([chosen.release] if release else RELEASES).values():
        if name not in views and name in (other.name, *other.views):
            raise OptionError(
                f"view {name!r}: pass config={other.name!r}, too; got {config!r}."
            )
    view = next(iter(views)) if name is None else name
    look_up(views, view, f"view of config={chosen.name!r}")
    for option in _OURS:
        if option in options:
            raise OptionError(f"{option}: bigearthnet.load_dataset knows it.")
    if is_url(data_dir):
        place = _describe_remote(str(data_dir), chosen, view)
    else:
        store = _open_or_make(_locate(data_dir), chosen)
        place = {"path": str(store.folder), "name": view}
    return _load({**place, "split": split, "streaming": streaming, **options})


def _load(options: Mapping[str, Any]) -> Any:
    """Calls `datasets.load_dataset`, whose errors become ours."""
    import datasets

    try:
        return datasets.load_dataset(**options)
    except datasets.exceptions.DatasetsError as cause:
        raise ShardError(
            f"{options['path']} cannot be read: {cause.__cause__ or cause}. Check it: "
            f"python -m builder.verify --data_dir={options['path']} --quick"
        ) from cause
    except (ValueError, TypeError) as cause:
        text = str(cause)  # which may begin with all options there are
        text = text if len(text) <= _MOST_TEXT else f"... {text[-_MOST_TEXT:]}"
        raise OptionError(f"datasets.load_dataset: {text}") from cause


def _describe_remote(url: str, config: Config, view: str) -> dict[str, Any]:
    """Returns the options that read a view of a published store."""
    store = open_anywhere(url, config, "parquet")
    if view == _PATCHES:
        table = store.place / PATCHES
        return {"path": "parquet", "data_files": {_PATCHES: [_find_url(table)]}}
    files = {s: [_find_url(path) for path in store.shards(s)] for s in store.splits}
    columns = [*config.views[view]]
    return {"path": "parquet", "data_files": files, "columns": columns}


def _find_url(path: Any) -> str:
    """Returns what fsspec reads a file of a store at a URL by, of one revision."""
    return str(path.target)


def _locate(data_dir: Path | str | None) -> Path:
    if data_dir is None:
        return default_data_dir().absolute()
    root = local_path(data_dir, "data_dir").absolute()
    if not root.is_dir():  # a slip of the pen must not begin a download of 70 GB
        raise OptionError(
            f"data_dir: there is no folder {root}. Name the one that holds the store "
            "or the archive; or make it first, and the archive is downloaded there."
        )
    return root


def _open_or_make(root: Path, config: Config) -> Store:
    """Opens the Parquet store of a configuration, which is made if it is not there."""
    folder = FORMATS["parquet"].store_folder(root, config)
    if not is_store(root) and not (folder / MANIFEST).is_file():
        build = importlib.import_module(_BUILD)
        build.run_job(_make_job(root, config), root)
    return open_store(root, config, "parquet")


def _make_job(root: Path, config: Config) -> Job:
    """Returns the build of a Parquet store, of what is there or can be had."""
    formats, options = ("parquet",), BuildOptions()
    check_output(root, "data_dir")
    for form in FORMATS.values():
        if (form.store_folder(root, config) / MANIFEST).is_file():
            store = open_store(root, config, form.name)
            print(f"bigearthnet: makes Parquet of {store.folder}", file=sys.stderr)
            return Job(config, (), formats, options, store)
    downloads = root / "downloads"
    found = find_archives(config, downloads / "manual", downloads)
    sources = make_sources(found, config, root)
    check_places(root, config, sources)
    return Job(config, sources, formats, options)

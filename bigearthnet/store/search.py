"""Finds the stores of a data directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bigearthnet.errors import BigEarthNetError, OptionError, ShardError, StoreError
from bigearthnet.formats import FORMATS, Format, get_format
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.store import MANIFEST, Store, read_store
from bigearthnet.store.nearby import advise_conversion, describe_stores
from bigearthnet.util.paths import check_path, local_path


def default_data_dir() -> Path:
    """Returns TensorFlow Datasets' own directory: $TFDS_DATA_DIR, or below the home.

    Raises:
        OptionError: If that is a URL of another place.
    """
    name = "TFDS_DATA_DIR"
    return local_path(os.environ.get(name, "~/tensorflow_datasets"), name)


def find_stores(
    data_dir: Path,
    releases: Sequence[Release],
    unread: dict[Path, BigEarthNetError] | None = None,
) -> list[Store]:
    """Finds every finished store of a data directory.

    Args:
        data_dir: The data directory, or the folder of a store.
        releases: The releases that stores may be of.
        unread: Gets folder → error of those that cannot be read; None to raise it.

    Raises:
        OptionError: If the data directory is not on this machine.
        StoreError: If there is none, or one is of another release, or in the folder of
            another store.
        ShardError: If the JSON files of one cannot be read.
    """
    check_path(data_dir, "data_dir")
    folders: dict[Path, list[Config]] = {}
    for config in list_configs(releases).values():
        for form in FORMATS.values():
            folder = form.store_folder(data_dir.absolute(), config)
            folders.setdefault(folder, []).append(config)
    # The folder of a pair, wherever it was moved or published to, holds its parts.
    parts = {c.choice.part for found in folders.values() for c in found} - {""}
    moved = [data_dir.absolute() / part for part in sorted(parts)]
    stores = []
    for folder in (f for f in (*folders, *moved) if (f / MANIFEST).is_file()):
        try:
            stores.append(
                read_expected(folder, data_dir, folders[folder])
                if folder in folders
                else read_store(folder, releases)
            )
        except (ShardError, StoreError) as error:
            if unread is None:
                raise
            unread[folder] = error
    if stores or unread:
        return stores
    for form in FORMATS.values():
        pattern = form.folder.format(config="*", version="*", suffix="*")
        for part in ("", "*/"):
            for path in data_dir.glob(f"{pattern}/{part}{MANIFEST}"):
                read_store(path.parent, releases)  # raises what is wrong with it
    if (data_dir / MANIFEST).is_file():
        return [read_store(data_dir.absolute(), releases)]
    raise StoreError(
        f"no store in {data_dir}: neither it nor one of its folders holds a "
        f"{MANIFEST}. {_name_nearby(data_dir)}Build first: "
        "python -m builder.build --help."
    )


def read_expected(folder: Path, data_dir: Path, configs: Sequence[Config]) -> Store:
    """Reads the store in a folder of a data directory that it must have the name of.

    Args:
        folder: The folder.
        data_dir: The data directory.
        configs: The configurations whose stores have that name.

    Raises:
        ShardError, StoreError: As of `read_store`, or if it is the folder of another.
    """
    store = read_store(
        folder, list({c.release.name: c.release for c in configs}.values())
    )
    own = store.format.store_folder(data_dir.absolute(), store.config)
    if own != folder:
        raise StoreError(
            f"{folder} is a store of config {store.config.name} in the format "
            f"{store.format.name}, which is not looked for there: move it to {own}, or "
            "away."
        )
    return store


# Names of formats. TFRecord is what every build has had first; Arrow is faster, and the
# system decides how much of it stays in memory.
PREFERRED = ("tfrecord", "arrow", "parquet")


def open_store(
    data_dir: Path | str | None, config: Config, form: str | None = None
) -> Store:
    """Opens the store of a configuration.

    Args:
        data_dir: The data directory, or the folder of a store, wherever it was moved
            to; None for the data directory of TensorFlow Datasets.
        config: The configuration.
        form: Name of the format; None for the first that is there: TFRecord, Arrow,
            Parquet.

    Raises:
        OptionError: If there is no format of that name, or the configuration has none,
            or the data directory is not on this machine.
        StoreError: If there is no such store, or the folder is another one.
        ShardError: If its JSON files cannot be read.
    """
    forms = [get_format(name) for name in (PREFERRED if form is None else (form,))]
    forms = [f for f in forms if config.columns or not f.has_columns]
    if not forms:
        raise OptionError(
            f"config {config.name} has no {form} store: expected tfrecord."
        )
    data_dir = find_data_dir(data_dir)
    if (store := look_for(data_dir, config, forms)) is not None:
        return store
    root = data_dir.absolute()
    if (root / MANIFEST).is_file():
        raise _wrong_store(read_store(root, [*RELEASES, config.release]), config, form)
    others = [f for f in FORMATS.values() if f not in forms]
    if any((f.store_folder(root, config) / MANIFEST).is_file() for f in others):
        advice = f"Make it: {advise_conversion(data_dir, config.name, forms[0].name)}"
    else:
        advice = (
            f"{_name_configs(root)}{_name_nearby(root)}Build it: "
            "python -m builder.build --source=... "
            f"--data_dir={data_dir} --config={config.name}"
            f"{f' --formats={form}' if form else ''}"
        )
    folders = [f.store_folder(root, config) for f in forms]
    raise StoreError(
        f"no store of config {config.name} in {data_dir}: looked for {MANIFEST} in "
        f"{', '.join(str(folder) for folder in folders)}. {advice}"
    )


def find_data_dir(data_dir: Path | str | None) -> Path:
    """Returns a data directory as a path; None is TensorFlow Datasets' own.

    Raises:
        OptionError: If it is not on this machine.
    """
    return default_data_dir() if data_dir is None else local_path(data_dir, "data_dir")


def look_for(data_dir: Path, config: Config, forms: Iterable[Format]) -> Store | None:
    """Returns the first store of a configuration in some formats; None without one.

    Args:
        data_dir: The data directory, or the folder of a store.
        config: The configuration.
        forms: The formats.

    Raises:
        StoreError, ShardError: If one cannot be read.
    """
    # Absolute, so that a later change of the working directory does no harm.
    root = data_dir.absolute()
    forms = [f for f in forms if config.columns or not f.has_columns]
    folders = [f.store_folder(root, config) for f in forms]
    if config.choice.part:  # of the folder of a pair, wherever it was moved to
        folders.append(root / config.choice.part)
    for folder in (*folders, root):
        if (folder / MANIFEST).is_file():
            # A folder that was named may be of any release: the caller says which.
            known = RELEASES if folder == root else ()
            store = read_store(folder, [*known, config.release])
            if store.config == config and store.format in forms:
                return store
    return None


def _wrong_store(store: Store, config: Config, form: str | None) -> StoreError:
    """Returns the error for a folder that is a store, and not the one asked for.

    Another configuration is never taken silently: its splits are others.
    """
    name = store.config.name
    advice = _advise_config(name)
    if store.config == config:
        advice = f"open it as {store.format.name}"
        if form:
            command = advise_conversion(store.folder, name, form)
            advice += f", or make {form} of it: {command}"
    return StoreError(
        f"{store.folder} is a store of config {name} in the format "
        f"{store.format.name}: expected config {config.name}"
        f"{f' in the format {form}' if form else ''}. To read it, {advice}; or name "
        "another folder."
    )


def _advise_config(name: str) -> str:
    return f'pass config="{name}" (of a command: --config={name})'


def _name_configs(data_dir: Path) -> str:
    """Returns a sentence that names the configurations that are there, or ""."""
    names = [
        config.name
        for config in list_configs(RELEASES).values()
        if any(
            (form.store_folder(data_dir, config) / MANIFEST).is_file()
            for form in FORMATS.values()
        )
    ]
    if not names:
        return ""
    return f"It has {', '.join(names)}: to read one, {_advise_config(names[0])}. "


def _name_nearby(folder: Path) -> str:
    """Returns a sentence that names the stores in and near a folder, or ""."""
    lines = describe_stores([folder])
    return f"Nearby are, as a data_dir: {'; '.join(lines)}. " if lines else ""


def find_store(
    data_dir: Path | str | None, config: str, form: str | None, release: Release | None
) -> Store:
    """Opens a store as users name it.

    Args:
        data_dir: As in `open_store`.
        config: Name of the configuration.
        form: Name of the format; None for the first that is there.
        release: The release that the configuration belongs to; None for one that the
            package knows.

    Raises:
        OptionError: If there is no such configuration or format, or the data directory
            is not on this machine.
        StoreError: If there is no such store.
        ShardError: If its JSON files cannot be read.
    """
    chosen = get_config(config, RELEASES if release is None else [release])
    return open_store(data_dir, chosen, form)

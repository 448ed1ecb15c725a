"""Published stores, read where they are: on a hub, in a bucket, on a web server."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bigearthnet.errors import OptionError, StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.release import Release
from bigearthnet.schema.configs import Config, list_configs
from bigearthnet.store import (
    MANIFEST,
    Described,
    Store,
    read_descriptions,
    read_patches,
    read_store,
)
from bigearthnet.store.search import look_for, open_store
from bigearthnet.util.files import encode_json
from bigearthnet.util.paths import local_path
from bigearthnet.util.remote import RemotePath, is_url, parse_url

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class RemoteStore(Described):
    """One finished folder of shards at a URL.

    Attributes:
        folder: The folder.
    """

    folder: RemotePath

    @property
    def place(self) -> RemotePath:
        """The folder."""
        return self.folder

    def shards(self, split: str) -> list[RemotePath]:
        """Returns the shards of a split, in order, with the sizes they must have.

        Raises:
            OptionError: If the store has no such split.
        """
        self.check_split(split)
        return [
            dataclasses.replace(self.folder / file["name"], nbytes=file["bytes"])
            for file in self.files(split)
        ]


def read_remote_store(folder: RemotePath, release: Release) -> RemoteStore:
    """Reads the manifest and the statistics of a store at a URL, and checks them.

    Raises:
        ShardError, StoreError: As in `store.read_store`.
        DownloadError: If they cannot be had.
    """
    return RemoteStore(*read_descriptions(folder, [release]), folder)


def open_anywhere(
    place: Path | str | None, config: Config, form: str | None = None
) -> Store | RemoteStore:
    """Opens the store of a configuration: of a data directory, or at a URL.

    Args:
        place: See `search.open_store`; or the URL of a published Parquet store, see
            `util.remote.parse_url`.
        config: The configuration.
        form: Name of the format; None for the first that is there.

    Raises:
        OptionError: If there is no such format, the configuration has none, or the URL
            cannot be read.
        StoreError: If there is no such store.
        ShardError: If its JSON files cannot be read.
        DownloadError: If they cannot be had.
    """
    if not is_url(place):
        return open_store(place, config, form)
    if form not in (None, "parquet") or not config.columns:
        raise OptionError(
            f"config {config.name}, store {form or 'tfrecord'}, cannot be read from a "
            "URL: only Parquet stores are streamed. Read it with store=None, download "
            "it with python -m builder.download --from=URL --stores=tfrecord, or make "
            f'TFRecord of it: tfds.load("bigearthnet/{config.name}", '
            'builder_kwargs={"source": URL}).'
        )
    store = read_remote_store(part_place(parse_url(str(place)), config), config.release)
    if store.config != config or store.format.name != "parquet":
        raise StoreError(
            f"{place} is a store of config {store.config.name} in the format "
            f"{store.format.name}: expected {config.name} in Parquet. Pass "
            f'config="{store.config.name}", or another address ({MANIFEST} is read '
            "first)."
        )
    return store


def part_place(place: RemotePath, config: Config) -> RemotePath:
    """Returns where the tables of a configuration are in what is published at a URL.

    Args:
        place: The root of what is published; or the folder of the part itself.
        config: The configuration.
    """
    part = config.choice.part
    return place if not part or place.url.endswith(f"/{part}") else place / part


AnyStore: TypeAlias = Store | RemoteStore


def open_origin(place: Path | str, config: Config) -> AnyStore:
    """Opens the store that a configuration can be made of.

    Args:
        place: The URL of a Parquet store, see `util.remote.parse_url`; the folder of a
            store; or a data directory, of which the first store that fits is taken.
        config: The configuration that is made of it.

    Raises:
        OptionError, StoreError, ShardError, DownloadError: As in `open_anywhere`.
    """
    if is_url(place):
        folder = part_place(parse_url(str(place)), config)
        return read_remote_store(folder, config.release)
    root = local_path(place, "source").absolute()
    if (root / MANIFEST).is_file():
        return read_store(root, [config.release])
    choices = list_configs([config.release]).values()
    fitting = [
        one for one in choices if not one.choice.is_rgb and _is_same(one, config)
    ]
    if not fitting:
        raise OptionError(f"config {config.name} cannot be made of a store.")
    _refuse_other_parts(root, fitting[0])
    return open_store(root, fitting[0])


def _refuse_other_parts(root: Path, config: Config) -> None:
    """Refuses to make a store of two sensors of those of each, and the reverse.

    Raises:
        StoreError: If these are there, and no store of the configuration.
    """
    if look_for(root, config, FORMATS.values()) is not None:
        return
    whole = config.whole or config
    others = config.parts if whole == config else (whole,)
    found = [one.name for one in others if look_for(root, one, FORMATS.values())]
    if found:
        raise StoreError(
            f"no store of config {config.name} in {root}, but of {', '.join(found)}: "
            f"tables of each sensor and TFRecord of both are made of the archives, not "
            f'of each other. Read what is there with config="{whole.name}"; or build '
            f"it: python -m builder.build --source=... --data_dir={root} "
            f"--config={config.name} --formats=..."
        )


def check_origin(store: AnyStore, config: Config) -> None:
    """Checks that a configuration can be made of a store.

    Raises:
        OptionError: If the store has other patches or bands, has pictures in place of
            bands, or is at a URL and no Parquet store.
    """
    is_readable = store.format.name == "parquet" or isinstance(store, Store)
    is_whole = not store.config.choice.is_rgb
    if not (is_readable and is_whole and _is_same(store.config, config)):
        raise OptionError(
            f"{store.place} is a store of config {store.config.name} in the format "
            f"{store.format.name}: config {config.name} is made of a store that has "
            "the bands, of the same release, archives and split scheme; at a URL, of "
            "Parquet."
        )


def _is_same(one: Config, other: Config) -> bool:
    """Whether two configurations have the same patches and bands."""
    return (one.release.name, one.choice.scheme, one.archives) == (
        other.release.name,
        other.choice.scheme,
        other.archives,
    )


def describe_origin(store: AnyStore) -> dict[str, str | None]:
    """Returns which store it is, as JSON: `url`, `revision`, and `manifest_sha256`."""
    revision = store.place.revision if isinstance(store, RemoteStore) else None
    return {
        "url": str(store.place),
        "revision": revision,
        "manifest_sha256": hashlib.sha256(encode_json(store.manifest)).hexdigest(),
    }


def _read_shared(store: AnyStore) -> pa.Table:
    """Reads the columns that the tables of patches of all versions have."""
    return read_patches(store, ["patch_id", "labels", "split", "stored"])


def check_same_patches(prepared: Store, origin: AnyStore) -> None:
    """Checks that what is prepared already has the patches of a store.

    Raises:
        OptionError: If it has others.
        ShardError, StoreError, DownloadError: If a table of patches cannot be read.
    """
    one, other = (store.manifest["patches"]["sha256"] for store in (prepared, origin))
    if one != other and not _read_shared(prepared).equals(_read_shared(origin)):
        counts = ", ".join(
            f"{sum(map(store.num_patches, store.splits)):,} in {store.place}"
            for store in (prepared, origin)
        )
        raise OptionError(
            f"{prepared.folder} was prepared from something else than {origin.place}: "
            f"patches, labels or splits differ ({counts}). Choose another data_dir, or "
            "delete what is there to prepare it again; without source, it is loaded as "
            "it is."
        )

"""Published stores, read where they are: on a hub, in a bucket, on a web server."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.errors import OptionError, StoreError
from bigearthnet.release import Release
from bigearthnet.schema.configs import Config
from bigearthnet.store import (
    MANIFEST,
    Described,
    Store,
    open_store,
    read_descriptions,
)
from bigearthnet.util.remote import RemotePath, is_url, parse_url


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
        place: See `store.open_store`; or the URL of a published Parquet store, see
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
    store = read_remote_store(parse_url(str(place)), config.release)
    if store.config != config or store.format.name != "parquet":
        raise StoreError(
            f"{place} is a store of config {store.config.name} in the format "
            f"{store.format.name}: expected {config.name} in Parquet. Pass "
            f'config="{store.config.name}", or another address ({MANIFEST} is read '
            "first)."
        )
    return store

"""A store: one finished folder of shards of one configuration in one format.

Its manifest and statistics, read and checked; `search` finds stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigearthnet.errors import BigEarthNetError, OptionError, ShardError, StoreError
from bigearthnet.formats import FORMATS, Format, get_format
from bigearthnet.release import Release, find_release
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.schema.features import Feature
from bigearthnet.store.compatibility import check_compatibility
from bigearthnet.util.files import read_json_object
from bigearthnet.util.remote import RemotePath

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
STATISTICS = "statistics.json"
PATCHES = "patches.parquet"
QUARANTINE = "quarantine.jsonl"


@dataclass(frozen=True)
class Described:
    """What a finished folder of shards says of itself, wherever it is.

    Attributes:
        config: The configuration that it is of.
        manifest: Content of its manifest.json.
        statistics: Content of its statistics.json.
    """

    config: Config
    manifest: Mapping[str, Any]
    statistics: Mapping[str, Any]

    @property
    def place(self) -> Path | RemotePath:
        """The folder."""
        raise NotImplementedError

    @property
    def format(self) -> Format:
        """The format of the shards."""
        return FORMATS[self.manifest["format"]]

    @property
    def features(self) -> tuple[Feature, ...]:
        """The stored features."""
        return self.format.features(self.config)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have patches."""
        return tuple(self.manifest["splits"])

    def files(self, split: str) -> list[Mapping[str, Any]]:
        """Returns what the manifest says of each shard of a split, in order."""
        return [file for file in self.manifest["files"] if file["split"] == split]

    def check_split(self, split: str) -> None:
        """Checks that there is a split.

        Raises:
            OptionError: If the store has none of that name.
        """
        if split not in self.splits:
            raise OptionError(
                f"no split {split!r} in {self.place}: expected one of "
                f"{', '.join(self.splits)}."
            )

    def rows(self, split: str) -> list[int]:
        """Returns how many patches each shard of a split has, in order."""
        return [file["rows"] for file in self.files(split)]

    def num_patches(self, split: str) -> int:
        """Returns how many patches a split has; 0 if there is no such split."""
        return int(self.manifest["splits"].get(split, {"rows": 0})["rows"])


@dataclass(frozen=True)
class Store(Described):
    """One finished folder of shards on this machine.

    Attributes:
        folder: The folder.
        apart: Where its shards are while it is built by an engine at a URL; None if
            they are in the folder.
    """

    folder: Path
    apart: RemotePath | None = None

    @property
    def place(self) -> Path:
        """The folder."""
        return self.folder

    @property
    def all_shards(self) -> list[Path | RemotePath]:
        """The files of all shards, in order, which are not looked at."""
        folder = self.apart or self.folder
        return [folder / file["name"] for file in self.manifest["files"]]

    def shards(self, split: str) -> list[Path]:
        """Returns the shards of a split in the folder, in order.

        Raises:
            OptionError: If the store has no such split.
            StoreError: If one of them is missing, or has another size than it had when
                it was written.
        """
        self.check_split(split)
        for file in self.files(split):
            path = self.folder / file["name"]
            found = path.stat().st_size if path.is_file() else None
            if found != file["bytes"]:
                state = "is missing" if found is None else f"has {found:,} bytes"
                raise StoreError(
                    f"{path} {state}: expected {file['bytes']:,} bytes. Build or "
                    "download the store again."
                )
        return [self.folder / file["name"] for file in self.files(split)]


def read_labels(store: Described, split: str) -> pa.ListArray:
    """Reads the class ids of every stored patch of a split, in its first label set.

    Args:
        store: The store; its table of patches says the labels.
        split: Name of the split.

    Returns:
        Shape (patch,), lists of uint8, by patch id.

    Raises:
        ShardError: If the table of patches is missing or damaged.
    """
    import pyarrow.compute as pc

    table = read_patches(store, ["labels", "split", "stored"])
    table = table.filter(pc.and_(table["stored"], pc.equal(table["split"], split)))
    return table["labels"].combine_chunks()


def read_patches(store: Described, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads the table of patches of a store; see `manifest.make_patches_table`.

    Args:
        store: The store.
        columns: Which columns; None for all.

    Raises:
        ShardError: If it is missing or damaged.
        StoreError, DownloadError: If it is missing at a URL, or cannot be had.
    """
    from bigearthnet.formats.parquet import open_file

    with open_file(store.place / PATCHES) as file:
        return file.read(columns=columns)


def read_store(
    folder: Path, releases: Sequence[Release], apart: RemotePath | None = None
) -> Store:
    """Reads the manifest and the statistics of a store, and checks them.

    Args:
        folder: The store.
        releases: The releases that it may be of.
        apart: See `Store`.

    Raises:
        ShardError: If its manifest or statistics cannot be read.
        StoreError: If it is of another release, was written with other classes, bands
            or splits than that has, or its statistics are of another build.
    """
    return Store(*read_descriptions(folder, releases), folder, apart)


def read_descriptions(
    folder: Path | RemotePath, releases: Sequence[Release]
) -> tuple[Config, Mapping[str, Any], Mapping[str, Any]]:
    """Reads configuration, manifest and statistics; see `read_store`."""
    manifest = _read_json(folder / MANIFEST)
    name = manifest.get("release")
    if not isinstance(name, str):
        raise ShardError(
            f"{folder / MANIFEST} is damaged: it names no release. Build again."
        )
    try:
        release = find_release(name, releases)
    except OptionError as cause:
        raise StoreError(f"{folder} is a store of an {cause}") from None
    config = _check_manifest(manifest, folder / MANIFEST, release)
    statistics = _read_json(folder / STATISTICS)
    check_compatibility(manifest, statistics, config, folder)
    return config, manifest, statistics


# What the manifest gives as integers of each file.
_NUMBERS = ("rows", "bytes", "data_bytes")


def _check_manifest(
    manifest: Mapping[str, Any], path: Path | RemotePath, release: Release
) -> Config:
    """Returns the configuration that a manifest names, if it is a whole manifest."""
    try:
        config = get_config(manifest["config"], [release])
        get_format(manifest["format"])
        files = [(f["name"], f["split"], f["sha256"]) for f in manifest["files"]]
        numbers = [f[key] for f in manifest["files"] for key in _NUMBERS]
        numbers += [split["rows"] for split in manifest["splits"].values()]
        texts = [text for file in files for text in file]
        texts.append(manifest["patches"]["sha256"])
        numbers.append(manifest["patches"]["quarantined"])
        rows: dict[str, int] = {}
        for file in manifest["files"]:
            rows[file["split"]] = rows.get(file["split"], 0) + file["rows"]
        good = (
            all(isinstance(n, int) and n >= 0 for n in numbers)
            and all(isinstance(text, str) and _is_below(text) for text in texts)
            and rows == {n: split["rows"] for n, split in manifest["splits"].items()}
        )
    except (KeyError, TypeError, AttributeError, OptionError):
        good = False
    if not good:
        raise ShardError(f"{path} is damaged: it is not a valid manifest. Build again.")
    return config


def _is_below(name: str) -> bool:
    """Whether a path of the manifest stays in the store's folder."""
    return not name.startswith("/") and ".." not in name.split("/")


def _read_json(path: Path | RemotePath) -> Mapping[str, Any]:
    try:
        return read_json_object(path)
    except BigEarthNetError:
        raise
    except (OSError, ValueError) as cause:
        raise ShardError(f"{path} cannot be read: {cause}. Build again.") from None

"""The formats of stores: their folders in a data directory, and names of shards.

The names of folders and shards are those that the readers of each format expect:
TensorFlow Datasets, the Hugging Face hub, `datasets.load_from_disk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.release.model import scheme_suffix
from bigearthnet.schema.configs import Config
from bigearthnet.schema.features import Feature
from bigearthnet.util.options import look_up


@dataclass(frozen=True)
class Format:
    """A file format that patches are stored in.

    Attributes:
        name: Short name, also of `--formats`.
        folder: Folder of a store below the data directory, a template.
        shard: File of a shard below that folder, a template.
        has_columns: Whether the store keeps a table of columns, that is
            `Config.columns`, or single examples of `Config.schema`.
        pixel_share: The most bytes that a stored patch takes on average, for each byte
            of its pixels,
        extra_nbytes: and besides.
    """

    name: str
    folder: str
    shard: str
    has_columns: bool
    pixel_share: float
    extra_nbytes: int

    def store_folder(self, data_dir: Path, config: Config) -> Path:
        """Returns the folder of a configuration's store."""
        folder = self.folder.format(
            config=config.name,
            version=config.release.data_version,
            suffix=tables_suffix(config),
        )
        part = config.choice.part if self.has_columns else ""
        return data_dir / folder / part

    def features(self, config: Config) -> tuple[Feature, ...]:
        """Returns the features that a store of a configuration has in this format."""
        return config.columns if self.has_columns else config.schema

    def patch_nbytes(self, config: Config) -> int:
        """Returns the most bytes that a stored patch takes, on average."""
        pixels = sum(group.nbytes for group in config.groups)
        return int(pixels * self.pixel_share) + self.extra_nbytes

    def shard_file(self, config: Config, split: str, number: int, count: int) -> str:
        """Returns the file of a shard, as a path below its store's folder.

        Args:
            config: The configuration.
            split: Name of the split.
            number: Number of the shard in its split, from 0.
            count: Shards of the split.
        """
        base = config.choice.base
        return self.shard.format(base=base, split=split, number=number, count=count)


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format(
            "tfrecord",
            "bigearthnet/{config}/{version}",
            "bigearthnet-{split}.tfrecord-{number:05d}-of-{count:05d}",
            has_columns=False,
            pixel_share=1.0,
            extra_nbytes=1_500,  # metadata, about 1,300
        ),
        Format(
            "parquet",
            "huggingface{suffix}",
            "{base}/{split}-{number:05d}-of-{count:05d}.parquet",
            has_columns=True,
            pixel_share=0.75,  # 0.7 on the real sample patches
            extra_nbytes=10_000,  # preview, metadata and footers
        ),
        Format(
            "arrow",
            "arrow{suffix}",
            "{split}/data-{number:05d}-of-{count:05d}.arrow",
            has_columns=True,
            pixel_share=1.0,
            extra_nbytes=15_000,  # list offsets of the pixels, preview and metadata
        ),
    )
}


def get_format(name: str) -> Format:
    """Returns a format by name.

    Raises:
        OptionError: If there is none of that name.
    """
    return look_up(FORMATS, name, "format")


def tables_suffix(config: Config) -> str:
    """Returns what the folders of a configuration's tables end in.

    Configurations of one suffix and split scheme share these folders, and the table of
    patches; only one of each, or each part of them, has columns.
    """
    return f"{config.choice.suffix}{scheme_suffix(config.choice.scheme)}"

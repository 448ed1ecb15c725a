"""The formats of stores: where each lies in a data directory, and how it is called.

The names of folders and shards are those that the readers of each format expect:
TensorFlow Datasets, the Hugging Face hub, `datasets.load_from_disk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.schema.configs import DATA_VERSION, Config
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
        patch_nbytes: The most bytes that a stored patch takes, on average.
    """

    name: str
    folder: str
    shard: str
    has_columns: bool
    patch_nbytes: int

    def store_folder(self, data_dir: Path, config: Config) -> Path:
        """Returns the folder of a configuration's store."""
        suffix = scheme_suffix(config)
        return data_dir / self.folder.format(
            config=config.name, version=DATA_VERSION, suffix=suffix
        )

    def shard_file(self, split: str, number: int, count: int) -> str:
        """Returns the file of a shard, as a path below its store's folder.

        Args:
            split: Name of the split.
            number: Number of the shard in its split, from 0.
            count: Shards of the split.
        """
        return self.shard.format(split=split, number=number, count=count)


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format(
            "tfrecord",
            "bigearthnet/{config}/{version}",
            "bigearthnet-{split}.tfrecord-{number:05d}-of-{count:05d}",
            has_columns=False,
            patch_nbytes=161_500,  # 160,000 of pixels and about 1,300 of metadata
        ),
        Format(
            "parquet",
            "huggingface{suffix}",
            "s2/{split}-{number:05d}-of-{count:05d}.parquet",
            has_columns=True,
            patch_nbytes=130_000,  # 117,000 on the real sample patches, and footers
        ),
        Format(
            "arrow",
            "arrow{suffix}",
            "{split}/data-{number:05d}-of-{count:05d}.arrow",
            has_columns=True,
            patch_nbytes=175_000,  # pixels, their list offsets, and the preview
        ),
    )
}


def get_format(name: str) -> Format:
    """Returns a format by name.

    Raises:
        OptionError: If there is none of that name.
    """
    return look_up(FORMATS, name, "format")


def scheme_suffix(config: Config) -> str:
    """Returns what names of the config's split scheme end in; official ones, nothing.

    Configurations that share a suffix share the stores of column formats; only one of
    each scheme has columns.
    """
    return "" if config.scheme == "official" else f"-{config.scheme}"

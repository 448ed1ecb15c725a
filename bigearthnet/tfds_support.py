"""What the TFDS builder tells TensorFlow Datasets, and what it refuses to be told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import tensorflow_datasets as tfds

from bigearthnet.errors import OptionError
from bigearthnet.store.result import ShardInfo


def refuse_options(
    file_format: str, download_config: tfds.download.DownloadConfig
) -> None:
    """Refuses options that the engine cannot fulfil, instead of ignoring them.

    Raises:
        OptionError: If an option asks for anything but the published shards.
    """
    if file_format != "tfrecord":
        raise OptionError(
            f"file_format={file_format!r} cannot be built: expected tfrecord. TFDS's "
            "Parquet writer drops records, and its other formats are not readable as "
            "tf.data. To read patches by number, as tfds.data_source does, build "
            "tfrecord and take bigearthnet.open_reader: len(reader), reader[3]."
        )
    refused = {
        "max_examples_per_split": "build a part with python -m builder.build --limit",
        "num_shards": "shards depend on the number of patches alone",
        "min_shard_size": "shards depend on the number of patches alone",
        "max_shard_size": "shards depend on the number of patches alone",
        "ignore_duplicates": "a patch that comes twice is an error",
        "beam_runner": "the build needs no Beam",
        "beam_options": "the build needs no Beam",
        "nondeterministic_order": "the order is always the same",
        "compute_stats": "statistics.json holds the exact ones of the train split",
        "register_checksums": "the checksum of the release is part of this package",
        "verify_ssl": "certificates are always checked; SSL_CERT_FILE names others",
    }
    defaults = {f.name: f.default for f in dataclasses.fields(download_config)}
    for name, reason in refused.items():
        value = getattr(download_config, name, None)
        if value != defaults.get(name):
            raise OptionError(f"{name}={value!r} is refused: {reason}.")


def set_splits(
    info: tfds.core.DatasetInfo, data_dir: Path, shards: Iterable[ShardInfo]
) -> None:
    """Tells a DatasetInfo which shards a folder holds.

    Args:
        info: The info of the builder.
        data_dir: The folder of the shards.
        shards: The shards, by split and number; splits without any are left out.
    """
    by_split: dict[str, list[ShardInfo]] = {}
    for shard in shards:
        by_split.setdefault(shard.split, []).append(shard)
    info.set_splits(
        tfds.core.SplitDict(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.num_patches for shard in members],
                num_bytes=sum(shard.files["tfrecord"].data_nbytes for shard in members),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=data_dir,
                    dataset_name=info.name,
                    split=split,
                    filetype_suffix="tfrecord",
                ),
            )
            for split, members in by_split.items()
        )
    )

"""Where TensorFlow Datasets looks for an archive, and what it wrote."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf


def offer_archive(archive: Path, data_dir: Path, name: str) -> None:
    """Links an archive to where TFDS looks for one that the user downloaded.

    Args:
        archive: The archive.
        data_dir: The `data_dir` of the builder.
        name: File name that the builder expects.
    """
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / name).symlink_to(archive.resolve())


def count_records(folder: Path) -> int:
    """Counts the records of all TFRecord shards in a folder, by reading them."""
    names = [str(path) for path in folder.glob("*.tfrecord*")]
    return sum(1 for _ in tf.data.TFRecordDataset(names))

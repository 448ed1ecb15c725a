"""TFDS's own test case for builders, on the six real patches."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from bigearthnet.bigearthnet_dataset_builder import Builder
from builder.sample import write_sample


class OfficialSplitsTest(tfds.testing.DatasetBuilderTestCase):
    """The configs of the official splits pass every check of TFDS."""

    DATASET_CLASS = Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["s2", "s2-rgb"]
    DL_DOWNLOAD_RESULT = "archive.tar.gz"
    SPLITS: ClassVar = {"train": 4, "test": 1}

    @classmethod
    def setUpClass(cls) -> None:
        """Writes the sample as an archive, where TFDS looks for dummy data."""
        cls._folder = tempfile.TemporaryDirectory()
        cls.EXAMPLE_DIR = Path(cls._folder.name) / "dummy"
        cls.EXAMPLE_DIR.mkdir()
        sample = write_sample(Path(cls._folder.name))
        with tarfile.open(cls.EXAMPLE_DIR / cls.DL_DOWNLOAD_RESULT, "w:gz") as tar:
            tar.add(sample, "BigEarthNet-v1.0")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        """Removes the archive."""
        super().tearDownClass()
        cls._folder.cleanup()


class RandomSplitTest(OfficialSplitsTest):
    """The config of the random split passes every check of TFDS."""

    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["s2-random"]
    SPLITS: ClassVar = {"train": 3, "test": 2}

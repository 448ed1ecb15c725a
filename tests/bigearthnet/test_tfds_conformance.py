"""TFDS's own test case for builders, on the six real patches."""

from __future__ import annotations

import dataclasses
import hashlib
import tarfile
import tempfile
from pathlib import Path
from typing import ClassVar
from unittest import mock

import tensorflow_datasets as tfds

from bigearthnet.bigearthnet_dataset_builder import Builder
from bigearthnet.release import V1, Digest
from builder.sample import write_sample


class OfficialSplitsTest(tfds.testing.DatasetBuilderTestCase):
    """The configs of the official splits pass every check of TFDS."""

    DATASET_CLASS = Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["s2", "s2-rgb"]
    SPLITS: ClassVar = {"train": 4, "test": 1}

    @classmethod
    def setUpClass(cls) -> None:
        """Writes the sample as an archive that has been downloaded already."""
        cls._folder = tempfile.TemporaryDirectory()
        cls.EXAMPLE_DIR = Path(cls._folder.name) / "dummy"
        published = V1.archive("s2")
        archive = cls.EXAMPLE_DIR / "bigearthnet" / published.filenames[0]
        archive.parent.mkdir(parents=True)
        sample = write_sample(Path(cls._folder.name))
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(sample, published.folder)
        small = dataclasses.replace(
            published,
            digest=Digest("sha256", hashlib.sha256(archive.read_bytes()).hexdigest()),
            nbytes=archive.stat().st_size,
        )
        archives = (small, V1.archive("s1"))
        release = dataclasses.replace(V1, archives=archives, num_patches=6)
        cls._release = mock.patch.object(Builder, "RELEASES", (release,))
        cls._release.start()
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        """Removes the archive."""
        super().tearDownClass()
        cls._release.stop()
        cls._folder.cleanup()


class RandomSplitTest(OfficialSplitsTest):
    """The config of the random split passes every check of TFDS."""

    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["s2-random"]
    SPLITS: ClassVar = {"train": 3, "test": 2}

"""Peer: a `GeneratorBasedBuilder` as the tutorial of TensorFlow Datasets teaches it.

What somebody writes who needs the pixels as they are: `iter_archive` over the archive,
rasterio for the TIFFs, one feature a band, uint16 stored as bytes, and all patches in
one split. Measured is `download_and_prepare` with its defaults, from an archive in
`<data_dir>/downloads/manual/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow  # noqa: F401 (TFDS would import it while it is timed)
import tensorflow_datasets as tfds
from clock import Clock, count_bytes, parse_arguments, report
from patches import BAND_SIZES, load_label_names, read_patches
from tfds_files import count_records, offer_archive

_ARCHIVE = "BigEarthNet-S2-v1.0.tar.gz"


class PlainBigEarthNet(tfds.core.GeneratorBasedBuilder):
    """All patches of the archive."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {_ARCHIVE} into the folder."

    def _info(self) -> tfds.core.DatasetInfo:
        bands = {
            band: tfds.features.Tensor(
                shape=(size, size), dtype=np.uint16, encoding="bytes"
            )
            for band, size in BAND_SIZES.items()
        }
        label = tfds.features.ClassLabel(names=load_label_names())
        features = {
            "patch_id": tfds.features.Text(),
            "labels": tfds.features.Sequence(label),
            **bands,
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        members = dl_manager.iter_archive(dl_manager.manual_dir / _ARCHIVE)
        return {"train": self._generate_examples(members)}

    def _generate_examples(self, members: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        for patch in read_patches(members):
            yield (
                patch.patch_id,
                {"patch_id": patch.patch_id, "labels": patch.labels, **patch.bands},
            )


def main() -> None:
    """Builds the split."""
    arguments, clock = parse_arguments(), Clock()
    offer_archive(arguments.source, arguments.work, _ARCHIVE)
    builder = PlainBigEarthNet(data_dir=arguments.work)
    with clock.running():
        builder.download_and_prepare()
    folder = Path(builder.data_dir)
    report(count_records(folder), clock.seconds, count_bytes(folder))


if __name__ == "__main__":
    main()

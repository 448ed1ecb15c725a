"""Peer: a `GeneratorBasedBuilder` of Hugging Face `datasets`, prepared as Parquet.

What its documentation teaches for an archive: `iter_archive` (which is tarfile), an
`Array2D` a band, and the library's defaults for all else. rasterio reads the TIFFs.
Measured is

    builder.download_and_prepare(OUT, file_format="parquet")

It runs in one process, since it can only share out files, and there is one archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets
import pyarrow.parquet as pq
from clock import Clock, count_bytes, parse_arguments, report
from patches import BAND_SIZES, load_label_names, read_patches


class PlainBigEarthNet(datasets.GeneratorBasedBuilder):
    """All patches of the archives that `data_files` names."""

    def _info(self) -> datasets.DatasetInfo:
        bands = {
            band: datasets.Array2D((size, size), "uint16")
            for band, size in BAND_SIZES.items()
        }
        label = datasets.ClassLabel(names=load_label_names())
        features = {
            "patch_id": datasets.Value("string"),
            "labels": datasets.List(label),
            **bands,
        }
        return datasets.DatasetInfo(features=datasets.Features(features))

    def _split_generators(
        self, dl_manager: datasets.DownloadManager
    ) -> list[datasets.SplitGenerator]:
        (archive,) = dl_manager.download(self.config.data_files["train"])
        members = dl_manager.iter_archive(archive)
        return [datasets.SplitGenerator("train", gen_kwargs={"members": members})]

    def _generate_examples(self, members: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        for patch in read_patches(members):
            yield (
                patch.patch_id,
                {"patch_id": patch.patch_id, "labels": patch.labels, **patch.bands},
            )


def main() -> None:
    """Writes the Parquet files."""
    arguments, clock = parse_arguments(), Clock()
    target = arguments.work / "parquet"
    builder = PlainBigEarthNet(
        cache_dir=str(arguments.work / "cache"),
        data_files={"train": str(arguments.source.resolve())},
    )
    with clock.running():
        builder.download_and_prepare(str(target), file_format="parquet")
    stored = sum(pq.read_metadata(path).num_rows for path in target.glob("*.parquet"))
    report(stored, clock.seconds, count_bytes(target))


if __name__ == "__main__":
    main()

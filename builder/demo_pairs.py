"""The second half of the demonstration: real pairs of Sentinel-2 and Sentinel-1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bigearthnet import TFRecordReader, load
from bigearthnet.engine.options import BuildOptions
from bigearthnet.reading.patch import Patch
from bigearthnet.release import V1
from bigearthnet.report.plotting import show
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store
from builder import build, findings, jobs, source_checks, summary, verify

_CONFIG = get_config("s1s2", [V1])
# In the order of a request that no file has.
_BANDS = ["VH", "B04", "VV", "B03"]


def show_pairs(sources: Mapping[str, Path], data_dir: Path, output: Path) -> bool:
    """Builds, verifies, loads and draws the pairs; prints what came of it.

    Args:
        sources: Name of each archive → folder of its patches.
        data_dir: The data directory.
        output: Folder for the picture.

    Returns:
        Whether everything agrees.
    """
    options = BuildOptions(include_excluded=True, quiet=True)
    result = build.build(sources, data_dir, _CONFIG, options)
    print(summary.summarize(result, jobs.find_targets(data_dir, _CONFIG, ["tfrecord"])))
    checked = verify.verify(
        data_dir,
        sources=sources,
        decode=source_checks.decode_with_rasterio,
        stores=[open_store(data_dir, _CONFIG)],
        quiet=True,
    )
    print(findings.summarize(checked))
    dataset = load("train", data_dir, config=_CONFIG.name, bands=_BANDS)
    for images, labels in dataset.as_numpy_iterator():
        print(
            f'load("train", config="{_CONFIG.name}", bands={_BANDS}): images '
            f"{images.shape} {images.dtype}, labels {labels.shape}"
        )
    patches = [*_read_patches(data_dir)]
    figure = show(patches, "sar", n=len(patches))
    figure.suptitle("Sentinel-1 of the same patches: VV, VH and VV - VH")
    picture = output / "radar.png"
    figure.savefig(picture, dpi=120)
    print(f"picture: {picture}")
    return not any(result.num_differences for result in checked)


def _read_patches(data_dir: Path) -> Iterator[Patch]:
    for split in open_store(data_dir, _CONFIG).splits:
        yield from TFRecordReader.open(split, data_dir, _CONFIG.name)

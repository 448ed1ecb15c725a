"""The second half of the demonstration: real pairs of Sentinel-2 and Sentinel-1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet import TFRecordReader, load
from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import V1
from bigearthnet.report.plotting import Panel, write_picture
from bigearthnet.schema import rgb
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store
from builder import build, findings, source_checks, summary, verify

_CONFIG = get_config("s1s2", [V1])
# In the order of a request that no file has.
_BANDS = ["VH", "B04", "VV", "B03"]
# What is drawn of the radar as red, green and blue, and the dB that are 0 and 255.
_COMPOSITE = {"VV": (-22.0, 0.0), "VH": (-28.0, -6.0), "VV - VH": (0.0, 14.0)}


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
    print(
        summary.summarize(result, build.find_targets(data_dir, _CONFIG, ["tfrecord"]))
    )
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
    panels = [_make_panel(row) for row in _read_rows(data_dir)]
    picture = output / "pairs.png"
    heading = f"Sentinel-2 (B04, B03, B02), and Sentinel-1 ({', '.join(_COMPOSITE)})"
    write_picture(panels, picture, heading)
    print(f"picture: {picture}")
    return not any(result.num_differences for result in checked)


def _read_rows(data_dir: Path) -> Iterator[dict[str, Any]]:
    for split in open_store(data_dir, _CONFIG).splits:
        reader = TFRecordReader.open(split, data_dir, _CONFIG.name)
        for batch in reader.batches(len(reader)):
            for row in range(len(batch["patch_id"])):
                yield {name: values[row] for name, values in batch.items()}


def _make_panel(row: Mapping[str, Any]) -> Panel:
    (vv, vh), (blue, green, red, _) = row["bands_s1"], row["bands_10m"]
    pair = [rgb.to_rgb([red, green, blue]), _to_composite(vv, vh)]
    return Panel(
        f"{row['patch_id']}\n{row['s1_name']}",
        V1.nomenclature.decode(row["labels"].tolist()),
        np.concatenate(pair, axis=1),
    )


def _to_composite(
    vv: npt.NDArray[np.float32], vh: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Returns a picture of backscatter in dB, shape (y, x, 3)."""
    channels = zip((vv, vh, vv - vh), _COMPOSITE.values(), strict=True)
    scaled = [(band - low) / (high - low) for band, (low, high) in channels]
    return np.stack([255 * band.clip(0, 1) for band in scaled], axis=-1).astype(
        np.uint8
    )

"""Shows the whole way on the six real sample patches, and compares both ends of it.

GeoTIFF → shards → `tfds.load("bigearthnet")`; every pixel of what comes back is
compared with what rasterio reads, every field with the JSON.

Example:
  python -m builder.demo --output=demo
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags, logging

from bigearthnet.bands import BANDS, split
from bigearthnet.config import get_config
from bigearthnet.encoding.pipeline import BuildOptions
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.nomenclature import CLC43
from bigearthnet.patch import band_file, metadata_file
from bigearthnet.plotting import Panel, write_picture
from builder import build, checks, command, sample, verify
from builder.table import format_table


def load_examples(data_dir: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields split and example of every stored patch, through `tfds.load` alone."""
    import tensorflow_datasets as tfds

    loaded = tfds.load("bigearthnet", data_dir=data_dir)
    for name, dataset in loaded.items():
        for example in tfds.as_numpy(dataset):
            yield name, example


def count_equal_bands(example: dict[str, Any], folder: Path) -> int:
    """Counts the bands of an example that equal what rasterio reads, bit for bit.

    Args:
        example: An example as TFDS loads it.
        folder: Folder of the same patch as it was published.
    """
    import rasterio

    stored = split(example)
    equal = 0
    for band in BANDS:
        with rasterio.open(folder / band_file(folder.name, band.name)) as dataset:
            expected = dataset.read(1)
        found = stored[band.name]
        equal += found.dtype == expected.dtype and np.array_equal(found, expected)
    return equal


def find_unequal_fields(example: dict[str, Any], folder: Path) -> list[str]:
    """Names the fields of an example that differ from the patch's JSON."""
    raw = json.loads((folder / metadata_file(folder.name)).read_text())
    expected = {
        "labels": sorted(CLC43.ids[label] for label in raw["labels"]),
        "coordinates": raw["coordinates"],
        "projection": raw["projection"].encode(),
        "tile_source": raw["tile_source"].encode(),
        "acquisition_date": raw["acquisition_date"].encode(),
        "patch_id": folder.name.encode(),
    }
    stored = {**example, "labels": list(example["labels"])}
    return [name for name, value in expected.items() if stored[name] != value]


def run(output: Path) -> bool:
    """Runs the demonstration and prints what came of it.

    Args:
        output: Folder for the sample, the shards and the picture; what an earlier
            demonstration left there is replaced.

    Returns:
        Whether everything agrees.

    Raises:
        OptionError: If the extra `[demo]` is not installed.
    """
    _check_installed()
    _silence_tensorflow()
    for leftover in ("sample", "data"):
        shutil.rmtree(output / leftover, ignore_errors=True)
    print("1. Six real Sentinel-2 patches, as they were published")
    source = sample.write_sample(output / "sample")
    print(f"   {source}\n\n2. Build: GeoTIFF and JSON to TFRecord shards")
    data_dir, config = output / "data", get_config("s2")
    options = BuildOptions(include_excluded=True)
    result = build.build(source, data_dir, config, options)
    print(build.summarize(result, build.store_folder(data_dir, config)))
    print("\n3. Verify: shards against the source, read by rasterio")
    checked = verify.verify(
        data_dir, source=source, decode=checks.decode_with_rasterio, quiet=True
    )
    print(verify.summarize(checked))
    print('\n4. Load: tfds.load("bigearthnet", data_dir=...)')
    agree = _compare(source, data_dir, output / "patches.png")
    agree &= not any(result.num_differences for result in checked)
    print("everything agrees, to the last bit" if agree else "SOMETHING DIFFERS")
    return agree


def _check_installed() -> None:
    for package in ("matplotlib", "tensorflow", "tensorflow_datasets"):
        if find_spec(package) is None:
            raise OptionError(
                f"the demonstration needs {package}: install the extra [demo], or run "
                "make demo."
            )


def _silence_tensorflow() -> None:
    """Keeps start-up lines that are not about us out of the way of what is shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.ERROR)


def _compare(source: Path, data_dir: Path, picture: Path) -> bool:
    rows, panels, agree = [], [], True
    for name, example in load_examples(data_dir):
        patch_id = example["patch_id"].decode()
        equal = count_equal_bands(example, source / patch_id)
        unequal = find_unequal_fields(example, source / patch_id)
        agree &= equal == len(BANDS) and not unequal
        labels = CLC43.decode(example["labels"])
        date = example["acquisition_date"].decode()
        rows.append(
            (name, patch_id, len(labels), f"{equal} of 12", ", ".join(unequal) or "all")
        )
        panels.append(
            Panel(f"{patch_id}\n{name} · {date}", labels, example["bands_10m"])
        )
    header = ("split", "patch", "labels", "bands = rasterio", "fields = JSON")
    print(format_table(header, rows))
    if len(rows) != len(list(source.iterdir())):
        raise ShardError(f"{len(rows)} patches came back of those in {source}.")
    write_picture(
        panels, picture, "BigEarthNet: the real sample patches, loaded by TFDS"
    )
    print(f"picture: {picture}")
    return agree


def _define_flags() -> None:
    flags.DEFINE_string("output", "demo", "Folder for what the demonstration makes.")


def _main() -> int:
    return 0 if run(command.path_flag("output")) else 1


if __name__ == "__main__":
    command.run(_main, _define_flags)

"""Shows the whole way on the six real sample patches, and compares both ends of it.

GeoTIFF → TFRecord, Parquet and Arrow shards → every line that loads them; every pixel
of what comes back is compared with what rasterio reads, every field with the JSON. Then
the same patches in pairs with Sentinel-1.

Example:
  python -m builder.demo --output=demo
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from absl import flags, logging

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS, GROUPS
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.report.plotting import show
from bigearthnet.schema.configs import get_config
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from builder import build, findings, jobs, sample, source_checks, summary, verify
from builder.demo_pairs import show_pairs
from builder.loaders import LOADERS, LoadedPatch, load_view
from builder.table import format_table

_S2 = V1.archive("s2")
_FORMATS = ("tfrecord", "parquet", "arrow")
# What a demonstration makes anew, and the file that says that it made it.
_REPLACED, _MARK = ("sample", "data", "cache"), "demo.txt"


def count_equal_bands(patch: LoadedPatch, folder: Path) -> int:
    """Counts the bands of a patch that equal what rasterio reads, bit for bit.

    Args:
        patch: A patch as it was loaded.
        folder: Folder of the same patch as it was published.
    """
    import rasterio

    equal = 0
    for band in BANDS:
        with rasterio.open(folder / _S2.band_file(folder.name, band)) as dataset:
            expected = dataset.read(1)
        found = patch.bands[band.name]
        equal += found.dtype == expected.dtype and np.array_equal(found, expected)
    return equal


def find_unequal_fields(patch: LoadedPatch, folder: Path) -> list[str]:
    """Names the loaded fields of a patch that differ from its JSON."""
    raw = json.loads((folder / f"{folder.name}{_S2.metadata_suffix}").read_text())
    expected = {
        **raw,
        "labels": sorted(CLC43.ids[label] for label in raw["labels"]),
        "patch_id": folder.name,
    }
    return [name for name, value in patch.fields.items() if value != expected[name]]


def run(output: Path) -> bool:
    """Runs the demonstration and prints what came of it.

    Args:
        output: Folder for the sample, the shards and the picture; what an earlier
            demonstration left there is replaced.

    Returns:
        Whether everything agrees.

    Raises:
        OptionError: If the extra `[demo]` is not installed, or the folder holds what no
            demonstration made.
    """
    needed = ("matplotlib", "tensorflow", "tensorflow_datasets", "datasets", "yaml")
    command.check_packages("demo", *needed)
    _silence_libraries()
    _clear(output)
    print("1. Six real pairs of Sentinel-2 and Sentinel-1, as they were published")
    source = sample.write_sample(output / "sample")
    radar = source.with_name(sample.S1_FOLDER)
    print(
        f"   {source}\n   {radar}\n\n2. Build: Sentinel-2 in all formats, in one pass"
    )
    data_dir, config = output / "data", get_config("s2", [V1])
    options = BuildOptions(include_excluded=True)
    result = build.build(source, data_dir, config, options, formats=_FORMATS)
    print(summary.summarize(result, jobs.find_targets(data_dir, config, _FORMATS)))
    print("\n3. Verify: shards against each other and the source, read by rasterio")
    checked = verify.verify(
        data_dir,
        sources={"s2": source},
        decode=source_checks.decode_with_rasterio,
        quiet=True,
    )
    print(findings.summarize(checked))
    print("\n4. Load: every way to these patches")
    agree = _compare(source, data_dir, output / "cache")
    print("\n5. The same Parquet files as four configs of load_dataset")
    _show_views(data_dir, output / "cache")
    _draw(data_dir, output)
    agree &= not any(result.num_differences for result in checked)
    print("\n6. Pairs: both sensors, matched by the table and compared by place")
    agree &= show_pairs({"s2": source, "s1": radar}, data_dir, output)
    print("everything agrees, to the last bit" if agree else "SOMETHING DIFFERS")
    print(f'next: bigearthnet.load("train", "{data_dir}") loads it')
    return agree


def _clear(output: Path) -> None:
    """Deletes what an earlier demonstration left, and nothing that is not its own."""
    check_output(output, "output")
    mark = output / _MARK
    found = [output / name for name in _REPLACED if (output / name).exists()]
    if found and not mark.is_file():
        raise OptionError(
            f"output: {found[0]} is there, and would be deleted, but {_MARK} does not "
            "say that a demonstration made it. Delete it, or choose another folder."
        )
    for path in found:
        shutil.rmtree(path)
    output.mkdir(parents=True, exist_ok=True)
    mark.write_text("python -m builder.demo replaces what it left in this folder.\n")


def _silence_libraries() -> None:
    """Keeps start-up lines that are not about us out of the way of what is shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    logging.set_verbosity(logging.ERROR)


def _compare(source: Path, data_dir: Path, cache_dir: Path) -> bool:
    rows, agree = [], True
    num_patches = len(list(source.iterdir()))
    for line, load in LOADERS.items():
        patches = list(load(data_dir, cache_dir))
        if len(patches) != num_patches:
            raise ShardError(f"{line}: {len(patches)} patches of {num_patches} came.")
        equal = sum(count_equal_bands(p, source / p.patch_id) for p in patches)
        unequal = [
            f"{name} of {patch.patch_id}"
            for patch in patches
            for name in find_unequal_fields(patch, source / patch.patch_id)
        ]
        num_bands = num_patches * len(BANDS)
        agree &= equal == num_bands and not unequal
        fields = ", ".join(unequal) or f"all {len(patches[0].fields)}"
        rows.append((line, len(patches), f"{equal} of {num_bands}", fields))
    header = ("line", "patches", "bands = rasterio", "fields = JSON")
    print(format_table(header, rows))
    return agree


def _show_views(data_dir: Path, cache_dir: Path) -> None:
    rows = []
    for view in get_config("s2", [V1]).views:
        dataset = load_view(data_dir, cache_dir, view)["train"]
        bands = [g.name for g in GROUPS if g.name in dataset.features]
        labels = [name for name in dataset.features if name.startswith("labels")]
        rows.append(
            (
                f'load_dataset(…, "{view}")',
                dataset.num_rows,
                len(dataset.features),
                ", ".join(bands) or "no bands",
                ", ".join(labels),
            )
        )
    print(format_table(("line", "train", "columns", "bands", "labels"), rows))


def _draw(data_dir: Path, output: Path) -> None:
    loaded = LOADERS["tfds.load"](data_dir, output / "cache")
    patches = [{**patch.bands, **patch.fields} for patch in loaded]
    figure = show(patches, n=len(patches))
    figure.suptitle("BigEarthNet: the real sample patches, loaded by TFDS")
    picture = output / "patches.png"
    figure.savefig(picture, dpi=120)
    print(f"\npicture: {picture}")


def _define_flags() -> None:
    command.define_path("output", "demo", "Folder for what the demonstration makes.")


def _main() -> int:
    return 0 if run(flags.FLAGS.output) else 1


if __name__ == "__main__":
    command.run(_main, _define_flags, find_logs=lambda: flags.FLAGS.output)

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.util.files import hash_file
from builder.findings import CheckResult
from builder.source_checks import decode_with_rasterio
from builder.verify import verify

PARQUET = "huggingface/s2/train-00000-of-00001.parquet"
ARROW = "arrow/train/data-00000-of-00001.arrow"
# The one of the sample's four train patches that comes first.
FIRST = "S2A_MSIL2A_20171221T112501_56_35"


@pytest.fixture
def data_dir(all_stores: Path, tmp_path: Path) -> Path:
    """A copy of all stores of the real sample that a test may damage."""
    return Path(shutil.copytree(all_stores, tmp_path / "data"))


def differences(data_dir: Path, **options: Any) -> dict[tuple[str, str], list[str]]:
    """Runs the checks and returns format and check → differences, where any are."""
    results: list[CheckResult] = verify(data_dir, quiet=True, **options)
    return {(r.format, r.check): r.shown for r in results if r.num_differences}


def register(data_dir: Path, name: str) -> None:
    """Makes the manifest of a store agree with a file that was changed."""
    store, _, file_name = name.partition("/")
    path = data_dir / store / "manifest.json"
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        if file["name"] == file_name:
            file["sha256"] = hash_file(data_dir / name)
            file["bytes"] = (data_dir / name).stat().st_size
    path.write_text(json.dumps(manifest))


def change_table(
    data_dir: Path, name: str, change: Callable[[pa.Table], pa.Table]
) -> None:
    """Rewrites a shard of the train split."""
    path = data_dir / name
    if name == PARQUET:
        pq.write_table(change(pq.read_table(path)), path)
    else:
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
        table = change(table)
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as writer,
        ):
            writer.write_table(table)
    register(data_dir, name)


def set_column(table: pa.Table, name: str, column: Any) -> pa.Table:
    """Replaces the values of a column, keeping its field."""
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(index), column)


def change_pixel(table: pa.Table) -> pa.Table:
    """Adds 1 to one pixel of the first patch: band 2, row 5, column 7 of 20 m."""
    column = table["bands_20m"].combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    values = column.flatten().flatten().flatten().to_numpy().copy()
    values[2 * 3600 + 5 * 60 + 7] += 1
    array = pa.array(values)
    for shape in ((4 * 6 * 60, 60), (4 * 6, 60), (4, 6)):
        offsets = np.arange(shape[0] + 1, dtype=np.int32) * np.int32(shape[1])
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    kind = table.schema.field("bands_20m").type
    if isinstance(kind, pa.ExtensionType):
        array = pa.ExtensionArray.from_storage(kind, array)
    return set_column(table, "bands_20m", array)


@pytest.mark.parametrize("decode", ["ours", "rasterio"])
def test_good_stores_have_no_differences(
    decode: str, all_stores: Path, sample_folder: Path
) -> None:
    """All formats agree with themselves, with each other and with the source."""
    options = {"decode": decode_with_rasterio} if decode == "rasterio" else {}
    results = verify(all_stores, sources={"s2": sample_folder}, quiet=True, **options)  # type: ignore[arg-type]

    assert 0 == sum(result.num_differences for result in results)
    assert [("parquet", 6), ("arrow", 6)] == [
        (r.format, r.checked) for r in results if r.check == "same as tfrecord"
    ]
    assert [("tfrecord", 6)] == [
        (r.format, r.checked) for r in results if r.check.startswith("source")
    ]


@pytest.mark.parametrize(("name", "form"), [(PARQUET, "parquet"), (ARROW, "arrow")])
def test_a_changed_pixel_is_found(name: str, form: str, data_dir: Path) -> None:
    """One digital number that differs between two stores shows, with its place."""
    change_table(data_dir, name, change_pixel)
    found = differences(data_dir)

    assert {(form, "statistics"), (form, "same as tfrecord")} <= set(found)
    assert (form, "records") not in found
    assert (
        f"{FIRST}: bands_20m: 1 of 21600 values differ, the first at (2, 5, 7)"
        in found[form, "same as tfrecord"][0]
    )
    assert "(tfrecord and" in found[form, "same as tfrecord"][0]


def test_a_single_store_is_compared_with_the_source(
    data_dir: Path, sample_folder: Path
) -> None:
    """Without TFRecord, the next store takes its part."""
    shutil.rmtree(data_dir / "bigearthnet")
    change_table(data_dir, PARQUET, change_pixel)
    found = differences(data_dir, sources={"s2": sample_folder})

    assert "bands_20m" in found["parquet", f"source {sample_folder.name}"][0]
    assert "bands_20m" in found["arrow", "same as parquet"][0]


@pytest.mark.parametrize("name", [PARQUET, ARROW])
def test_previews_of_other_patches_are_found(name: str, data_dir: Path) -> None:
    """A preview that shows another patch does not pass for a lossy one."""

    def change(table: pa.Table) -> pa.Table:
        previews = table["preview"].combine_chunks().take(pa.array([1, 0, 2, 3]))
        return set_column(table, "preview", previews)

    change_table(data_dir, name, change)
    form = "parquet" if name == PARQUET else "arrow"
    found = differences(data_dir)

    assert (form, "same as tfrecord") not in found
    assert 2 == len(found[form, "records"])
    assert f"{FIRST}: preview shows something else" in found[form, "records"][0]


def test_a_lost_row_is_found(data_dir: Path) -> None:
    """A patch that only one store has shows, and so does the count."""
    change_table(data_dir, ARROW, lambda table: table.slice(1))
    found = differences(data_dir)

    assert "train: 3 rows, manifest 4" == found["arrow", "splits"][0]
    assert [f"{FIRST} is in tfrecord, not in arrow"] == found[
        "arrow", "same as tfrecord"
    ]


def test_rows_out_of_order_are_found(data_dir: Path) -> None:
    """Rows that do not follow the order of keys show."""
    change_table(data_dir, PARQUET, lambda table: table.take(pa.array([1, 0, 2, 3])))

    assert [f"{FIRST} stands out of order"] == differences(data_dir)[
        "parquet", "records"
    ]


def test_a_lost_column_is_found(data_dir: Path) -> None:
    """A shard without one of the columns is an error that names it."""
    change_table(data_dir, PARQUET, lambda table: table.drop_columns(["epsg"]))

    assert "no column epsg" in differences(data_dir)["parquet", "records"][0]


@pytest.mark.parametrize("name", [PARQUET, ARROW])
def test_a_truncated_table_is_found(name: str, data_dir: Path) -> None:
    """A shard that lost its end shows in its size and when it is read."""
    content = (data_dir / name).read_bytes()
    (data_dir / name).write_bytes(content[: len(content) // 2])
    form = "parquet" if name == PARQUET else "arrow"
    found = differences(data_dir)

    assert [(form, "files")] == list(found)
    assert "bytes, got" in found[form, "files"][0]


def test_stray_shards_are_found_and_caches_are_not(data_dir: Path) -> None:
    """A shard of another build shows; what `datasets` keeps beside does not."""
    for name in (
        "huggingface/s2/train-00000-of-00002.parquet",
        "arrow/train/cache-0123456789abcdef.arrow",
    ):
        (data_dir / name).write_bytes(b"")

    assert {
        ("parquet", "files"): [
            "s2/train-00000-of-00002.parquet is not part of the build: delete it"
        ]
    } == differences(data_dir)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("num_examples: 4", "num_examples: 5", "dataset_info are of another build"),
        ("path: s2/test-*", "path: s2/train-*", "configs are of another build"),
        ("configs:", "konfigs:", "cannot be read"),
        ("---\n", "+++\n", "cannot be read"),
    ],
)
def test_a_card_of_other_shards_is_found(
    old: str, new: str, problem: str, data_dir: Path
) -> None:
    """A card that would load something else shows; its text may be changed."""
    path = data_dir / "huggingface" / "README.md"
    text = path.read_text()
    path.write_text(text + "\nMore.\n")
    unharmed = differences(data_dir)
    path.write_text(text.replace(old, new))

    assert {} == unharmed
    assert problem in differences(data_dir)["parquet", "descriptions"][0]


@pytest.mark.parametrize(
    "name", ["dataset_dict.json", "train/state.json", "test/dataset_info.json"]
)
def test_wrong_metadata_of_arrow_is_found(name: str, data_dir: Path) -> None:
    """What `load_from_disk` reads must be what belongs to the shards."""
    path = data_dir / "arrow" / name
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "splits": ["test"], "_data_files": []}))
    changed = differences(data_dir)
    path.unlink()

    assert {("arrow", "descriptions"): [f"{name} is of another build"]} == changed
    assert {("arrow", "descriptions"): [f"{name} is missing"]} == differences(data_dir)


def test_a_damaged_offset_is_a_difference_and_no_crash(data_dir: Path) -> None:
    """Verifying an Arrow shard whose offsets point elsewhere ends with a report."""
    path = data_dir / ARROW
    content = bytearray(path.read_bytes())
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        (batch,) = stream
        offsets = batch["patch_id"].buffers()[1].to_pybytes()
    place = content.index(offsets[:20])
    content[place + 7] ^= 0x40
    path.write_bytes(content)
    found = differences(data_dir)
    register(data_dir, ARROW)
    registered = differences(data_dir)

    assert [("arrow", "files")] == list(found)
    assert "column patch_id cannot be read" in registered["arrow", "records"][0]


def test_a_source_that_is_not_there_is_noticed_first(data_dir: Path) -> None:
    """Hours of reading do not come before an error in an option."""
    (data_dir / ARROW).unlink()
    with pytest.raises(OptionError, match=r"source s2: there is no .*nowhere"):
        verify(data_dir, sources={"s2": data_dir / "nowhere"}, quiet=True)


@pytest.mark.parametrize("package", ["yaml", "PIL"])
def test_a_missing_package_is_noticed_first(
    package: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be checked is not reported as damage."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(OptionError, match=rf"{package} not installed: .*\[hf\]"):
        verify(data_dir, quiet=True)


def test_tensorflow_is_not_needed(
    all_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are checked where neither TensorFlow nor TFDS is installed."""
    for name in ("tensorflow", "tensorflow_datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    results = verify(all_stores, quiet=True)

    assert 0 == sum(result.num_differences for result in results)
    assert "tfrecord" in {result.format for result in results}

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.formats.tfrecord.framing import frame, read_records
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import read_store
from bigearthnet.util.files import hash_file
from builder.build import build
from builder.findings import summarize
from builder.source_checks import decode_with_rasterio
from builder.stored import read_example
from builder.verify import verify

S2 = get_config("s2", RELEASES)

S2_SCHEMA = S2.schema

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

SHARD = "bigearthnet-train.tfrecord-00000-of-00001"


@pytest.fixture(scope="module")
def built(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with every config, built from the real sample."""
    data_dir = tmp_path_factory.mktemp("built")
    for config in ("s2-rgb", "s2-random", "s2"):
        options = BuildOptions(include_excluded=config == "s2", quiet=True, workers=1)
        build(sample_folder, data_dir, get_config(config, RELEASES), options)
    return data_dir


@pytest.fixture
def data_dir(built: Path, tmp_path: Path) -> Path:
    """A copy of the s2 store that a test may damage."""
    shutil.copytree(built / "bigearthnet" / "s2", tmp_path / "bigearthnet" / "s2")
    return tmp_path


def store_folder(data_dir: Path) -> Path:
    """The folder of the TFRecord store of s2."""
    return FORMATS["tfrecord"].store_folder(data_dir, S2)


def differences(data_dir: Path, **options: object) -> dict[str, list[str]]:
    """Runs the checks and returns check → differences, where there are any."""
    results = verify(data_dir, quiet=True, **options)  # type: ignore[arg-type]
    return {r.check: r.shown for r in results if r.num_differences}


def rewrite(data_dir: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Changes the first example of train, and makes files and manifest agree again."""
    folder = store_folder(data_dir)
    manifest = json.loads((folder / "manifest.json").read_text())
    (file,) = [file for file in manifest["files"] if file["name"] == SHARD]
    records = list(read_records(folder / SHARD, file["rows"]))
    example = read_example(read_store(folder, RELEASES), file, 0)
    change(example)  # type: ignore[arg-type]
    records[0] = make_encoder(S2_SCHEMA)(example)
    (folder / SHARD).write_bytes(b"".join(p for r in records for p in frame(r)))
    file["sha256"] = hash_file(folder / SHARD)
    file["bytes"] = (folder / SHARD).stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("decode", ["ours", "rasterio"])
def test_a_good_build_has_no_differences(
    decode: str, built: Path, sample_folder: Path
) -> None:
    """Every config agrees with itself, the lists and the source."""
    options = {"decode": decode_with_rasterio} if decode == "rasterio" else {}
    results = verify(built, sources={"s2": sample_folder}, quiet=True, **options)  # type: ignore[arg-type]

    assert {"s2", "s2-random", "s2-rgb", "all"} == {result.store for result in results}
    assert 0 == sum(result.num_differences for result in results)
    assert [6, 5, 5] == [
        r.checked for r in results if r.check == f"source {sample_folder.name}"
    ]


@pytest.mark.parametrize("position", [3, 40, 5000, -3])
def test_a_flipped_bit_is_found(position: int, data_dir: Path) -> None:
    """A changed byte anywhere in a shard shows in its checksum, and nowhere else."""
    path = store_folder(data_dir) / SHARD
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    found = differences(data_dir)

    assert ["files"] == list(found)
    assert f"{SHARD}: expected sha256" in found["files"][0]


def test_a_truncated_shard_is_found(data_dir: Path) -> None:
    """A shard that lost its end shows in its size."""
    path = store_folder(data_dir) / SHARD
    path.write_bytes(path.read_bytes()[:-1])
    found = differences(data_dir)

    assert ["files"] == list(found)
    assert "bytes, got" in found["files"][0]


def test_missing_and_foreign_shards_are_found(data_dir: Path) -> None:
    """A file of the manifest that is gone, and one that is not in it, both show."""
    folder = store_folder(data_dir)
    (folder / "bigearthnet-test.tfrecord-00000-of-00001").rename(
        folder / "bigearthnet-test.tfrecord-00001-of-00002"
    )
    found = differences(data_dir)["files"]

    assert "bigearthnet-test.tfrecord-00000-of-00001 is missing" == found[0]
    assert (
        "bigearthnet-test.tfrecord-00001-of-00002 is not part of the build: delete it"
        == found[1]
    )


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("labels", (1, 2), "do not follow from (1, 2)"),
        ("labels", (5, 2), "not ascending CLC43 ids"),
        ("labels", (), "not ascending CLC43 ids"),
        ("country", 0, "country: expected 7, stored 0"),
        ("season", 1, "season: expected 0, stored 1"),
        ("s1_name", "S1A", "s1_name: expected 'S1"),
        ("contains_seasonal_snow", True, "contains_seasonal_snow: expected False"),
        ("patch_id", "S2A_MSIL2A_20170613T101031_99_99", "not a patch of the release"),
        ("patch_id", "S2A_MSIL2A_20170613T101031_87_48", "belongs to test"),
    ],
)
def test_wrong_fields_are_found(
    name: str, value: object, match: str, data_dir: Path
) -> None:
    """A field that disagrees with the labels or the official lists shows."""
    rewrite(data_dir, lambda example: example.update({name: value}))
    found = differences(data_dir)

    assert any(match in line for line in found["records"]), found


def test_a_wrong_multi_hot_vector_is_found(data_dir: Path) -> None:
    """A vector that disagrees with the labels shows."""

    def change(example: dict[str, object]) -> None:
        vector = example["multi_hot_43"].copy()  # type: ignore[attr-defined]
        vector[0] ^= 1
        example["multi_hot_43"] = vector

    rewrite(data_dir, change)

    assert "multi_hot_43 disagrees" in differences(data_dir)["records"][0]


def test_a_changed_pixel_is_found_by_the_statistics_and_the_source(
    data_dir: Path, sample_folder: Path
) -> None:
    """One digital number that is off by one shows, with its place."""

    def change(example: dict[str, object]) -> None:
        pixels = example["bands_20m"].copy()  # type: ignore[attr-defined]
        pixels[2, 5, 7] += 1
        example["bands_20m"] = pixels

    rewrite(data_dir, change)
    found = differences(data_dir, sources={"s2": sample_folder})

    assert "statistics.json differs" in found["statistics"][0]
    assert (
        "bands_20m: 1 of 21600 values differ, the first at (2, 5, 7)"
        in found[f"source {sample_folder.name}"][0]
    )


def test_a_stored_patch_that_the_source_lacks_is_found(
    data_dir: Path,
    sample_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """Comparing with a smaller source names what it lacks."""
    gone, *rest = sample_patches
    some = {patch_id: sample_patches[patch_id] for patch_id in rest}
    source = write_archive(tmp_path, some)
    found = differences(data_dir, sources={"s2": source})

    assert [f"{gone} is not in the source {source}"] == found[f"source {source.name}"]


def test_complete_counts_what_is_missing(data_dir: Path) -> None:
    """The sample is far from complete, and --complete says so."""
    results = verify(data_dir, complete=True, quiet=True)
    (complete,) = [r for r in results if r.check == "official lists"]

    assert 519_284 == complete.checked
    assert 519_279 == complete.num_differences
    assert "and 519,269 more" in summarize(results)


def test_a_damaged_table_is_found(data_dir: Path) -> None:
    """A table of patches of another build shows."""
    folder = store_folder(data_dir)
    (folder / "patches.parquet").write_bytes(b"something else")
    (data_dir / "patches.parquet").write_bytes(b"something else")
    found = differences(data_dir)

    assert ["files", "patch tables"] == list(found)
    assert "patches.parquet: expected sha256" in found["files"][0]
    assert "patches.parquet is of another build" in found["patch tables"][0]


def test_wrong_metadata_of_tfds_is_found(data_dir: Path) -> None:
    """A dataset_info.json that counts other patches shows."""
    folder = store_folder(data_dir)
    path = folder / "dataset_info.json"
    path.write_text(path.read_text().replace('"4"', '"5"'))
    (folder / "features.json").write_text("{")
    (folder / "season.labels.txt").write_text("winter\n")
    (folder / "labels.labels.txt").unlink()
    info, features, *labels = differences(data_dir)["descriptions"]

    assert "dataset_info.json is of another build" == info
    assert "features.json cannot be read" in features
    assert "season.labels.txt is of another build" == labels[0]
    assert ["labels.labels.txt is missing"] == labels[1:]


def test_a_downloaded_store_agrees(data_dir: Path) -> None:
    """The folder of a store is verified; what a hub's download leaves is no shard."""
    folder = store_folder(data_dir).rename(data_dir / "my-ben")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".cache" / "huggingface" / f"{SHARD}.metadata").touch()

    assert {} == differences(folder)


def test_nothing_to_verify_is_an_error(tmp_path: Path) -> None:
    """An empty directory is not a success."""
    with pytest.raises(StoreError, match=f"no store in {tmp_path}"):
        verify(tmp_path)


def test_the_exit_status_tells(built: Path, data_dir: Path) -> None:
    """The command ends with 0 if everything agrees, else with 1."""
    (store_folder(data_dir) / SHARD).write_bytes(b"")
    done = [
        subprocess.run(
            [sys.executable, "-m", "builder.verify", f"--data_dir={path}"],
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (built, data_dir)
    ]

    assert [0, 1] == [one.returncode for one in done]
    assert "everything agrees" in done[0].stdout
    assert "differences" in done[1].stdout


def test_a_table_with_other_labels_is_found(data_dir: Path) -> None:
    """A label of patches.parquet that disagrees with the record shows."""
    folder = store_folder(data_dir)
    table = pq.read_table(folder / "patches.parquet")
    rows = table.to_pylist()
    rows[0]["labels"] = [42]
    table = table.from_pylist(rows, schema=table.schema)
    pq.write_table(table, folder / "patches.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["patches"]["sha256"] = hash_file(folder / "patches.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest))

    assert "other labels than the record" in differences(data_dir)["patch table"][0]


def test_a_damaged_source_is_named_by_rasterio_too(
    data_dir: Path,
    sample_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A band that rasterio cannot read is a difference that names patch and file."""
    patch_id, files = next(iter(sample_patches.items()))
    name = f"{patch_id}_B05.tif"
    source = write_archive(tmp_path, {patch_id: {**files, name: b"nothing"}})
    found = differences(data_dir, sources={"s2": source}, decode=decode_with_rasterio)
    (line,) = found[f"source {source.name}"]

    assert f"{patch_id}/{name}: rasterio cannot read it" in line

"""Builds from a finished store instead of archives."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bigearthnet.engine import workers
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import run
from bigearthnet.engine.workspace import Workspace, open_workspace
from bigearthnet.errors import BigEarthNetError, OptionError, ShardError, StoreError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import read_store
from bigearthnet.store.remote import open_origin
from builder.build import build

S2 = get_config("s2", RELEASES)
OPTIONS = BuildOptions(quiet=True, workers=1)


def convert(
    source: Path, output: Path, config: str = "s2", formats: tuple[str, ...] = ()
) -> Workspace:
    """Makes stores of a store; returns the workspace, which is left as it is."""
    chosen = get_config(config, RELEASES)
    origin = open_origin(source, chosen)
    job = Job(chosen, (), formats or ("tfrecord",), OPTIONS, origin)
    with open_workspace(output, identify_build(job)) as work:
        run(job, work)
    return work


def read_files(folder: Path) -> dict[str, bytes]:
    """Returns path → content of all files but those that only TFDS and cards need."""
    beside = ["provenance.json", "README.md", "croissant.json"]
    beside += ["dataset_info.json", "features.json", "dataset_dict.json", "state.json"]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in beside
        and path.suffix not in (".txt", ".jpg")
    }


FOLDERS = {
    "tfrecord": "bigearthnet/s2/2.0.0",
    "parquet": "huggingface",
    "arrow": "arrow",
}


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("stores", ["all_stores", "many_shards", "thousand_patches"])
def test_every_store_is_what_a_build_makes(
    form: str, stores: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """From a store of any format, files of every format are equal byte for byte."""
    original = request.getfixturevalue(stores)
    work = convert(original / FOLDERS[form], tmp_path / "work", formats=(*FOLDERS,))

    for name, folder in FOLDERS.items():
        assert read_files(original / folder) == read_files(work.folder / name)


def test_a_table_of_an_older_version_is_refused(
    many_shards: Path, tmp_path: Path
) -> None:
    """A table of patches without dates and places is an error that says so."""
    source = shutil.copytree(many_shards / "huggingface", tmp_path / "source")
    table = pq.read_table(source / "patches.parquet")
    pq.write_table(table.select(range(4)), source / "patches.parquet")

    with pytest.raises(StoreError, match="no date, epsg, ulx, uly: an older version"):
        convert(source, tmp_path / "work")


def test_pictures_are_made_of_bands(
    all_stores: Path, sample_folder: Path, tmp_path: Path
) -> None:
    """A configuration that has no tables is made of that with its bands."""
    config = get_config("s2-rgb", RELEASES)
    options = dataclasses.replace(OPTIONS, include_excluded=True)
    build(sample_folder, tmp_path / "data", config, options)
    work = convert(all_stores / "huggingface", tmp_path / "work", "s2-rgb")

    expected = read_files(tmp_path / "data/bigearthnet/s2-rgb/2.0.0")
    assert expected == read_files(work.folder / "tfrecord")


def test_what_is_written_is_not_written_again(
    many_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that is interrupted goes on, and says which store it was made of."""
    source = shutil.copytree(many_shards / "huggingface", tmp_path / "source")
    shard = next((source / "s2").glob("validation-*"))
    moved = shard.rename(tmp_path / "moved")
    written: list[str] = []
    write_shard = workers.write_shard

    def count(task: workers.ShardTask, *args: object) -> object:
        made = write_shard(task, *args)
        written.append(task.plan.name)
        return made

    monkeypatch.setattr(workers, "write_shard", count)
    with pytest.raises(StoreError, match=r"validation-.* is missing"):
        convert(source, tmp_path / "work")
    first = list(written)
    moved.rename(shard)
    work = convert(source, tmp_path / "work")

    assert 0 < len(first) < len(written) == len(set(written)) == 6
    provenance = json.loads((work.folder / "tfrecord/provenance.json").read_text())
    assert str(source) == provenance["source"] == provenance["source_store"]["url"]


def swap_shards(store: Path) -> None:
    """Exchanges two shards, and what the manifest says of them."""
    one, other = sorted((store / "s2").glob("train-*"))[:2]
    manifest = json.loads((store / "manifest.json").read_text())
    files = [f for f in manifest["files"] if f["split"] == "train"][:2]
    for key in ("bytes", "sha256", "data_bytes"):
        files[0][key], files[1][key] = files[1][key], files[0][key]
    (store / "manifest.json").write_text(json.dumps(manifest))
    one.rename(store / "x")
    other.rename(one)
    (store / "x").rename(other)


def drop_patch(store: Path) -> None:
    """Leaves a patch out of the table of patches."""
    table = pq.read_table(store / "patches.parquet")
    pq.write_table(table.slice(1), store / "patches.parquet")


def change_id(store: Path) -> None:
    """Puts a patch that is none of the release into the table of patches."""
    table = pq.read_table(store / "patches.parquet")
    ids = ["S2A_MSIL2A_20170613T101031_99_99", *table["patch_id"].to_pylist()[1:]]
    changed = table.set_column(0, "patch_id", [ids])
    pq.write_table(changed, store / "patches.parquet")


def change_statistics(store: Path) -> None:
    """Changes a sum of the statistics."""
    path = store / "statistics.json"
    content = json.loads(path.read_text())
    content["bands"]["B04"]["sum"] = "1"
    path.write_text(json.dumps(content))


def cut_shard(store: Path) -> None:
    """Takes the rows out of a shard, and tells the manifest its size."""
    path = next((store / "s2").glob("test-*"))
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    content = json.loads((store / "manifest.json").read_text())
    for file in content["files"]:
        if store / file["name"] == path:
            file["bytes"] = path.stat().st_size
    (store / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "kind", "text"),
    [
        (swap_shards, ShardError, r"does not hold the patches that its table"),
        (drop_patch, StoreError, r"has \d stored patch of \w+, its manifest \d"),
        (change_id, ShardError, "has a patch that is not part of the release"),
        (change_statistics, StoreError, "pixels of train are not those of its statis"),
        (cut_shard, ShardError, r"has 0 patches: expected 1, as its manifest says"),
    ],
)
def test_a_store_that_contradicts_itself_is_refused(
    damage: Callable[[Path], None],
    kind: type[BigEarthNetError],
    text: str,
    many_shards: Path,
    tmp_path: Path,
) -> None:
    """The error names the store and what differs."""
    source = shutil.copytree(many_shards / "huggingface", tmp_path / "source")
    damage(source)

    with pytest.raises(kind, match=text) as raised:
        convert(source, tmp_path / "work")
    assert str(source) in str(raised.value)


def test_a_store_of_something_else_is_refused(all_stores: Path, tmp_path: Path) -> None:
    """Another split scheme cannot be the source of a configuration."""
    tfrecord = all_stores / "bigearthnet/s2/2.0.0"
    with pytest.raises(OptionError, match="config s2-random is made of a store that"):
        convert(all_stores / "huggingface", tmp_path / "work", "s2-random")
    with pytest.raises(OptionError, match=r"is built from s2: got no source"):
        Job(S2, (), ("tfrecord",), OPTIONS)
    assert read_store(tfrecord, RELEASES).config == S2
    assert not (tmp_path / "work").exists()


def flip(path: Path) -> None:
    """Changes the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("form", FOLDERS)
def test_a_flipped_bit_is_not_copied(
    form: str, all_stores: Path, tmp_path: Path
) -> None:
    """Pixels that were damaged end a conversion, in whatever format they are."""
    source = shutil.copytree(all_stores / FOLDERS[form], tmp_path / "source")
    name = json.loads((source / "manifest.json").read_text())["files"][0]["name"]
    path = source / name
    flip(path)

    with pytest.raises(ShardError, match=str(path)):
        convert(source, tmp_path / "work")

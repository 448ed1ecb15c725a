"""Sentinel-1 of v1.0 builds beside Sentinel-2, and feeds v2.0; on real patches."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from rasterio.io import MemoryFile

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import ArchiveError, ChecksumError, OptionError, PatchError
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.release import RELEASES, V1, V2
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store
from builder.build import build
from builder.jobs import make_source
from builder.source_checks import decode_with_rasterio
from builder.sources import find_given, find_sources
from builder.verify import verify
from tests.conftest import Patches, WriteArchive

QUIET = BuildOptions(include_excluded=True, quiet=True, workers=1)
S1S2, S1 = get_config("s1s2", RELEASES), get_config("s1", RELEASES)
V2_S1 = get_config("v2-s1", RELEASES)
PREFIX = "BigEarthNet-S1-v1.0/"


@pytest.fixture
def radar(
    s1_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> dict[str, Path]:
    """The six real patches as an archive, and as the folder of it."""
    tar = write_archive(tmp_path, s1_patches, prefix=PREFIX, shuffle=1)
    folder = tmp_path / "extracted" / PREFIX
    for name, files in s1_patches.items():
        (folder / name).mkdir(parents=True)
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
    return {"tar": tar, "folder": folder}


def hash_shards(data_dir: Path, config: str, form: str = "tfrecord") -> list[str]:
    """The checksum of each shard of a store."""
    store = open_store(data_dir, get_config(config, RELEASES), form)
    return [file["sha256"] for file in store.manifest["files"]]


@pytest.mark.parametrize("form", ["tar", "folder"])
def test_pairs_are_what_was_published(
    form: str,
    radar: dict[str, Path],
    sample_folder: Path,
    s1_patches: Patches,
    tmp_path: Path,
) -> None:
    """Bands equal rasterio bit for bit, in the order VV, VH; fields equal the JSON."""
    sources = {"s2": sample_folder, "s1": radar[form]}
    build(sources, tmp_path / "data", S1S2, QUIET)
    found = {}
    for split in ("train", "test", "excluded"):
        reader = TFRecordReader.open(split, tmp_path / "data", "s1s2")
        (batch,) = reader.batches(len(reader))
        rows = [{n: v[row] for n, v in batch.items()} for row in range(len(reader))]
        found.update({str(row["s1_name"]): row for row in rows})

    assert set(s1_patches) == set(found)
    for name, row in found.items():
        files = s1_patches[name]
        facts = json.loads(files[f"{name}_labels_metadata.json"])
        for image, band in zip(row["bands_s1"], ("VV", "VH"), strict=True):
            with MemoryFile(files[f"{name}_{band}.tif"]).open() as dataset:
                assert dataset.read(1).tobytes() == image.tobytes()
        assert facts["corresponding_s2_patch"] == row["patch_id"]
        assert facts["scene_source"] == row["scene_source"]
        assert facts["acquisition_time"].replace("T", " ") == row["s1_acquisition_date"]
        assert facts["coordinates"]["lly"] == row["coordinates/lry"]
        assert row["tile_source"].startswith("S2")
        assert sorted(V1.nomenclature.encode(facts["labels"])) == row["labels"].tolist()


def test_radar_alone_has_tables_beside_those_of_sentinel_2(
    radar: dict[str, Path], sample_folder: Path, tmp_path: Path
) -> None:
    """The same patches in the same order and splits, without a field of Sentinel-2."""
    formats = ("tfrecord", "parquet", "arrow")
    build(radar["tar"], tmp_path, S1, QUIET, formats=formats)
    build(sample_folder, tmp_path, get_config("s2", RELEASES), QUIET, formats=formats)
    results = verify(
        tmp_path,
        sources={"s1": radar["folder"], "s2": sample_folder},
        decode=decode_with_rasterio,
        quiet=True,
    )
    readers = [ArrowReader.open("train", tmp_path, config) for config in ("s1", "s2")]
    ids = [r.gather(range(len(r)), ["patch_id"])["patch_id"].tolist() for r in readers]
    names = {feature.name for feature in S1.schema}
    folders = {p.parent.name for p in tmp_path.glob("*/manifest.json")}

    assert [] == [line for result in results for line in result.shown]
    assert ids[0] == ids[1]
    assert {"scene_source", "s1_acquisition_date", "epsg", "bands_s1"} <= names
    assert not {"tile_source", "acquisition_date", "bands_10m"} & names
    assert {"huggingface", "arrow", "huggingface-s1", "arrow-s1"} == folders


def rewrite(folder: Path, **changes: object) -> str:
    """Changes the JSON of the first patch of a folder; returns the patch."""
    name = min(path.name for path in folder.iterdir())
    file = folder / name / f"{name}_labels_metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return name


def move(folder: Path) -> str:
    """Gives a patch what is in another one, under its own names."""
    name, other = sorted(path.name for path in folder.iterdir())[:2]
    for file in (folder / name).iterdir():
        end = file.name.removeprefix(name)
        file.write_bytes((folder / other / f"{other}{end}").read_bytes())
    return name


def remove(folder: Path) -> str:
    """Takes a patch away."""
    name = min(path.name for path in folder.iterdir())
    shutil.rmtree(folder / name)
    return name


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda f: rewrite(f, corresponding_s2_patch="S2A_x"),
            "JSON says that it belongs to S2A_x: expected S2A_MSIL2A_20170613T101031",
        ),
        (lambda f: rewrite(f, corresponding_s2_patch=7), "corresponding_s2_patch: exp"),
        (
            lambda f: rewrite(f, acquisition_time="2017-06-13 16:50:43"),
            "acquisition_time: expected YYYY-MM-DDTHH:MM:SS",
        ),
        (
            lambda f: rewrite(f, coordinates={"ulx": 0, "uly": 0, "lrx": 0, "lry": 0}),
            "missing key 'coordinates.lly'",
        ),
        (move, "its JSON says that it belongs to S2A_MSIL2A_20170617T113321_36_85"),
        (remove, "missing in .*expected it, since another source has the patch"),
    ],
)
def test_pairs_that_are_none_are_named(
    damage, reason: str, radar: dict[str, Path], sample_folder: Path, tmp_path: Path
) -> None:
    """What does not belong together ends the build, or is set aside."""
    name = damage(radar["folder"])
    sources = {"s2": sample_folder, "s1": radar["folder"]}
    with pytest.raises(PatchError, match=f"{name}.*{reason}"):
        build(sources, tmp_path / "data", S1S2, QUIET)
    options = dataclasses.replace(QUIET, max_bad=1)
    result = build(sources, tmp_path / "data", S1S2, options, restart=True)

    assert [name] == [bad.patch_id for bad in result.quarantine]
    assert 5 == result.stored.sum()


@pytest.mark.parametrize("form", ["tar", "folder"])
def test_radar_of_the_first_release_feeds_the_second(
    form: str, radar: dict[str, Path], s1_patches: Patches, tmp_path: Path
) -> None:
    """The bytes are those of v2.0's own layout; patches of v1.0 alone are counted."""
    own = tmp_path / "BigEarthNet-S1"
    for name, files in s1_patches.items():
        folder = own / name.rsplit("_", 3)[0] / name
        folder.mkdir(parents=True)
        for file in (f"{name}_VV.tif", f"{name}_VH.tif"):
            (folder / file).write_bytes(files[file])
    build(own, tmp_path / "own", V2_S1, QUIET)
    first, second = (load_index(r, "official") for r in RELEASES)
    s1_ids = V1.archive("s1").ids
    names = second.names(s1_ids)
    alone = next(
        name
        for row in range(len(first))
        for name in [first.names(s1_ids).name(row)]
        if names.find(name) is None
    )
    real = next(iter(s1_patches))
    more = tmp_path / "more" / PREFIX
    shutil.copytree(radar["folder"], more)
    (more / alone).mkdir()
    for file in (more / real).iterdir():
        (more / alone / file.name.replace(real, alone)).write_bytes(file.read_bytes())
    source = more
    if form == "tar":
        archive = shutil.make_archive(str(tmp_path / "x"), "gztar", more.parent)
        source = Path(archive)
    result = build(source, tmp_path / "data", V2_S1, QUIET)

    assert hash_shards(tmp_path / "own", "v2-s1") == hash_shards(
        tmp_path / "data", "v2-s1"
    )
    assert {"patches that v2.0 does not have": 1} == dict(result.sources[0].litter)
    results = verify(tmp_path / "data", sources={"s1": source}, quiet=True)
    assert [] == [line for found in results for line in found.shown]


def test_published_names_have_their_own_checksums(tmp_path: Path) -> None:
    """A file named like v1.0's archive must be it, for either release."""
    path = tmp_path / "BigEarthNet-S1-v1.0.tar.gz"
    path.write_bytes(b"")
    for release in (V1, V2):
        source = make_source(release.archive("s1"), path)
        assert V1.archive("s1").digest == source.digest
    other = make_source(V2.archive("s1"), tmp_path / "BigEarthNet-S1.tar.zst")
    assert other.digest is None


def test_other_bytes_under_a_published_name_are_refused(
    radar: dict[str, Path], tmp_path: Path
) -> None:
    """The MD5 is compared while the archive is read."""
    path = radar["tar"].rename(tmp_path / "BigEarthNet-S1-v1.0.tar.gz")
    with pytest.raises(ChecksumError, match="expected md5 94ced73440dea8c7"):
        build(path, tmp_path / "data", S1, QUIET)


def test_one_folder_may_hold_both_archives(
    radar: dict[str, Path], sample_folder: Path, tmp_path: Path
) -> None:
    """Each archive is found by what it holds; a folder without one is an error."""
    both = tmp_path / "both"
    shutil.copytree(sample_folder, both / "BigEarthNet-v1.0")
    shutil.copy(radar["tar"], both)
    expected = {"s2": both / "BigEarthNet-v1.0", "s1": both / radar["tar"].name}
    found = find_sources(S1S2, both, {})

    assert expected == {**found, "s2": both / "BigEarthNet-v1.0"}
    assert expected["s1"] == find_given(S1.archives, both, {})["s1"]
    with pytest.raises(OptionError, match=r"built from s2, s1: use --s2=\.\.\., --s1="):
        find_given(S1S2.archives, radar["tar"], {})
    with pytest.raises(OptionError, match=r"got --maps\. Leave it out"):
        find_given(S1S2.archives, None, {"maps": both})
    with pytest.raises(ArchiveError, match="no patch folders in"):
        build(sample_folder, tmp_path / "data", S1, QUIET)

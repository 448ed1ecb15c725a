from __future__ import annotations

import collections
import gzip
import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, bands, splits
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.patch_index import load_index
from bigearthnet.release.v1 import S2_KEYS
from bigearthnet.source import geotiff as source_geotiff
from bigearthnet.source.layout import find_layout
from bigearthnet.source.metadata import parse_metadata
from builder import sample, synthesize
from builder.synthesis import files, geotiff
from builder.synthesis.choice import choose_rows

NUM_PATCHES = 60
OFFICIAL_COUNTS = {
    "train": 269_695,
    "validation": 123_723,
    "test": 125_866,
    "excluded": 71_042,
}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """The official table of all patch ids."""
    return splits.load_table(V1, "official")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic archive of NUM_PATCHES patches, seed 0."""
    output = tmp_path_factory.mktemp("archive") / "synthetic.tar.gz"
    synthesize.write_archive(output, NUM_PATCHES, seed=0)
    return output


@pytest.fixture(scope="module")
def contents(archive: Path) -> dict[str, dict[str, bytes]]:
    """Patch id → file name → content of that archive, in its order."""
    found: dict[str, dict[str, bytes]] = collections.defaultdict(dict)
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                _, patch_id, name = member.name.split("/")
                found[patch_id][name] = tar.extractfile(member).read()
    return found


def _read_tiff(content: bytes) -> np.ndarray:
    with MemoryFile(content) as memory, memory.open(driver="GTiff") as dataset:
        return dataset.read(1)


def find_place(patch: PatchId, s1_name: str) -> files.Place:
    """Where a patch of v1.0 lies."""
    return files.find_place(s1_name.split("_")[5], patch.column, patch.row)


def test_archive_has_the_layout_of_the_real_one(archive: Path) -> None:
    """Members are the root, then each patch's folder followed by its 13 files."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert (members[0].name, members[0].isdir()) == ("BigEarthNet-v1.0", True)
    assert len(members) == 1 + 14 * NUM_PATCHES
    names = [*(f"{band.name}.tif" for band in bands.BANDS), "labels_metadata.json"]
    for start in range(1, len(members), 14):
        folder, *patch = members[start : start + 14]
        assert folder.isdir()
        stem = f"{folder.name}/{folder.name.removeprefix('BigEarthNet-v1.0/')}"
        assert {f"{stem}_{name}" for name in names} == {m.name for m in patch}
        assert all(member.isfile() for member in patch)


def test_archive_is_gnu_tar_in_one_plain_gzip_member(archive: Path) -> None:
    """The tar has GNU long names and whole records; gzip has no time and no name."""
    content = archive.read_bytes()
    flags, time = struct.unpack("<3xBI", content[:8])
    assert (flags, time) == (0, 0)
    tar = gzip.decompress(content)
    assert tar[257:265] == b"ustar  \0"
    assert b"././@LongLink" in tar
    assert len(tar) % tarfile.RECORDSIZE == 0
    assert tar[-2 * tarfile.BLOCKSIZE :].strip(b"\0") == b""


def test_tiff_has_the_pixels_place_and_layout_of_the_real_one(tmp_path: Path) -> None:
    """A band of a real patch, encoded at its worked-out place, differs in no value."""
    index = load_index(V1, "official")
    folders = list(sample.write_sample(tmp_path).iterdir())
    assert len(folders) == 6
    for folder in folders:
        facts = index.facts(index.find(folder.name))
        place = find_place(PatchId.parse(folder.name), facts["s1_name"])
        for band in bands.BANDS:
            real = (folder / f"{folder.name}_{band.name}.tif").read_bytes()
            pixels = _read_tiff(real)
            made = geotiff.encode_tiff(pixels, band, place)
            assert real[-pixels.nbytes :] == made[-pixels.nbytes :]
            with (
                MemoryFile(real).open() as expected,
                MemoryFile(made).open() as found,
            ):
                assert expected.profile == found.profile
                assert expected.tags() == found.tags()
            begin = made[: source_geotiff._STRUCTURE_NBYTES]
            layout = find_layout(begin, len(made), band.size_px, "uint16")
            assert layout is not None
            assert (len(made) - pixels.nbytes, len(made)) == layout[:2]
            assert layout.geo_tags is not None


def test_json_is_the_real_one_but_for_the_made_up_parts(tmp_path: Path) -> None:
    """The JSON of a real patch differs in orbit, baseline and impossible time only."""
    index = load_index(V1, "official")
    for folder in sample.write_sample(tmp_path).iterdir():
        real = (folder / f"{folder.name}_labels_metadata.json").read_bytes()
        expected = json.loads(real)
        patch = PatchId.parse(folder.name)
        facts = index.facts(index.find(folder.name))
        place = find_place(patch, facts["s1_name"])
        ids = CLC43.encode(expected["labels"])
        made = json.loads(files.encode_metadata(ids, patch, place))
        assert expected["acquisition_date"][:16] == made["acquisition_date"][:16]
        assert files.SYNTHETIC in made["tile_source"]
        made |= {key: expected[key] for key in ("tile_source", "acquisition_date")}
        assert real == json.dumps(made).encode()


def test_rasterio_reads_every_band_where_the_json_says(contents: dict) -> None:
    """Shape, type, projection and transform of each TIFF agree with band and JSON."""
    for patch_id, made in list(contents.items())[:10]:
        facts = json.loads(made[f"{patch_id}_labels_metadata.json"])
        corner = facts["coordinates"]
        for band in bands.BANDS:
            content = made[f"{patch_id}_{band.name}.tif"]
            with MemoryFile(content) as memory, memory.open() as dataset:
                assert (1, *band.shape) == (dataset.count, *dataset.shape)
                assert dataset.dtypes == ("uint16",)
                assert CRS.from_wkt(facts["projection"]) == dataset.crs
                expected = (corner["ulx"], corner["lry"], corner["lrx"], corner["uly"])
                assert expected == tuple(dataset.bounds)


def test_every_json_parses_and_says_synthetic(contents: dict) -> None:
    """The project's own parser takes each JSON, and its tile_source gives it away."""
    for patch_id, made in contents.items():
        file = f"{patch_id}_labels_metadata.json"
        _, fields = parse_metadata(
            made[file], S2_KEYS, patch_id=patch_id, file=file, nomenclature=CLC43
        )
        assert f"{PatchId.parse(patch_id).date}" == fields["acquisition_date"][:10]
        assert files.SYNTHETIC in fields["tile_source"]
        ulx, uly, lrx, lry = (
            fields[f"coordinates/{name}"] for name in ("ulx", "uly", "lrx", "lry")
        )
        assert (lrx - ulx, uly - lry) == (1200, 1200)


def test_impossible_time_becomes_a_valid_one() -> None:
    """An id's time such as T94161 gives an acquisition date on the id's day."""
    plan = synthesize.PatchPlan(
        "S2B_MSIL2A_20180204T94161_57_38", "_____35VPK_57_38", True
    )
    made = synthesize.make_patch(plan, seed=0)
    facts = json.loads(made[f"{plan.patch_id}_labels_metadata.json"])
    assert facts["acquisition_date"] == "2018-02-04 09:41:59"


def test_same_arguments_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    """Two runs with one seed agree in every byte; another seed gives other bytes."""
    again, other = tmp_path / "again.tar.gz", tmp_path / "other.tar.gz"
    synthesize.write_archive(again, NUM_PATCHES, seed=0)
    synthesize.write_archive(other, NUM_PATCHES, seed=1)
    assert archive.read_bytes() == again.read_bytes()
    assert archive.read_bytes() != other.read_bytes()


def test_patch_does_not_depend_on_the_number_of_patches(
    table: pa.Table, contents: dict
) -> None:
    """A patch made alone has the files it has in the archive, in the same order."""
    for patch_id in list(contents)[:5]:
        row = load_index(V1, "official").find(patch_id)
        plan = synthesize.PatchPlan(
            **table.select(synthesize.PatchPlan._fields).slice(row, 1).to_pylist()[0]
        )
        alone = synthesize.make_patch(plan, seed=0)
        assert list(contents[patch_id].items()) == list(alone.items())


@pytest.mark.parametrize("num_patches", [1, 7, 1000, 50_000])
def test_splits_have_the_official_proportions(
    table: pa.Table, num_patches: int
) -> None:
    """Each split has its share to the nearest patch, and no patch comes twice."""
    chosen = table.take(choose_rows(load_index(V1, "official"), num_patches, seed=3))
    assert num_patches == len(set(chosen["patch_id"].to_pylist()))
    counts = collections.Counter(chosen["split"].to_pylist())
    for name, official in OFFICIAL_COUNTS.items():
        assert abs(counts[name] - num_patches * official / 590_326) < 1


def test_all_patches_can_be_chosen_in_shuffled_order(table: pa.Table) -> None:
    """Asked for as many as there are, it gives each patch once, not in table order."""
    ids = table["patch_id"].to_pylist()
    chosen = table.take(choose_rows(load_index(V1, "official"), len(ids), seed=0))
    assert ids != chosen["patch_id"].to_pylist()
    assert ids == sorted(chosen["patch_id"].to_pylist())


@pytest.mark.parametrize("num_patches", [-1, 0, 590_327])
def test_impossible_number_of_patches_is_refused(
    tmp_path: Path, num_patches: int
) -> None:
    """Fewer than 1 or more than 590,326 patches is an error that shows the number."""
    with pytest.raises(OptionError, match=f"1 to 590326.*got {num_patches}"):
        synthesize.write_archive(tmp_path / "a.tar.gz", num_patches, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_output_of_another_kind_is_refused(tmp_path: Path) -> None:
    """An output that is not named .tar.gz, or is a folder, is an error."""
    (tmp_path / "folder.tar.gz").mkdir()
    for name in ("archive.tar", "folder.tar.gz"):
        with pytest.raises(OptionError, match=name):
            synthesize.write_archive(tmp_path / name, 1, seed=0)


@pytest.mark.parametrize("cause", [KeyboardInterrupt, OSError])
def test_interrupted_run_leaves_nothing(tmp_path: Path, cause: type) -> None:
    """A run that ends early leaves no temporary file and the old output as it was."""
    output = tmp_path / "a.tar.gz"
    output.write_bytes(b"old")

    def stop(done: int, nbytes: int) -> None:
        assert output.read_bytes() == b"old"
        if done == 7:
            raise cause

    with pytest.raises(cause):
        synthesize.write_archive(output, 20, seed=0, progress=stop)
    assert [output] == list(tmp_path.iterdir())
    assert output.read_bytes() == b"old"


def test_gzip_is_as_large_as_the_real_archive(archive: Path) -> None:
    """A patch takes 113 to 125 kB of the archive; of the real one 118.6."""
    assert 113_000 <= archive.stat().st_size / NUM_PATCHES <= 125_000


def test_command_says_that_it_is_synthetic(tmp_path: Path) -> None:
    """Help and printed output say so; TensorFlow is never imported."""
    command = [sys.executable, "-m", "builder.synthesize"]
    output = tmp_path / "new" / "a.tar.gz"
    run = [*command, f"--output={output}", "--num_patches=2"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert f"2 SYNTHETIC patches in {output}" in done.stdout
    assert f"--source={output}\n" in done.stdout
    assert f"makes up 2 patches, seed 0, in {output}\n" in done.stderr
    help_text = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert "SYNTHETIC" in help_text.stdout
    code = "import builder.synthesize, sys; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_published_archive_is_not_replaced(tmp_path: Path) -> None:
    """A synthetic archive never has the name of the real one."""
    output = tmp_path / V1.archive("s2").filenames[0]
    output.write_bytes(b"real")

    with pytest.raises(OptionError, match="not that of the published archive"):
        synthesize.write_archive(output, 1, seed=0)
    assert b"real" == output.read_bytes()

"""Synthetic archives of v2.0 are laid out like the real ones, and see one mosaic."""

from __future__ import annotations

import collections
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from backports import zstd
from rasterio.io import MemoryFile

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES, V2, Archive
from bigearthnet.release.nomenclature import BEN19, CLC43, decode_mask, remap
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import get_config
from builder.build import build
from builder.synthesis import files, geotiff, paired
from builder.synthesis.choice import choose_rows
from builder.synthesis.radar import BACKSCATTER_DB
from builder.synthesize import write_archives
from tests.archives import MAP_OPTIONS, encode_tiff

NUM_PATCHES = 20
INDEX = load_index(V2, "official")
ROWS = choose_rows(INDEX, NUM_PATCHES, seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three archives of NUM_PATCHES patches, seed 0."""
    folder = tmp_path_factory.mktemp("synthetic")
    write_archives(folder, NUM_PATCHES, seed=0, quiet=True)
    return folder


def read_members(folder: Path, archive: Archive) -> list[tarfile.TarInfo]:
    """The members of one of them."""
    content = (folder / f"synthetic-{archive.name}.tar.zst").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(zstd.decompress(content))) as tar:
        return tar.getmembers()


@pytest.mark.parametrize("archive", V2.archives, ids=lambda archive: archive.name)
def test_archives_are_laid_out_like_the_real_ones(
    archive: Archive, folder: Path
) -> None:
    """Files alone, with long names, sorted by path; one says that all is synthetic."""
    path = folder / f"synthetic-{archive.name}.tar.zst"
    frame = zstd.get_frame_info(path.read_bytes())
    tar = zstd.decompress(path.read_bytes())
    first, *members = read_members(folder, archive)
    names = [member.name for member in members]
    depth = {name.count("/") for name in names}

    assert frame.dictionary_id == 0
    assert b"././@LongLink" in tar
    assert len(tar) % tarfile.RECORDSIZE == 0
    assert f"{archive.folder}/00-SYNTHETIC.txt" == first.name
    assert all(member.isfile() for member in members)
    assert sorted(names) == names
    assert {3} == depth
    for name in names:
        top, product, patch, file = name.split("/")
        assert archive.folder == top
        assert patch.startswith(f"{product}_")
        assert file in archive.file_names(patch)
    assert NUM_PATCHES * len(archive.file_names("")) == len(names)


def test_radar_comes_in_another_order(folder: Path) -> None:
    """Patches of both sensors are the same, and neither order is that of the other."""
    orders = []
    for archive in V2.archives[:2]:
        names = [m.name.split("/")[-2] for m in read_members(folder, archive)[1:]]
        find = INDEX.names(archive.ids).find
        orders.append([find(name) for name in dict.fromkeys(names)])

    assert sorted(orders[0]) == sorted(orders[1]) == sorted(ROWS.tolist())
    assert orders[0] != orders[1]


def test_place_and_form_are_those_of_real_files(s1_patches: dict) -> None:
    """Real radar and its place are encoded to what rasterio cannot tell apart."""
    (group,) = V2.archive("s1").groups
    for name, contents in s1_patches.items():
        *_, tile, column, row = name.split("_")
        place = files.find_place(tile, int(column), int(row))
        with MemoryFile(contents[f"{name}_VV.tif"]).open() as real:
            made = geotiff.encode_tiff(real.read(1), group.bands[0], place)
            with MemoryFile(made).open() as found:
                assert real.profile == found.profile
                np.testing.assert_array_equal(real.read(1), found.read(1))
    # Patches of v2.0 whose place is known.
    for tile, column, row, expected in (
        ("33UUP", 26, 57, (33, 331_200, 5_331_600)),
        ("34VER", 0, 45, (34, 499_980, 7_046_040)),
    ):
        place = files.find_place(tile, column, row)
        assert expected == (place.zone, place.ulx, place.uly)


def test_maps_are_encoded_as_published() -> None:
    """A map has the bytes that rasterio writes with the options of the real ones."""
    (group,) = V2.archive("maps").groups
    codes = np.resize(np.array([211, 231, 999], np.uint16), (120, 120))
    place = files.find_place("33UUP", 26, 57)
    options = {"nodata": 0, "crs": "EPSG:32633", **MAP_OPTIONS}
    with MemoryFile(geotiff.encode_map(codes, group.bands[0], place)).open() as found:
        options["transform"] = found.transform
        assert (331_200, 5_331_600) == (found.transform.c, found.transform.f)
        np.testing.assert_array_equal(codes, found.read(1))
    assert encode_tiff(codes, **options) == geotiff.encode_map(
        codes, group.bands[0], place
    )


def test_maps_make_the_labels_of_the_table() -> None:
    """Each map has the classes of its patch, and few pixels of no class at all."""
    archive, target = V2.archive("maps"), {None: None, **dict(enumerate(BEN19.labels))}
    names = remap(CLC43, BEN19)
    ids = {code: stored for code, stored in archive.groups[0].codes}
    no_class = []
    for row in ROWS.tolist():
        codes = paired.draw_groups(archive, INDEX, row, 0)["reference_map"]
        stored = [ids[code] for code in codes.ravel().tolist()]
        found = {names[i] for i in stored if i < len(CLC43)} - {None}
        assert set(decode_mask(int(INDEX.labels[row]))) == found <= target.keys()
        no_class.append(np.mean([i >= len(CLC43) for i in stored]))

    assert 0 < np.mean(no_class) < 0.02


def test_radar_is_plausible_and_tells_some_classes_apart() -> None:
    """Mean and spread are near the published ones; pixels follow their classes."""
    s1, maps = V2.archive("s1"), V2.archive("maps")
    radar, of_class = [], collections.defaultdict(list)
    ids = dict(maps.groups[0].codes)
    for row in ROWS.tolist():
        pixels = paired.draw_groups(s1, INDEX, row, 0)["bands_s1"]
        codes = paired.draw_groups(maps, INDEX, row, 0)["reference_map"][0]
        radar.append(pixels)
        for code in np.unique(codes):
            of_class[ids[int(code)]].append(pixels[:, codes == code].mean(axis=1))
    values = np.stack(radar)
    classes = sorted(c for c in of_class if c < len(CLC43))
    means = np.array([np.mean(of_class[c], axis=0) for c in classes])

    assert np.float32 == values.dtype
    # ConfigILM: VV -12.64 ± 5.13, VH -19.35 ± 5.59.
    np.testing.assert_allclose(values.mean((0, 2, 3)), (-12.6, -19.4), atol=2.5)
    np.testing.assert_allclose(values.std((0, 2, 3)), (5.1, 5.6), atol=1.5)
    assert np.abs(means - BACKSCATTER_DB[:, classes].T).mean() < 2
    assert all(len(np.unique(pixels)) > 28_000 for pixels in radar)


def test_patches_depend_on_seed_and_id_alone(folder: Path, tmp_path: Path) -> None:
    """The same arguments give the same bytes, another seed other ones."""
    again = write_archives(tmp_path / "a", NUM_PATCHES, seed=0, quiet=True)
    other = write_archives(tmp_path / "b", NUM_PATCHES, seed=1, quiet=True)
    for name, path in again.items():
        content = (folder / path.name).read_bytes()
        assert content == path.read_bytes() != other[name].read_bytes()


@pytest.mark.parametrize("form", ["tar.zst", "folder"])
def test_stores_say_that_they_are_synthetic(
    form: str, folder: Path, tmp_path: Path
) -> None:
    """Archives without JSON say it, too, packed or extracted, with a limit or not."""
    source = folder
    if form == "folder":
        source = tmp_path / "extracted"
        for path in folder.iterdir():
            content = io.BytesIO(zstd.decompress(path.read_bytes()))
            with tarfile.open(fileobj=content) as tar:
                tar.extractall(source, filter="data")
    options = BuildOptions(quiet=True, workers=1, limit=2)
    config = get_config("v2-s1", RELEASES)
    result = build(source, tmp_path / "data", config, options)

    assert 2 <= result.num_synthetic == result.read.sum()


def test_interrupted_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends in the second archive leaves none."""
    made = paired.make_files

    def stop(archive: Archive, *rest: object) -> dict[str, bytes]:
        if archive.name == "s1":
            raise KeyboardInterrupt
        return made(archive, *rest)

    monkeypatch.setattr(paired, "make_files", stop)
    with pytest.raises(KeyboardInterrupt):
        write_archives(tmp_path, 2, seed=0, quiet=True)
    assert [] == list(tmp_path.iterdir())


def test_output_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A file is named, and left as it is."""
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OptionError, match="expected a folder for the archives, got"):
        write_archives(tmp_path / "file", 1, seed=0, quiet=True)
    assert b"old" == (tmp_path / "file").read_bytes()


def test_command_names_the_next_one(tmp_path: Path) -> None:
    """What it prints can be pasted."""
    command = [sys.executable, "-m", "builder.synthesize", "--release=v2.0"]
    run = [*command, f"--output={tmp_path}", "--num_patches=2"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)

    assert f"2 SYNTHETIC patches in {tmp_path}" in done.stdout
    assert f"--source={tmp_path} --config=v2-s2\n" in done.stdout
    assert "SYNTHETIC maps: 2 patches" in done.stderr

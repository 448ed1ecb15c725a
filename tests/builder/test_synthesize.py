from __future__ import annotations

import collections
import gzip
import io
import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from bigearthnet import bands, splits
from bigearthnet.errors import OptionError
from bigearthnet.nomenclature import CLC43
from bigearthnet.patch import PatchId, parse_metadata
from bigearthnet.patch_index import load_index
from builder import sample, synthesize
from builder.synthesis import classes, files, geotiff, labels, pixels

NUM_PATCHES = 60
PAIRS = [(CLC43.ids[a], CLC43.ids[b]) for a, (b, _, _) in classes.PAIRS.items()]
OFFICIAL_COUNTS = {
    "train": 269_695,
    "validation": 123_723,
    "test": 125_866,
    "excluded": 71_042,
}
RGB = ("B02", "B03", "B04")
# The bands of 10 m and 20 m.
FINE = tuple(band.name for band in bands.BANDS if band.resolution_m < 60)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """The official table of all patch ids."""
    return splits.load_table()


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


@pytest.fixture(scope="module")
def drawn() -> list[tuple[tuple[int, ...], dict[str, np.ndarray]]]:
    """Labels and pixels of 120 patches."""
    sets = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        chosen = labels.draw_labels(True, rng)
        sets.append((chosen, pixels.draw_pixels(chosen, rng)))
    return sets


def _read_tiff(content: bytes) -> np.ndarray:
    with MemoryFile(content) as memory, memory.open(driver="GTiff") as dataset:
        return dataset.read(1)


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


def test_tiff_is_byte_for_byte_the_real_one(tmp_path: Path) -> None:
    """A band of a real patch, encoded at its worked-out place, is the real file."""
    index = load_index()
    folders = list(sample.write_sample(tmp_path).iterdir())
    assert len(folders) == 6
    for folder in folders:
        facts = index.facts(index.find(folder.name))
        place = files.find_place(PatchId.parse(folder.name), facts.s1_name)
        for band in bands.BANDS:
            real = (folder / f"{folder.name}_{band.name}.tif").read_bytes()
            assert real == geotiff.encode_tiff(_read_tiff(real), band, place)


def test_json_is_the_real_one_but_for_the_made_up_parts(tmp_path: Path) -> None:
    """The JSON of a real patch differs in orbit, baseline and impossible time only."""
    index = load_index()
    for folder in sample.write_sample(tmp_path).iterdir():
        real = (folder / f"{folder.name}_labels_metadata.json").read_bytes()
        expected = json.loads(real)
        patch = PatchId.parse(folder.name)
        place = files.find_place(patch, index.facts(index.find(folder.name)).s1_name)
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
        metadata = parse_metadata(made[file], patch_id=patch_id, file=file)
        assert f"{PatchId.parse(patch_id).date}" == metadata.acquisition_date[:10]
        assert files.SYNTHETIC in metadata.tile_source
        ulx, uly, lrx, lry = metadata.coordinates
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
        row = load_index().find(patch_id)
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
    chosen = synthesize.choose_patches(table, num_patches, seed=3)
    assert num_patches == len(set(chosen["patch_id"].to_pylist()))
    counts = collections.Counter(chosen["split"].to_pylist())
    for name, official in OFFICIAL_COUNTS.items():
        assert abs(counts[name] - num_patches * official / 590_326) < 1


def test_all_patches_can_be_chosen_in_shuffled_order(table: pa.Table) -> None:
    """Asked for as many as there are, it gives each patch once, not in table order."""
    ids = table["patch_id"].to_pylist()
    chosen = synthesize.choose_patches(table, table.num_rows, seed=0)
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

    def stop(done: int) -> None:
        assert output.read_bytes() == b"old"
        if done == 7:
            raise cause

    with pytest.raises(cause):
        synthesize.write_archive(output, 20, seed=0, progress=stop)
    assert [output] == list(tmp_path.iterdir())
    assert output.read_bytes() == b"old"


def _parquet_nbytes(patches: list[dict[str, np.ndarray]]) -> float:
    """Compressed bytes a patch as the shards store them, without other columns."""
    columns = {}
    for group in bands.GROUPS:
        values = np.concatenate([patch[group.name].ravel() for patch in patches])
        size = values.size // len(patches)
        columns[group.name] = pa.FixedSizeListArray.from_arrays(values, size)
    sink = io.BytesIO()
    paths = [f"{name}.list.element" for name in columns]
    table = pa.table(columns)
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding=dict.fromkeys(paths, "DELTA_BINARY_PACKED"),
    ) as writer:
        writer.write_table(table, row_group_size=100)
    metadata = pq.read_metadata(sink)
    total = sum(
        metadata.row_group(row).column(column).total_compressed_size
        for row in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    return total / len(patches)


def test_parquet_is_as_large_as_that_of_real_patches(
    tmp_path: Path, drawn: list
) -> None:
    """A synthetic patch takes within 5 % of the Parquet bytes of a real one."""
    real = []
    for folder in sample.write_sample(tmp_path).iterdir():
        arrays = {
            band.name: _read_tiff(
                (folder / f"{folder.name}_{band.name}.tif").read_bytes()
            )
            for band in bands.BANDS
        }
        real.append(
            {g.name: np.stack([arrays[b.name] for b in g.bands]) for g in bands.GROUPS}
        )
    made = _parquet_nbytes([patch for _, patch in drawn])
    assert pytest.approx(_parquet_nbytes(real), rel=0.05) == made


def test_gzip_is_as_large_as_the_real_archive(archive: Path) -> None:
    """A patch takes 113 to 125 kB of the archive; of the real one 118.6."""
    assert 113_000 <= archive.stat().st_size / NUM_PATCHES <= 125_000


def test_pixels_are_plausible_reflectances(drawn: list) -> None:
    """Of all digital numbers 95 % lie in 100 to 6000, and the mean near the real."""
    for group in bands.GROUPS:
        values = np.stack([patch[group.name] for _, patch in drawn])
        assert ((values >= 100) & (values <= 6000)).mean() > 0.95
        means = values.mean(axis=(0, 2, 3))
        for band, mean in zip(group.bands, means, strict=True):
            assert 0.6 < mean / band.mean < 1.6


def test_pairs_of_classes_differ_in_the_infrared_alone() -> None:
    """Eight pairs share B02 B03 B04 and texture; an infrared band parts them by 3σ."""
    assert len({label for pair in PAIRS for label in pair}) == 16
    names = [band.name for band in bands.BANDS]
    visible = [names.index(name) for name in RGB]
    infrared = [names.index(name) for name in ("B08", "B8A", "B11", "B12")]
    for a, b in PAIRS:
        first, second = classes.SIGNATURES[[a, b]]
        assert first[visible].tolist() == second[visible].tolist()
        assert classes.TEXTURES[a] == classes.TEXTURES[b]
        sigma = classes.NOISE_SIGMA * np.maximum(first, second)
        assert (abs(first - second) / sigma)[infrared].max() >= 3


def test_other_classes_have_signature_and_texture_of_their_own() -> None:
    """Apart from the pairs' shared textures no two classes have one in common."""
    assert len({tuple(signature) for signature in classes.SIGNATURES}) == 43
    assert 43 - len(PAIRS) == len(set(classes.TEXTURES))


@pytest.mark.parametrize(
    "label", ["Continuous urban fabric", "Vineyards", "Non-irrigated arable land"]
)
def test_texture_has_the_contrast_and_direction_of_its_class(label: str) -> None:
    """Brightness varies by the class's contrast, and less along the grain."""
    rng = np.random.default_rng(0)
    index = CLC43.ids[label]
    expected = classes.TEXTURES[index]
    fields = np.stack([pixels.draw_textures((index,), rng)[0] for _ in range(20)])
    assert pytest.approx(expected.contrast, rel=0.15) == fields.std()
    # The class's directions lie nearer to east (20°) or to north (70°).
    along_x = abs(np.diff(fields, axis=2)).mean()
    along_y = abs(np.diff(fields, axis=1)).mean()
    is_long = expected.elongation > 1
    sign = np.sign(45 - expected.direction_deg) if is_long else 0
    assert sign == np.sign(np.round(np.log(along_y / along_x), 1))


def _count_classes(patch: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """Pixels of 20 m per class of the nearest signature; brightness does not count."""
    found = bands.split(patch)
    seen = np.stack(
        [
            found[n].reshape(60, len(found[n]) // 60, 60, -1).mean((1, 3)).ravel()
            for n in names
        ]
    )
    columns = [bands.BANDS.index(bands.BY_NAME[name]) for name in names]
    spectra = np.log(seen) - np.log(seen).mean(axis=0)
    known = np.log(classes.SIGNATURES[:, columns])
    known -= known.mean(axis=1, keepdims=True)
    distances = (known**2).sum(axis=1)[:, None] - 2 * known @ spectra
    return np.bincount(distances.argmin(axis=0), minlength=len(known))


def _score(drawn: list, names: tuple[str, ...]) -> tuple[float, float]:
    """Mean F1 of a patch's labels, and how often the right one of a pair is found."""
    scores, right = [], []
    for truth, patch in drawn:
        counts = _count_classes(patch, names)
        found = set(np.flatnonzero(counts >= 0.02 * counts.sum()))
        scores.append(2 * len(found & set(truth)) / (len(found) + len(truth)))
        for a, b in PAIRS:
            if (a in truth) != (b in truth):
                right.append((counts[a] > counts[b]) == (a in truth))
    return float(np.mean(scores)), float(np.mean(right))


def test_labels_can_be_told_from_pixels_but_pairs_not_from_rgb(drawn: list) -> None:
    """Nearest signatures find the labels; RGB tells a pair apart only by luck."""
    f1, right_of_pair = _score(drawn, FINE)
    rgb_f1, rgb_right_of_pair = _score(drawn, RGB)
    assert f1 > 0.9
    assert right_of_pair > 0.95
    assert rgb_f1 < 0.6
    assert 0.3 < rgb_right_of_pair < 0.7


@pytest.mark.parametrize("num_labels", [1, 2, 5, 12])
def test_every_label_covers_a_visible_area(num_labels: int) -> None:
    """The mosaic has exactly the labels asked for, each on at least 2 % of it."""
    for seed in range(30):
        mosaic, _ = pixels.draw_mosaic(num_labels, np.random.default_rng(seed))
        areas = np.bincount(mosaic.ravel())
        assert num_labels == len(areas)
        assert areas.min() >= 0.02 * mosaic.size


def test_coarse_bands_see_the_same_mosaic_as_fine_ones(drawn: list) -> None:
    """Means of the neighbour B08 over 20 m and 60 m follow B8A and B09."""
    for _, patch in drawn[:20]:
        found = bands.split(patch)
        for name, factor in (("B8A", 2), ("B09", 6)):
            size = 120 // factor
            mean = found["B08"].reshape(size, factor, size, factor).mean((1, 3))
            assert np.median(abs(found[name] / mean - 1)) < 0.15


def test_label_sets_have_the_imbalance_of_the_real_ones() -> None:
    """1 to 12 labels, 2.97 on average, at most 5 in 95 %; classes as in Table 2."""
    rng = np.random.default_rng(0)
    sets = [labels.draw_labels(True, rng) for _ in range(12_000)]
    sizes = np.array([len(chosen) for chosen in sets])
    assert (sizes.min(), sizes.max() <= 12) == (1, True)
    assert pytest.approx(2.97, abs=0.04) == sizes.mean()
    assert pytest.approx(0.95, abs=0.01) == (sizes <= 5).mean()
    counts = np.bincount(np.concatenate(sets), minlength=43)
    expected = labels.FREQUENCIES * sizes.sum()
    assert abs(counts - expected).max() < 0.05 * expected.max()
    assert (abs(counts - expected) < 5 * np.sqrt(expected) + 1).all()


@pytest.mark.parametrize("has_ben19", [True, False])
def test_labels_agree_with_the_official_list_of_patches_without_ben19(
    has_ben19: bool,
) -> None:
    """A patch has a label of BEN19 if, and only if, the official table says so."""
    rng = np.random.default_rng(0)
    for _ in range(500):
        chosen = list(labels.draw_labels(has_ben19, rng))
        assert has_ben19 == labels.IN_BEN19[chosen].any()
        assert len(set(chosen)) == len(chosen)


def test_command_says_that_it_is_synthetic(tmp_path: Path) -> None:
    """Help and printed output say so; TensorFlow is never imported."""
    command = [sys.executable, "-m", "builder.synthesize"]
    output = tmp_path / "new" / "a.tar.gz"
    run = [*command, f"--output={output}", "--num_patches=2"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert f"2 SYNTHETIC patches in {output}" in done.stdout
    help_text = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert "SYNTHETIC" in help_text.stdout
    code = "import builder.synthesize, sys; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

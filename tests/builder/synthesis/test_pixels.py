from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rasterio.io import MemoryFile

from bigearthnet.release import bands
from bigearthnet.release.nomenclature import CLC43
from builder import sample
from builder.synthesis import classes, labels, pixels

PAIRS = [(CLC43.ids[a], CLC43.ids[b]) for a, (b, _, _) in classes.PAIRS.items()]
RGB = ("B02", "B03", "B04")
# The bands of 10 m and 20 m.
FINE = tuple(band.name for band in bands.BANDS if band.resolution_m < 60)


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

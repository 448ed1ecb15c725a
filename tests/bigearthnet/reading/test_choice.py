"""Patches that are chosen by split and by what the table of patches says of them."""

from __future__ import annotations

import datetime
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import bigearthnet
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.reading.reader import Reader
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.util.utm import to_degrees

COLUMNS = ["patch_id", "bands_60m", "multi_hot_43"]


def read(reader: Reader, **options: Any) -> dict[str, np.ndarray]:
    """All patches of a reader, in batches of seven."""
    batches = list(reader.batches(7, COLUMNS, **options))
    return {name: np.concatenate([b[name] for b in batches]) for name in COLUMNS}


def open_part(data_dir: Path, form: str, split: str, where: Any = None) -> Reader:
    """A reader of some patches."""
    return bigearthnet.open_reader(split, data_dir, store=form, where=where)


PARTS = ("train[:10%]", "train[100:201]", "train[-3:]", "train[33%:]+validation", "all")
# A condition → what the table says of the patches that meet it.
CONDITIONS: list[tuple[Any, Callable[[dict[str, Any]], bool]]] = [
    ({"country": "portugal"}, lambda p: p["country"] == "Portugal"),
    (
        "country = Portugal | FINLAND; season=summer",
        lambda p: p["country"] in ("Portugal", "Finland") and p["season"] == "summer",
    ),
    ({"labels": "Pastures"}, lambda p: CLC43.ids["Pastures"] in p["labels"]),
    ({"labels": ["pastures", "Arable land"]}, lambda p: _is_arable(p["labels"])),
    ({"contains_seasonal_snow": True}, lambda p: p["contains_seasonal_snow"]),
    ("contains_seasonal_snow=false", lambda p: not p["contains_seasonal_snow"]),
    (
        {"date": ("2017-08-01", None)},
        lambda p: p["date"] >= datetime.date(2017, 8, 1),
    ),
    ({"epsg": 32634}, lambda p: p["epsg"] == 32634),
    ("ulx=..400000", lambda p: p["ulx"] <= 400_000),
    (
        {"longitude": (-10, 0), "latitude": (38.0, None)},
        lambda p: -10 <= _degrees(p)[0] <= 0 and _degrees(p)[1] >= 38,
    ),
]


def _is_arable(ids: list[int]) -> bool:
    names = {CLC43.labels[number] for number in ids}
    arable = {"Non-irrigated arable land", "Permanently irrigated land", "Rice fields"}
    assert "Arable land" in BEN19.labels
    return bool(names & {"Pastures", *arable})


def _degrees(patch: dict[str, Any]) -> tuple[float, float]:
    values = patch["epsg"], patch["ulx"] + 600, patch["uly"] - 600
    longitude, latitude = to_degrees(*(np.array([v]) for v in values))
    return float(longitude[0]), float(latitude[0])


@pytest.fixture(scope="session")
def listed(thousand_patches: Path) -> dict[str, dict[str, Any]]:
    """What the table of patches says, by patch id."""
    table = pq.read_table(thousand_patches / "arrow" / "patches.parquet")
    return {patch["patch_id"]: patch for patch in table.to_pylist()}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("split", PARTS)
def test_parts_are_those_of_tfds(split: str, form: str, thousand_patches: Path) -> None:
    """A part of a split has the patches that TFDS reads, in its order."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(thousand_patches / "bigearthnet/s2/2.0.0")
    only_ids = tfds.decode.PartialDecoding({"patch_id": True})
    parts = split.split("+") if split != "all" else builder.info.splits
    expected = [
        patch["patch_id"].decode()
        for part in parts
        for patch in tfds.as_numpy(builder.as_dataset(part, decoders=only_ids))
    ]
    found = read(open_part(thousand_patches, form, split))

    if split == "all":  # there in another order of splits
        assert sorted(expected) == sorted(found["patch_id"])
    else:
        assert expected == found["patch_id"].tolist()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("where", "fits"), CONDITIONS)
def test_patches_are_chosen_by_what_is_said_of_them(
    where: Any,
    fits: Callable[[dict[str, Any]], bool],
    form: str,
    thousand_patches: Path,
    listed: dict[str, dict[str, Any]],
) -> None:
    """Of a part of a split, those that meet all conditions come, in stored order."""
    everything = read(open_part(thousand_patches, form, "train[10%:]+excluded"))
    kept = np.array([fits(listed[patch]) for patch in everything["patch_id"]])
    reader = open_part(thousand_patches, form, "train[10%:]+excluded", where)
    found = read(reader)

    assert 0 < len(reader) == kept.sum() < len(kept)
    for name in COLUMNS:
        np.testing.assert_array_equal(everything[name][kept], found[name])


@pytest.mark.parametrize("form", FORMATS)
def test_chosen_patches_are_shuffled_and_skipped(
    form: str, thousand_patches: Path
) -> None:
    """Each comes once, in an order of its own each epoch; skipped ones come first."""
    reader = open_part(thousand_patches, form, "train", {"season": "summer"})
    in_order = read(reader)["patch_id"].tolist()
    orders = [
        read(reader, shuffle=True, seed=1, epoch=epoch)["patch_id"].tolist()
        for epoch in range(2)
    ]
    rest = read(reader, shuffle=True, seed=1, epoch=1, skip=20)["patch_id"].tolist()

    assert in_order != orders[0] != orders[1]
    assert sorted(in_order) == sorted(orders[0]) == sorted(orders[1])
    assert orders[1][20:] == rest


@pytest.mark.parametrize("form", ["tfrecord", "arrow"])
@pytest.mark.parametrize("split", ["train", "train[:10%]"])
def test_a_choice_goes_to_another_process(
    split: str, form: str, thousand_patches: Path
) -> None:
    """What is unpickled offers the same patches."""
    reader = open_part(thousand_patches, form, split, {"country": "Portugal"})
    again = pickle.loads(pickle.dumps(reader))

    assert read(reader)["patch_id"].tolist() == read(again)["patch_id"].tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_load_chooses_likewise(form: str, thousand_patches: Path) -> None:
    """`load` gives the labels of the chosen patches, and says how many batches."""
    where = {"country": ["Portugal", "Austria"], "season": "summer"}
    reader = open_part(thousand_patches, form, "train[:90%]+test", where)
    loaded = bigearthnet.load(
        "train[:90%]+test", thousand_patches, store=form, where=where, batch_size=5
    )

    labels = np.concatenate([labels.numpy() for _, labels in loaded])
    np.testing.assert_array_equal(read(reader)["multi_hot_43"], labels)
    assert len(loaded) == -(-len(reader) // 5)


@pytest.mark.parametrize(
    ("split", "where", "expected"),
    [
        ("train[10%]", None, r"expected names .* got 'train\[10%\]'"),
        ("train[:10%", None, "expected names joined by"),
        ("train[:10%:2]", None, "expected names joined by"),
        ("train[10%:20]", None, "expected names joined by"),
        ("train[:101%]", None, "101% is out of range"),
        ("train[:1000000]", None, "1000000 is out of range"),
        ("trian", None, r"no split 'trian' .* expected one of train"),
        ("train[:50%]+train[40%:]", None, "twice"),
        ("train[3:3]", None, "no patch: .* has none of"),
        (3, None, "got 3"),
        ("train", {"country": "Portgual"}, "'Portgual': did you mean 'Portugal'.$"),
        ("train", {"country": "X"}, "'X': expected one of 'Austria', 'Belgium', "),
        ("train", {"labels": "Airport"}, "'Airport': did you mean 'Airports'"),
        ("train", {"season": 2}, "season: expected a name or several, got 2"),
        ("train", {"season": []}, "season: expected a name or several"),
        ("train", {"month": 2}, "expected some of labels, patch_id, country, season"),
        ("train", {"contains_seasonal_snow": "no"}, "True or False, got 'no'"),
        ("train", {"date": "June"}, "date is a value, or a pair .* got 'June'"),
        ("train", {"epsg": (1, 2, 3)}, r"got \(1, 2, 3\)"),
        ("train", {"date": "1999-01-01"}, r"no patch: .* where \{'date'"),
        ("train", {"patch_id": "S2A"}, "unknown patch_id 'S2A' among these"),
        ("train", "country:Portugal", "got 'country:Portugal'"),
        ("train", ["Portugal"], "expected a mapping"),
    ],
)
def test_what_has_no_meaning_is_refused(
    split: Any, where: Any, expected: str, thousand_patches: Path
) -> None:
    """The error says what was expected; names are listed."""
    with pytest.raises(OptionError, match=expected):
        open_part(thousand_patches, "arrow", split, where)


def test_an_older_table_is_refused_only_for_what_it_lacks(
    thousand_patches: Path, tmp_path: Path
) -> None:
    """Parts and labels of a store without the newer columns can be chosen."""
    shutil.copytree(thousand_patches / "arrow", tmp_path / "arrow")
    path = tmp_path / "arrow" / "patches.parquet"
    pq.write_table(pq.read_table(path).select(range(4)), path)

    assert len(open_part(tmp_path, "arrow", "train[:90%]", {"labels": "Pastures"}))
    with pytest.raises(StoreError, match=r"has no country: .* Build the store again"):
        open_part(tmp_path, "arrow", "train", {"country": "Portugal"})


def test_degrees_are_those_of_gdal() -> None:
    """Corners of zones, north and south, agree to a centimetre; others are NaN."""
    from rasterio.warp import transform

    for epsg in (32629, 32635, 32701):
        east, north = np.array([166_000.0, 500_000, 833_000]), np.array([4e6, 5e6, 9e6])
        expected = transform(f"EPSG:{epsg}", "EPSG:4326", east, north)
        found = to_degrees(np.full(3, epsg), east, north)
        np.testing.assert_allclose(np.array(expected), found, atol=1e-7)
    assert np.isnan(to_degrees(np.array([3035]), np.zeros(1), np.zeros(1))[0]).all()

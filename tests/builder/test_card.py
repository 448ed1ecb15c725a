from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.nomenclature import BEN19, CLC43, PAPER_COUNTS
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import hf_types
from bigearthnet.store import Store
from bigearthnet.store.search import open_store
from builder.build import build
from builder.card import make_header

S2 = get_config("s2", RELEASES)

SPLITS = V1.splits

VIEWS = get_config("s2", RELEASES).views

S2_COLUMNS = S2.columns

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

# Data directory → its splits and their patches.
PATCHES = {
    "all_stores": {"train": 4, "test": 1, "excluded": 1},
    "many_shards": {"train": 2, "validation": 1, "test": 2, "excluded": 1},
}


@pytest.fixture(params=PATCHES)
def store(request: pytest.FixtureRequest) -> Store:
    """A Parquet store without validation, and one of several shards with it."""
    return open_parquet(request.getfixturevalue(request.param))


def open_parquet(data_dir: Path) -> Store:
    """The Parquet store of a data directory."""
    return open_store(data_dir, S2, "parquet")


def read_card(store: Store) -> tuple[dict[str, Any], str]:
    """The YAML and the text of a card."""
    text = (store.folder / "README.md").read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def list_views(header: dict[str, Any], key: str) -> list[Any]:
    """The entries of a card that are of views of the shards."""
    *views, patches = header[key]
    assert "patches" == patches["config_name"]
    return views


def load(store: Store, cache: Path, view: str, streaming: bool = False) -> Any:
    """The store as a user loads it, in a cache of its own."""
    import datasets

    return datasets.load_dataset(
        str(store.folder), view, cache_dir=str(cache), streaming=streaming
    )


def read_table(body: str, header: str) -> list[list[str]]:
    """The rows of the Markdown table whose header begins so."""
    _, _, rest = body.partition(f"| {header}")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_datasets_loads_every_view(
    view: str, streaming: bool, store: Store, tmp_path: Path
) -> None:
    """`load_dataset` gives each view its splits, columns, declared types and rows."""
    import datasets

    types = datasets.Features.from_dict(hf_types(S2_COLUMNS))
    found = load(store, tmp_path, view, streaming)

    assert {name: store.num_patches(name) for name in store.splits} == {
        name: len(list(split)) for name, split in found.items()
    }
    for split in found.values():
        assert {name: types[name] for name in VIEWS[view]} == dict(split.features)
        assert list(VIEWS[view]) == split.column_names
        assert list(VIEWS[view]) == list(next(iter(split)))


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_loads_the_table_of_patches(
    streaming: bool, store: Store, tmp_path: Path
) -> None:
    """The config `patches` gives every row of patches.parquet, labels with names."""
    import datasets

    (split,) = load(store, tmp_path, "patches", streaming).values()
    expected = pq.read_table(store.folder / "patches.parquet")

    assert expected.to_pylist() == list(split)
    assert expected.column_names == list(split.features)
    labels = split.features["labels"].feature
    assert datasets.ClassLabel(names=list(CLC43.labels)) == labels
    for name in ("patch_id", "split", "stored"):
        assert (
            datasets.Features.from_arrow_schema(expected.schema)[name]
            == (split.features[name])
        )


def test_the_hub_reads_the_card_as_it_is_written(store: Store) -> None:
    """`DatasetCard` gives back the YAML, and `datasets` its types and sizes."""
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCard

    path = store.folder / "README.md"
    card = DatasetCard.load(path)
    header, _ = read_card(store)
    infos = DatasetInfosDict.from_dataset_card_data(card.data)

    assert header == card.data.to_dict()
    assert [*VIEWS, "patches"] == list(infos)
    for name, info in infos.items():
        written = next(i for i in header["dataset_info"] if i["config_name"] == name)
        assert written["features"] == info.features._to_yaml_list()
        assert written["dataset_size"] == info.dataset_size


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_reads_every_value(
    streaming: bool, all_stores: Path, sample_rows: list[Example], tmp_path: Path
) -> None:
    """Pixels, labels and coordinates of the default view are those of the patches."""
    found = load(open_parquet(all_stores), tmp_path, "s2-43", streaming)
    rows = {
        row["patch_id"]: row
        for split in found.values()
        for row in split.with_format("numpy")
    }

    assert {row["patch_id"] for row in sample_rows} == set(rows)
    for expected in sample_rows:
        row = rows[expected["patch_id"]]
        for name in ("bands_10m", "bands_20m", "bands_60m", "multi_hot_43"):
            assert np.array_equal(np.asarray(expected[name]), np.asarray(row[name]))
        assert list(expected["labels"]) == list(row["labels"])  # type: ignore[arg-type]
        assert expected["coordinates/uly"] == row["coordinates"]["uly"]
        assert (120, 120, 3) == np.asarray(row["preview"]).shape


def test_filters_read_some_patches_as_the_card_says(
    all_stores: Path, tmp_path: Path
) -> None:
    """Fewer patches than declared are an error of `datasets`, unless it is told so."""
    import datasets
    from datasets.exceptions import NonMatchingSplitsSizesError

    store = open_parquet(all_stores)
    ids = pq.read_table(store.folder / store.files("train")[0]["name"])[
        "patch_id"
    ].to_pylist()[::2]
    options: dict[str, Any] = {
        "path": str(store.folder),
        "split": "train",
        "filters": [("patch_id", "in", ids)],
        "cache_dir": str(tmp_path),
    }
    with pytest.raises(NonMatchingSplitsSizesError):
        datasets.load_dataset(**options)
    found = datasets.load_dataset(verification_mode="no_checks", **options)

    assert ids == found["patch_id"][:]
    assert 'verification_mode="no_checks"' in read_card(store)[1]


def test_the_first_view_is_the_default(all_stores: Path, tmp_path: Path) -> None:
    """Without a name, `datasets` takes s2-43."""
    import datasets

    store = open_parquet(all_stores)
    builder = datasets.load_dataset_builder(str(store.folder), cache_dir=str(tmp_path))

    assert "s2-43" == builder.config.name
    assert [*VIEWS, "patches"] == datasets.get_dataset_config_names(str(store.folder))


def test_the_card_counts_what_the_shards_hold(store: Store) -> None:
    """Examples of each split, in each view, are the rows of the footers."""
    header, _ = read_card(store)
    expected = {
        split: sum(pq.read_metadata(path).num_rows for path in store.shards(split))
        for split in store.splits
    }

    assert list(VIEWS) == [
        info["config_name"] for info in list_views(header, "dataset_info")
    ]
    for info in list_views(header, "dataset_info"):
        assert expected == {s["name"]: s["num_examples"] for s in info["splits"]}
        assert info["dataset_size"] == sum(s["num_bytes"] for s in info["splits"])
    assert expected == PATCHES["many_shards" if len(expected) == 4 else "all_stores"]


def test_the_card_has_the_types_of_the_shards(store: Store) -> None:
    """The types in YAML are those in the metadata of every shard."""
    import datasets

    header, _ = read_card(store)
    for split in store.splits:
        for path in store.shards(split):
            metadata = pq.read_schema(path).metadata[b"huggingface"]
            types = json.loads(metadata)["info"]["features"]
            for info in list_views(header, "dataset_info"):
                expected = {name: types[name] for name in VIEWS[info["config_name"]]}
                found = datasets.Features._from_yaml_list(info["features"])

                assert datasets.Features.from_dict(expected) == found
                assert list(expected) == list(found)


def test_the_card_names_exactly_the_shards(store: Store) -> None:
    """The patterns of each split match its shards and no other file."""
    header, _ = read_card(store)
    for config in list_views(header, "configs"):
        found = {
            files["split"]: sorted(store.folder.glob(files["path"]))
            for files in config["data_files"]
        }

        assert {split: store.shards(split) for split in store.splits} == found
        assert list(VIEWS[config["config_name"]]) == config["columns"]
    paths = [path for shards in found.values() for path in shards]
    assert sorted(store.folder.rglob("s2/*")) == sorted(paths)


def test_a_view_is_downloaded_as_its_columns(all_stores: Path) -> None:
    """The download size of a view is what its columns take in the shards."""
    store = open_parquet(all_stores)
    header, _ = read_card(store)
    sizes: Counter[str] = Counter()
    for split in store.splits:
        for path in store.shards(split):
            group = pq.read_metadata(path).row_group(0)
            for number in range(group.num_columns):
                chunk = group.column(number)
                name = chunk.path_in_schema.partition(".")[0]
                sizes[name] += chunk.total_compressed_size

    assert {
        view: sum(sizes[name] for name in columns) for view, columns in VIEWS.items()
    } == {
        info["config_name"]: info["download_size"]
        for info in list_views(header, "dataset_info")
    }


@pytest.mark.parametrize(
    ("count", "name"),
    [
        *((1, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K")),
        *((99_999, "10K<n<100K"), (519_284, "100K<n<1M"), (590_326, "100K<n<1M")),
    ],
)
def test_the_hub_files_the_store_by_size(
    count: int, name: str, all_stores: Path
) -> None:
    """The range of sizes has the name that the hub gives it."""
    store = open_parquet(all_stores)
    splits = {"train": {"rows": count - 1}, "test": {"rows": 1}}
    store = dataclasses.replace(store, manifest={**store.manifest, "splits": splits})

    assert [name] == make_header(store)["size_categories"]


def test_classes_are_counted(
    all_stores: Path, sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """The table of classes has the labels of the JSON files, split by split."""
    counts = {split: Counter[str]() for split in PATCHES["all_stores"]}
    for patch_id, files in sample_patches.items():
        labels = json.loads(files[f"{patch_id}_labels_metadata.json"])["labels"]
        row = patch_index.find(patch_id)
        assert row is not None
        counts[SPLITS[patch_index.splits[row]]].update(labels)
    _, body = read_card(open_parquet(all_stores))
    counts["read"] = sum(counts.values(), Counter())
    rows = read_table(body, "id | CLC43 | BEN19 | train | test | excluded | read")

    assert [
        [str(i), label, *(str(count[label]) for count in counts.values()), f"{paper:,}"]
        for i, (label, paper) in enumerate(zip(CLC43.labels, PAPER_COUNTS, strict=True))
    ] == [[*row[:2], *row[3:]] for row in rows]
    assert {*BEN19.labels, "–"} == {row[2] for row in rows}
    assert "Urban fabric" == rows[0][2]
    assert "–" == rows[CLC43.ids["Burnt areas"]][2]


def test_splits_and_bands_are_those_of_the_store(store: Store) -> None:
    """The tables of splits and bands say what manifest and statistics say."""
    _, body = read_card(store)
    bands = store.statistics["bands"]

    assert [[name, str(store.num_patches(name))] for name in store.splits] == [
        row[:2] for row in read_table(body, "split | patches")
    ]
    assert {
        name: [f"{band['mean']:.2f}", f"{band['std']:.2f}"]
        for name, band in bands.items()
    } == {row[0]: row[3:] for row in read_table(body, "band | resolution")}
    assert 12 == len(bands)


def test_every_column_has_meaning_and_size(store: Store) -> None:
    """The table of columns explains each, fields of groups too."""
    _, body = read_card(store)
    rows = {row[0].strip("`"): row for row in read_table(body, "column | meaning")}

    assert list(dict.fromkeys(f.name.partition("/")[0] for f in S2_COLUMNS)) == (
        list(rows)
    )
    for feature in S2_COLUMNS:
        assert feature.description in rows[feature.name.partition("/")[0]][1]
    assert {True} == {float(row[2]) > 0 for row in rows.values()}


def test_a_split_without_patches_is_named(all_stores: Path, many_shards: Path) -> None:
    """The card says which split was left out, if there is one."""
    sentences = [
        re.findall(r"^Without a patch.*$", read_card(open_parquet(d))[1], re.MULTILINE)
        for d in (all_stores, many_shards)
    ]

    assert [["Without a patch, and so left out: validation."], []] == sentences


def test_synthetic_patches_are_announced(
    all_stores: Path,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A card of made-up patches says so at its beginning, and no other card does."""
    patch_id, files = next(iter(fake_patches.items()))
    name = f"{patch_id}_labels_metadata.json"
    synthetic = {**files, name: files[name].replace(b"FAKE", b"SYNTHETIC")}
    source = write_archive(tmp_path, {**fake_patches, patch_id: synthetic})
    options = BuildOptions(quiet=True, workers=1)
    build(source, tmp_path, S2, options, formats=["parquet"])
    _, body = read_card(open_parquet(tmp_path))

    assert body.startswith("\n# BigEarthNet\n\n**SYNTHETIC: 1 of the patches are made")
    assert "SYNTHETIC" not in read_card(open_parquet(all_stores))[1]

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import hf_types
from bigearthnet.schema.rgb import decode_image
from bigearthnet.store import read_store
from bigearthnet.store.dataset_dict import write_dataset_dict
from bigearthnet.store.search import open_store

S2 = get_config("s2", RELEASES)

S2_COLUMNS = S2.columns


def load(data_dir: Path) -> Any:
    """The Arrow store of a data directory, as `datasets` loads it."""
    import datasets

    return datasets.load_from_disk(str(data_dir / "arrow"))


def test_datasets_loads_the_store(all_stores: Path) -> None:
    """`load_from_disk` gives a DatasetDict of the splits that have patches."""
    import datasets

    found = load(all_stores)

    assert isinstance(found, datasets.DatasetDict)
    assert [("train", 4), ("test", 1), ("excluded", 1)] == [
        (name, dataset.num_rows) for name, dataset in found.items()
    ]
    assert list(found) == [str(dataset.split) for dataset in found.values()]


def test_datasets_finds_the_types(all_stores: Path) -> None:
    """Every split has the types of S2_COLUMNS, and says version and sizes."""
    import datasets

    store = open_store(all_stores, S2, "arrow")
    for name, dataset in load(all_stores).items():
        assert datasets.Features.from_dict(hf_types(S2_COLUMNS)) == dataset.features
        assert "2.0.0" == str(dataset.info.version)
        assert {name: store.num_patches(name)} == {
            key: split.num_examples for key, split in dataset.info.splits.items()
        }
        assert [sum(file["data_bytes"] for file in store.files(name))] == [
            split.num_bytes for split in dataset.info.splits.values()
        ]


def test_datasets_reads_every_value(
    all_stores: Path, sample_rows: list[Example]
) -> None:
    """Pixels, labels, coordinates and previews are those of the patches."""
    rows = {
        row["patch_id"]: row
        for dataset in load(all_stores).values()
        for row in dataset.with_format("numpy", dtype=None)
    }

    assert {row["patch_id"] for row in sample_rows} == set(rows)
    for expected in sample_rows:
        found = rows[expected["patch_id"]]
        for name in ("bands_10m", "bands_20m", "bands_60m", "multi_hot_43"):
            assert np.array_equal(np.asarray(expected[name]), found[name])
        assert list(expected["labels"]) == list(found["labels"])  # type: ignore[arg-type]
        assert expected["coordinates/lry"] == found["coordinates"]["lry"]
        assert expected["country"] == found["country"]
        preview = decode_image(expected["preview"])  # type: ignore[arg-type]
        assert np.array_equal(preview, np.asarray(found["preview"]))


def test_shards_are_loaded_in_order(many_shards: Path) -> None:
    """A split of several shards has their rows one after another."""
    store = open_store(many_shards, S2, "arrow")
    for name, dataset in load(many_shards).items():
        shards = store.shards(name)
        expected = [
            patch_id
            for path in shards
            for patch_id in pa.ipc.open_stream(path.read_bytes())
            .read_all()["patch_id"]
            .to_pylist()
        ]

        assert [str(path) for path in shards] == [
            file["filename"] for file in dataset.cache_files
        ]
        assert expected == list(dataset["patch_id"])


def test_fingerprints_tell_content(all_stores: Path, tmp_path: Path) -> None:
    """Equal shards have equal fingerprints, other ones others."""
    shutil.copytree(all_stores / "arrow", tmp_path / "arrow")
    copy = read_store(tmp_path / "arrow", RELEASES)
    copy.files("test")[0]["sha256"] = "0" * 64  # type: ignore[index]
    write_dataset_dict(copy)
    before, after = (
        {name: dataset._fingerprint for name, dataset in load(data_dir).items()}
        for data_dir in (all_stores, tmp_path)
    )

    assert 3 == len(set(before.values()))
    assert ["test"] == [name for name in before if before[name] != after[name]]
    assert {16} == {len(fingerprint) for fingerprint in before.values()}


def test_the_layout_is_that_of_datasets(all_stores: Path, tmp_path: Path) -> None:
    """What `save_to_disk` writes of the same data has the same files and keys."""
    load(all_stores).save_to_disk(str(tmp_path / "saved"))
    ours, theirs = all_stores / "arrow", tmp_path / "saved"
    expected = {path.relative_to(theirs) for path in theirs.rglob("*.*")}

    assert expected <= {path.relative_to(ours) for path in ours.rglob("*.*")}
    for name in ("dataset_dict.json", "train/state.json"):
        mine, other = (json.loads((f / name).read_text()) for f in (ours, theirs))
        assert sorted(other) == sorted(mine)

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet import CLC43, ArrowReader
from bigearthnet.release import RELEASES
from bigearthnet.store import read_store
from builder.croissant import make_croissant

# Reads two splits as a stranger does, without `datasets`, and writes what it got.
_PROGRAM = """
import json, sys
import mlcroissant, numpy

folder, output = sys.argv[1:]
dataset = mlcroissant.Dataset(f"{folder}/croissant.json")
arrays, records = {}, {}
for split in ("train", "test"):
    for record in dataset.records(split):
        patch_id = record[f"{split}/patch_id"].decode()
        for group in ("bands_10m", "bands_20m", "bands_60m"):
            arrays[f"{patch_id}/{group}"] = numpy.array(record[f"{split}/{group}"])
        labels = [int(label) for label in record[f"{split}/labels"]]
        ulx = int(record[f"{split}/coordinates"][f"{split}/coordinates/ulx"])
        size = record[f"{split}/preview"].size
        records[patch_id] = [split, labels, ulx, size]
numpy.savez(f"{output}/arrays.npz", **arrays)
classes = [r["classes-labels/name"] for r in dataset.records("classes-labels")]
print(json.dumps({"records": records, "classes": classes}))
assert "datasets" not in sys.modules
"""


@pytest.fixture(scope="module")
def croissant(all_stores: Path) -> dict[str, Any]:
    """The file that every build of Parquet writes."""
    path = all_stores / "huggingface" / "croissant.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_mlcroissant_reads_what_the_source_holds(
    all_stores: Path, tmp_path: Path
) -> None:
    """A program that knows only croissant.json gets every pixel, label and place."""
    folder = all_stores / "huggingface"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    arrays = np.load(tmp_path / "arrays.npz")
    count = 0
    for split in ("train", "test"):
        (batch,) = ArrowReader.open(split, all_stores).batches(10)
        for row, patch_id in enumerate(batch["patch_id"].tolist()):
            expected = [
                split,
                batch["labels"][row].tolist(),
                int(batch["coordinates/ulx"][row]),
                [120, 120],
            ]
            assert expected == found["records"][patch_id]
            for group in ("bands_10m", "bands_20m", "bands_60m"):
                pixels = arrays[f"{patch_id}/{group}"]
                assert np.uint16 == pixels.dtype
                assert np.array_equal(batch[group][row], pixels)
            count += 1
    assert 5 == count == len(found["records"])
    assert list(CLC43.labels) == found["classes"]


def test_mlcroissant_finds_no_fault(all_stores: Path) -> None:
    """The file is valid: neither an error nor a warning."""
    import mlcroissant

    dataset = mlcroissant.Dataset(str(all_stores / "huggingface" / "croissant.json"))

    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings


def test_bands_have_shape_and_type(croissant: dict[str, Any]) -> None:
    """Bands are arrays of 16 bits with their axes' lengths, in each split."""
    for record_set in croissant["recordSet"]:
        fields = {field["name"]: field for field in record_set["field"]}
        name = f"{record_set['name']}/bands_20m"
        if record_set["name"].startswith("classes-"):
            continue
        assert "cr:UInt16" == fields[name]["dataType"]
        assert (True, "6,60,60") == (
            fields[name]["isArray"],
            fields[name]["arrayShape"],
        )


def test_there_is_a_set_of_files_for_each_split(
    all_stores: Path, croissant: dict[str, Any]
) -> None:
    """Each split that has patches has its shards and its records, no other has."""
    store = read_store(all_stores / "huggingface", RELEASES)
    files = [f for f in croissant["distribution"] if f["@type"] == "cr:FileSet"]
    found = [file["includes"] for file in files]

    assert [f"s2/{split}-*.parquet" for split in store.splits] == found
    for pattern, split in zip(found, store.splits, strict=True):
        assert store.shards(split) == sorted(store.folder.glob(pattern))


def test_it_can_be_made_again(all_stores: Path, croissant: dict[str, Any]) -> None:
    """The file says nothing that is not in the store."""
    store = read_store(all_stores / "huggingface", RELEASES)

    assert croissant == make_croissant(store)

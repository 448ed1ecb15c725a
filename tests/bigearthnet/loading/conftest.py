"""A data directory of many fake patches, in several shards and row groups."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bigearthnet
from bigearthnet.engine import keys
from bigearthnet.engine.options import BuildOptions
from bigearthnet.formats import FORMATS, columns, parquet
from bigearthnet.reading import remote
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from builder.build import build

S2 = get_config("s2", RELEASES)

SPLITS = V1.splits

Patches = dict[str, dict[str, bytes]]

NUM_TRAIN = 30
# One of them has a BEN19 label.
NUM_VALIDATION = 3


@pytest.fixture(scope="session")
def class_table() -> list[dict[str, str]]:
    """The rows of the class table."""
    path = Path(bigearthnet.__file__).parent / "data" / "clc_nomenclature.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def many_ids(patch_index: PatchIndex) -> list[str]:
    """Official ids: NUM_TRAIN of train, then NUM_VALIDATION of validation."""
    rows = [
        np.flatnonzero(patch_index.splits == SPLITS.index(split))[:count]
        for split, count in (("train", NUM_TRAIN), ("validation", NUM_VALIDATION))
    ]
    return [patch_index.patch_id(row) for row in np.concatenate(rows).tolist()]


@pytest.fixture(scope="session")
def many_labels(
    many_ids: list[str], class_table: list[dict[str, str]]
) -> dict[str, list[str]]:
    """Patch id → names of its labels; every third patch has none of BEN19."""
    names = [row["level3_label"] for row in class_table]
    dropped = [row["level3_label"] for row in class_table if not row["ben19_label"]]
    kept = [name for name in names if name not in dropped]
    return {
        patch_id: [dropped[number % len(dropped)]]
        if number % 3 == 0 or number == len(many_ids) - 1
        else [kept[number % len(kept)], names[7 * number % len(names)]]
        for number, patch_id in enumerate(many_ids)
    }


@pytest.fixture(scope="session")
def many_train(many_labels: dict[str, list[str]]) -> list[tuple[int, list[str]]]:
    """Number and label names of each train patch, in the order of the stores.

    The digital number is 5000 · (number % 6) + 400 · band + 2 · row + column + number.
    """
    numbered = list(enumerate(many_labels.items()))[:NUM_TRAIN]
    numbered.sort(key=lambda item: hashlib.md5(b"train" + item[1][0].encode()).digest())
    return [(number, labels) for number, (_, labels) in numbered]


@pytest.fixture(scope="session")
def many_dir(
    many_labels: dict[str, list[str]],
    fake_patches: Patches,
    write_archive: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Every store of the many patches: 4 train shards, row groups of 3 patches."""
    folder = tmp_path_factory.mktemp("many")
    fakes = list(fake_patches.items())
    patches = {
        patch_id: change(*fakes[number % len(fakes)], patch_id, number, labels)
        for number, (patch_id, labels) in enumerate(many_labels.items())
    }
    source = write_archive(folder, patches, kind="tar", shuffle=3)
    options = BuildOptions(quiet=True, workers=1)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(keys, "MAX_PATCHES_PER_SHARD", 8)
        monkeypatch.setattr(columns, "ROWS_PER_GROUP", 3)
        monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 3)
        # Imported by this build, it would keep the 3.
        monkeypatch.setattr(remote, "ROWS_PER_GROUP", 3)
        build(
            source,
            folder / "data",
            S2,
            options,
            formats=list(FORMATS),
        )
        build(source, folder / "data", get_config("s2-rgb", RELEASES), options)
    return folder / "data"


def change(
    fake_id: str,
    files: dict[str, bytes],
    patch_id: str,
    number: int,
    labels: list[str],
) -> dict[str, bytes]:
    """Gives a fake patch another id and labels, and adds its number to every pixel."""
    changed = {}
    for name, content in files.items():
        if name.endswith(".json"):
            new = json.dumps({**json.loads(content), "labels": sorted(set(labels))})
            changed[name.replace(fake_id, patch_id)] = new.encode()
        else:
            pixels = np.frombuffer(content[122:], "<u2") + np.uint16(number)
            changed[name.replace(fake_id, patch_id)] = content[:122] + pixels.tobytes()
    return changed

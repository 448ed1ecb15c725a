from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import bigearthnet
from bigearthnet.errors import StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.schema.configs import get_config
from bigearthnet.store import read_store
from bigearthnet.store.compatibility import check_compatibility, describe_meaning
from bigearthnet.store.search import open_store
from builder.verify import verify

S2 = get_config("s2", RELEASES)

Change = Callable[[dict[str, Any], dict[str, Any]], object]


def make_manifest() -> dict[str, Any]:
    """What the manifest of a good store says that is compared."""
    splits = {"train": {"rows": 4}, "test": {"rows": 1}}
    return {"version": "2.0.0", "facts": describe_meaning(S2), "splits": splits}


def check(
    manifest: dict[str, Any], statistics: dict[str, Any], where: str = "here"
) -> None:
    """Checks what a store of the first release says of itself."""
    check_compatibility(manifest, statistics, S2, where)


STATISTICS: dict[str, Any] = {"split": "train", "num_patches": 4}


def set_fact(name: str, value: object) -> Change:
    """Writes something else under a name."""
    return lambda manifest, _: manifest["facts"].update({name: value})


def swap_bands(manifest: dict[str, Any], _: object) -> None:
    """Writes two bands in the other order."""
    bands = manifest["facts"]["bands"]
    bands[0], bands[1] = bands[1], bands[0]


# What differs → words of the error.
CHANGES: dict[str, tuple[Change, str]] = {
    "version": (
        lambda manifest, _: manifest.update(version="1.0.0"),
        r"holds version 1\.0\.0 of the data, and this package reads 2\.0\.0",
    ),
    "no version": (lambda manifest, _: manifest.pop("version"), "holds version None"),
    "classes": (set_fact("clc43", "0" * 64), "with other clc43 than"),
    "ben19": (set_fact("ben19", "0" * 64), "with other ben19 than"),
    "bands": (swap_bands, "with other bands than"),
    "splits": (set_fact("splits", None), "with other splits than"),
    "several": (
        lambda manifest, _: manifest["facts"].update(clc43="", splits=""),
        "with other clc43, splits than",
    ),
    "no facts": (
        lambda manifest, _: manifest.pop("facts"),
        "with other clc43, ben19, bands, splits than",
    ),
    "wrong facts": (
        lambda manifest, _: manifest.update(facts=[1]),
        "with other clc43, ben19, bands, splits than",
    ),
    "statistics": (
        lambda _, statistics: statistics.update(num_patches=5),
        "statistics of .* are of 5 patches of train: expected 4",
    ),
    "split of statistics": (
        lambda _, statistics: statistics.update(split="test"),
        "are of 4 patches of test: expected 1",
    ),
    "unknown split": (
        lambda _, statistics: statistics.update(split=["train"]),
        "statistics of .* are of 4 patches",
    ),
    "no statistics": (
        lambda _, statistics: statistics.clear(),
        "are of None patches of None",
    ),
}


def test_a_store_of_this_package_is_taken() -> None:
    """What is written as this package has it passes, without its split, too."""
    manifest = make_manifest()
    check(json.loads(json.dumps(manifest)), STATISTICS)
    del manifest["splits"]["train"]
    check(manifest, {"split": "train", "num_patches": 0})


@pytest.mark.parametrize("name", CHANGES)
def test_a_store_of_other_facts_is_refused(name: str) -> None:
    """The error says where, what differs, and what to do."""
    change, match = CHANGES[name]
    manifest, statistics = make_manifest(), copy.deepcopy(STATISTICS)
    change(manifest, statistics)

    with pytest.raises(StoreError, match=match) as caught:
        check(manifest, statistics, "/some/store")

    assert "/some/store" in str(caught.value)


def test_the_facts_are_those_that_data_depends_on() -> None:
    """Orders are hashed from what the package reads, not written down twice."""
    found = describe_meaning(S2)
    table = resources.files("bigearthnet") / "data" / "patches_v1.parquet"

    assert {
        "clc43": hashlib.sha256("\n".join(CLC43.labels).encode()).hexdigest(),
        "ben19": hashlib.sha256("\n".join(BEN19.labels).encode()).hexdigest(),
        "bands": [
            *("B02", "B03", "B04", "B08"),
            *("B05", "B06", "B07", "B8A", "B11", "B12"),
            *("B01", "B09"),
        ],
        "splits": hashlib.sha256(table.read_bytes()).hexdigest(),
    } == found
    assert found == json.loads(json.dumps(found))


def test_another_order_of_classes_is_another_fact() -> None:
    """Two classes that change places change what is compared."""
    one, two, *others = CLC43.labels
    swapped = dataclasses.replace(CLC43, labels=(two, one, *others))
    published, *mapped = V1.label_sets
    sets = dataclasses.replace(published, nomenclature=swapped), *mapped
    release = dataclasses.replace(V1, label_sets=sets)
    before = describe_meaning(S2)
    after = describe_meaning(dataclasses.replace(S2, release=release))

    assert {"clc43"} == {name for name in before if before[name] != after[name]}


@pytest.fixture
def data_dir(all_stores: Path, tmp_path: Path) -> Path:
    """A copy of the stores of the real patches that a test may damage."""
    shutil.copytree(all_stores, tmp_path / "data")
    return tmp_path / "data"


def rewrite(folder: Path, change: Change) -> None:
    """Changes manifest and statistics of a store."""
    paths = [folder / f"{name}.json" for name in ("manifest", "statistics")]
    contents = [json.loads(path.read_text()) for path in paths]
    change(*contents)
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name", ["version", "classes", "bands", "splits", "statistics"]
)
def test_every_loader_refuses_other_facts(name: str, data_dir: Path) -> None:
    """Nothing is read of a store that would mean something else."""
    change, match = CHANGES[name]
    for form in FORMATS.values():
        rewrite(form.store_folder(data_dir, S2), change)
    loaders: list[Callable[[], object]] = [
        *(
            lambda f=form: bigearthnet.load("train", data_dir, store=f)
            for form in FORMATS
        ),
        lambda: bigearthnet.load("train", data_dir),
        lambda: ArrowReader.open("train", data_dir),
        lambda: open_store(data_dir, S2),
        lambda: read_store(data_dir / "arrow", RELEASES),
    ]
    for load in loaders:
        with pytest.raises(StoreError, match=match):
            load()

    found = [r.shown for r in verify(data_dir, quiet=True) if r.check == "store"]

    assert [1, 1, 1] == [len(re.findall(match, line)) for (line,) in found]


def flip(path: Path, position: int) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def find_shard(data_dir: Path) -> Path:
    """The TFRecord shard of the train split."""
    folder = FORMATS["tfrecord"].store_folder(data_dir, S2)
    return folder / "bigearthnet-train.tfrecord-00000-of-00001"


# In the length of the first record, its checksum, a text, pixels, the last checksum.
@pytest.mark.parametrize(
    ("position", "shuffle"),
    [
        (0, False),
        (9, False),
        (30, False),
        (300_000, False),
        (300_000, True),
        (-1, True),
    ],
)
def test_a_flipped_bit_is_noticed_when_it_is_read(
    position: int, shuffle: bool, data_dir: Path
) -> None:
    """A TFRecord shard that has changed ends the loading; the error names the file."""
    path = find_shard(data_dir)
    flip(path, position)
    dataset = bigearthnet.load(
        "train", data_dir, store="tfrecord", batch_size=1, shuffle=shuffle, seed=1
    )

    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path}: record"):
        list(dataset)

    if position == 300_000:
        results = verify(data_dir, quiet=True)
        (found,) = [r for r in results if r.num_differences]

        assert found.shown[0].startswith(f"{path.name}: expected sha256")


def test_a_shard_that_lost_its_end_is_not_loaded(data_dir: Path) -> None:
    """A truncated shard is an error of ours, which names it, before it is read."""
    path = find_shard(data_dir)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(StoreError, match=f"{path} has .* bytes: expected"):
        bigearthnet.load("train", data_dir, store="tfrecord")


def test_what_is_good_is_read_to_its_end(data_dir: Path) -> None:
    """The same shard without a flipped bit gives all its patches."""
    dataset = bigearthnet.load("train", data_dir, store="tfrecord", batch_size=1)

    assert 4 == len(list(dataset))
    assert np.all([labels.numpy().sum() > 0 for _, labels in dataset])

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.errors import OptionError, ShardError
from bigearthnet.loading.labels import (
    drop_unlabelled,
    get_nomenclature,
    make_matrix,
    map_labels,
    map_vectors,
)
from bigearthnet.reading import open_shards
from bigearthnet.reading.choice import Choice, list_shards
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.nomenclature import BEN19, CLC43, NOMENCLATURES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import Store
from bigearthnet.store.search import open_store

S2 = get_config("s2", RELEASES)


def read_vectors(store: Store, patches: Choice) -> np.ndarray:
    """The label vectors of some patches."""
    reader = open_shards(*list_shards(store, patches))
    (batch,) = reader.batches(100, ["multi_hot_43"])
    return batch["multi_hot_43"]


STORES = ("tfrecord", "arrow", "parquet")


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        # By name: what the class table says of these level-3 classes.
        (
            "clc_level1",
            ["Sea and ocean", "Continuous urban fabric", "Discontinuous urban fabric"],
            ["Artificial Surfaces", "Water bodies"],
        ),
        ("ben19", ["Sea and ocean", "Bare rock"], ["Marine waters"]),
        ("ben19_alphabetical", ["Pastures", "Airports"], ["Pastures"]),
        ("clc43_alphabetical", ["Airports", "Bare rock"], ["Airports", "Bare rock"]),
        ("clc_level2", ["Peatbogs", "Inland marshes"], ["Inland wetlands"]),
        ("ben19", ["Airports"], []),
        ("clc_level1", [], []),
    ],
)
def test_labels_become_the_union_of_what_each_becomes(
    labels: str, names: list[str], expected: list[str]
) -> None:
    """A vector has 1 for each class that one of the labels becomes, else 0."""
    target = get_nomenclature(labels, V1)
    vector = np.zeros((1, 43), np.uint8)
    vector[0, [CLC43.labels.index(name) for name in names]] = 1
    found = map_labels(vector, CLC43, target)

    assert (1, len(target)) == found.shape
    assert "uint8" == found.dtype.name
    assert {0, 1} >= set(np.unique(found))
    assert sorted(expected) == sorted(
        target.labels[i] for i in np.flatnonzero(found.numpy()[0])
    )
    of_numpy = map_vectors(vector, CLC43, target)
    np.testing.assert_array_equal(found, of_numpy)
    assert np.uint8 == of_numpy.dtype


@pytest.mark.parametrize("labels", NOMENCLATURES)
def test_the_matrix_says_what_each_class_becomes(
    labels: str, class_table: list[dict[str, str]]
) -> None:
    """Each row of the matrix has the class of the class table, or none."""
    column = {"ben19": "ben19_label", "clc_l": f"{labels[4:]}_label"}.get(labels[:5])
    expected = [row[column or "level3_label"] for row in class_table]
    target = get_nomenclature(labels, V1)
    found = [
        "".join(target.labels[i] for i in np.flatnonzero(row))
        for row in make_matrix(CLC43, target)
    ]

    assert expected == found


def test_unknown_labels_are_refused() -> None:
    """The error lists the names that there are."""
    expected = "clc43, ben19, clc_level2, clc_level1, .* got 'BEN19'"

    with pytest.raises(OptionError, match=expected):
        get_nomenclature("BEN19", V1)


def test_the_published_labels_are_the_default() -> None:
    """Without a name, labels are those that the release is published with."""
    other = dataclasses.replace(V1, label_sets=V1.label_sets[1:])

    assert CLC43 == get_nomenclature(None, V1)
    assert BEN19 == get_nomenclature(None, other)


def test_labels_that_a_release_does_not_become_are_refused() -> None:
    """Coarser labels become no finer ones: the error names labels and release."""
    other = dataclasses.replace(V1, name="v9", label_sets=V1.label_sets[1:])

    with pytest.raises(OptionError, match=r"'clc43' of release v9: no map from ben19"):
        get_nomenclature("clc43", other)


@pytest.mark.parametrize("form", STORES)
@pytest.mark.parametrize(
    ("labels", "split", "expected"),
    [
        ("ben19", "train", 10),
        ("ben19_alphabetical", "train", 10),
        ("ben19", "validation", 2),
        ("clc43", "train", 0),
        ("clc_level1", "train", 0),
    ],
)
def test_unlabelled_patches_are_left_out(
    form: str, labels: str, split: str, expected: int, many_dir: Path
) -> None:
    """Those of a split without a label go, and no others."""
    store, target = open_store(many_dir, S2, form), get_nomenclature(labels, V1)
    patches = Choice((split,), None)
    left = drop_unlabelled(store, patches, target)
    vectors = read_vectors(store, left)

    kept = store.num_patches(split) - expected
    assert (None if not expected else kept) == (
        None if left.rows is None else len(left.rows)
    )
    assert kept == len(vectors) == map_vectors(vectors, CLC43, target).any(1).sum()


def test_patches_that_are_not_stored_do_not_count(
    many_dir: Path, tmp_path: Path
) -> None:
    """A table of patches that does not fit the shards is refused by name."""
    shutil.copytree(many_dir / "arrow", tmp_path / "arrow")
    store = open_store(tmp_path, S2, "arrow")
    path = tmp_path / "arrow" / "patches.parquet"
    table = pq.read_table(path)
    # 10 of the 30 train patches have no label, in the order of the table.
    splits, lists = table["split"].to_pylist(), table["labels"].to_pylist()
    kept = make_matrix(CLC43, BEN19).any(axis=1)
    empty = [
        row
        for row, (split, ids) in enumerate(zip(splits, lists, strict=True))
        if split == "train" and not kept[ids].any()
    ]
    stored = pa.array([row not in empty[:4] for row in range(len(table))])
    place = table.schema.get_field_index("stored")
    pq.write_table(table.set_column(place, "stored", stored), path)

    assert 10 == len(empty)
    with pytest.raises(ShardError, match=r"hold 30 patches, its patches.parquet 26"):
        drop_unlabelled(store, Choice(("train",), None), BEN19)

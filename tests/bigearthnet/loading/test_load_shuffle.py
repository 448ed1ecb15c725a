"""The orders in which `load` gives patches when it shuffles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bigearthnet
from bigearthnet.reading import parquet, tfrecord

STORES = ("tfrecord", "arrow", "parquet")
Train = list[tuple[int, list[str]]]


def read_epochs(
    data_dir: Path, epochs: int = 3, split: str = "train", **options: Any
) -> list[list[int]]:
    """Loads the numbers of all patches, epoch by epoch; see `many_train`."""
    dataset = bigearthnet.load(
        split,
        data_dir,
        **{"bands": "B01", "image_size": None, "shuffle": True, **options},
    )
    return [
        [
            number
            for images, _ in dataset.as_numpy_iterator()
            for number in (images["B01"][:, 0, 0] % 5000).tolist()
        ]
        for _ in range(epochs)
    ]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("seed", [0, 7, None])
def test_every_epoch_has_all_patches_in_another_order(
    store: str, seed: int | None, many_dir: Path, many_train: Train
) -> None:
    """Three epochs and the store's own order are four orders of the same patches."""
    stored = [number for number, _ in many_train]
    epochs = read_epochs(many_dir, store=store, seed=seed, batch_size=7)

    assert [list(range(30))] * 3 == [sorted(epoch) for epoch in epochs]
    assert 4 == len({tuple(order) for order in [stored, *epochs]})


@pytest.mark.parametrize("store", STORES)
def test_the_patches_of_one_shard_are_shuffled_anew(store: str, many_dir: Path) -> None:
    """Where there is one shard, ten epochs still are not all in the same order."""
    epochs = read_epochs(many_dir, 10, "validation", store=store, seed=5)

    assert [[30, 31, 32]] * 10 == [sorted(epoch) for epoch in epochs]
    assert 1 < len({tuple(epoch) for epoch in epochs})


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_repeats_the_orders_of_all_epochs(
    store: str, seed: int, many_dir: Path
) -> None:
    """Two fresh loads with one seed give the same epochs, with others not."""
    epochs = read_epochs(many_dir, store=store, seed=seed)

    assert epochs == read_epochs(many_dir, store=store, seed=seed)
    assert epochs != read_epochs(many_dir, store=store, seed=seed + 1)


@pytest.mark.parametrize("store", STORES)
def test_orders_without_a_seed_are_not_repeated(store: str, many_dir: Path) -> None:
    """Two fresh loads without a seed differ."""
    assert read_epochs(many_dir, 1, store=store) != read_epochs(
        many_dir, 1, store=store
    )


@pytest.mark.parametrize("store", STORES)
def test_orders_do_not_depend_on_the_batch_size(store: str, many_dir: Path) -> None:
    """Batches cut the order of a seed, they do not change it, in memory or on disk."""
    orders = [
        read_epochs(many_dir, 2, store=store, seed=1, batch_size=size)
        for size in (1, 30)
    ]

    assert orders[0] == orders[1]


@pytest.mark.parametrize("store", STORES)
def test_patches_keep_their_labels_when_they_are_shuffled(
    store: str, many_dir: Path, many_train: Train
) -> None:
    """Images and labels are shuffled together, dropped patches or not."""
    dataset = bigearthnet.load(
        "train", many_dir, bands="B01", image_size=None, store=store
    )
    ((images, vectors),) = dataset.as_numpy_iterator()
    numbers = (images["B01"][:, 0, 0] % 5000).tolist()
    expected = dict(zip(numbers, vectors.tolist(), strict=True))
    shuffled = bigearthnet.load(
        "train",
        many_dir,
        bands="B01",
        image_size=None,
        store=store,
        shuffle=True,
        seed=3,
        batch_size=4,
    )
    found = {}
    for images, vectors in shuffled.as_numpy_iterator():
        numbers = (images["B01"][:, 0, 0] % 5000).tolist()
        found.update(zip(numbers, vectors.tolist(), strict=True))

    assert 30 == len(found)
    assert expected == found


@pytest.mark.parametrize("store", STORES)
def test_ben19_drops_patches_of_every_order(
    store: str, many_dir: Path, many_train: Train
) -> None:
    """Shuffled batches are whole and hold each patch that has a label once."""
    dataset = bigearthnet.load(
        "train",
        many_dir,
        bands="B01",
        labels="ben19",
        image_size=None,
        batch_size=6,
        shuffle=True,
        seed=1,
        store=store,
    )
    epochs = [list(dataset.as_numpy_iterator()) for _ in range(2)]
    numbers = [
        [n for images, _ in epoch for n in (images["B01"][:, 0, 0] % 5000).tolist()]
        for epoch in epochs
    ]
    expected = [number for number in range(30) if number % 3]

    assert [[6, 6, 6, 2]] * 2 == [[len(y) for _, y in epoch] for epoch in epochs]
    assert [expected, expected] == [sorted(epoch) for epoch in numbers]
    assert numbers[0] != numbers[1]


@pytest.mark.parametrize("store", ["tfrecord", "parquet"])
def test_several_files_are_mixed(
    store: str, many_dir: Path, many_train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small the buffer, the first patches are of several shards."""
    monkeypatch.setattr(tfrecord, "_POOL_PATCHES", 4)
    monkeypatch.setattr(tfrecord, "_SHARDS_MIXED", 2)
    monkeypatch.setattr(parquet, "_POOL_GROUPS", 2)
    # Shards of 8, 7, 7 and 8 patches.
    ends = (8, 15, 22, 30)
    shard_of = {
        number: sum(place >= end for end in ends)
        for place, (number, _) in enumerate(many_train)
    }
    first = {
        tuple(sorted({shard_of[number] for number in epoch[:4]}))
        for seed in range(4)
        for epoch in read_epochs(many_dir, 2, store=store, seed=seed)
    }

    assert any(len(shards) == 2 for shards in first)
    assert {0, 1, 2, 3} == {shard for shards in first for shard in shards}

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import stored_rows
from baselines.input_pipeline import (
    Order,
    ReadAhead,
    hash_ids,
    unwrap_errors,
)
from baselines.settings import Settings
from baselines.stored_rows import StoreData, open_random_access
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.loading import load
from bigearthnet.schema.examples import Example

ALL = "train+validation+test+excluded"
GROUPS = ("bands_10m", "bands_20m", "bands_60m")


def keep_format(data_dir: Path, folder: Path, form: str) -> Path:
    """A data directory with the store of one format of another one's."""
    name = {"tfrecord": "bigearthnet", "parquet": "huggingface"}.get(form, form)
    shutil.copytree(data_dir / name, folder / name)
    return folder


@pytest.fixture(scope="module", params=["arrow", "tfrecord"])
def data_dir(
    request: pytest.FixtureRequest,
    many_shards: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The six fake patches, one in each shard, in one format."""
    folder = tmp_path_factory.mktemp("one_format")
    return keep_format(many_shards, folder, request.param)


def open_splits(data_dir: Path, split: str | None = ALL, **changes: Any) -> StoreData:
    """Opens all patches of splits, or what settings say to train on."""
    options = {"train_split": ALL, "validation_split": "none", **changes}
    return StoreData(open_random_access(data_dir, "s2"), Settings(**options), split)


def read_ids(data: StoreData, **options: Any) -> list[int]:
    """Which fake patch each is, in order: 5000 · number is its first pixel."""
    return [
        int(pixel) // 5000
        for inputs, _ in data.batches(Order(2, **options))
        for pixel in inputs["bands_10m"][:, 0, 0, 0]
    ]


def test_training_takes_the_patches_that_meet_conditions(data_dir: Path) -> None:
    """Only `where` the settings say; a split that is named is not cut."""
    where = "labels=Bare rock; date=..2017-06-13"
    data = open_splits(data_dir, None, where=where)

    assert [1, 3, 5] == sorted(read_ids(data))
    assert 6 == open_splits(data_dir, where=where).num_patches


def test_pixels_labels_and_ids_belong_together(
    data_dir: Path, fake_rows: list[Example]
) -> None:
    """Every patch comes once, with its own pixels of all groups, labels and id."""
    data = open_splits(data_dir)
    rows = {row["patch_id"]: row for row in fake_rows}
    seen = []
    for inputs, labels in data.batches(Order(4)):
        for number in range(len(labels)):
            row = rows[data.patch_ids[len(seen)]]
            seen.append(row["patch_id"])
            np.testing.assert_array_equal(row["multi_hot_43"], labels[number])
            for name in GROUPS:
                np.testing.assert_array_equal(row[name], inputs[name][number])

    assert seen == data.patch_ids
    assert sorted(rows) == sorted(seen)
    assert hash_ids(rows) == data.ids_sha256


def test_the_stored_order_is_that_of_load(data_dir: Path) -> None:
    """Without a seed, splits follow one another in the order of their shards."""
    data = open_splits(data_dir, "train+excluded")
    expected = [
        labels
        for split in ("train", "excluded")
        for _, labels in load(split, data_dir, keep_empty=True)
    ]
    found = [labels for _, labels in data.batches(Order(4))]

    np.testing.assert_array_equal(np.concatenate(expected), np.concatenate(found))


def test_each_epoch_has_an_order_of_its_own(data_dir: Path) -> None:
    """Orders follow from seed and epoch, and are permutations."""
    data = open_splits(data_dir)
    orders = {
        (seed, epoch): read_ids(data, seed=seed, epoch=epoch)
        for seed in range(3)
        for epoch in range(3)
    }

    assert all(sorted(order) == list(range(6)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) > 6
    assert orders[1, 2] == read_ids(open_splits(data_dir), seed=1, epoch=2)


def test_batches_can_be_left_out(data_dir: Path) -> None:
    """The rest of an epoch is the end of the whole one; nothing may be left, too."""
    data = open_splits(data_dir)

    assert read_ids(data, seed=0)[2:] == read_ids(data, seed=0, start_batch=1)
    assert [] == read_ids(data, seed=0, start_batch=3)


def test_left_out_batches_are_not_read(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming reads the rows that are left, and no others."""
    data, read = open_splits(data_dir), []
    reader = data._reader
    gather = reader.gather

    def note(rows: np.ndarray, *args: Any) -> Any:
        read.extend(rows.tolist())
        return gather(rows, *args)

    monkeypatch.setattr(reader, "gather", note)
    read_ids(data, seed=5, start_batch=2)

    assert Order(4, 5).draw(6)[4:].tolist() == read


def test_parts_of_batches_make_up_the_whole(data_dir: Path) -> None:
    """The parts of each batch, joined, are the batch; each reads its own rows alone."""
    data = open_splits(data_dir)

    def read_batches(part: tuple[int, int]) -> list[np.ndarray]:
        batches = data.batches(Order(4, seed=3), part=part)
        return [inputs["bands_10m"][:, 0, 0, 0].numpy() for inputs, _ in batches]

    parts = [read_batches((index, 3)) for index in range(3)]

    assert [[2, 1, 1], [1, 1, 0]] == [
        [len(p) for p in b] for b in zip(*parts, strict=True)
    ]
    for whole, *cut in zip(read_batches((0, 1)), *parts, strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(cut))


def test_a_part_of_the_patches_is_drawn_by_seed(data_dir: Path) -> None:
    """A fraction has its share of the patches, the same for the same seed."""
    parts = [open_splits(data_dir, None, fraction=0.5, seed=seed) for seed in range(6)]
    whole = open_splits(data_dir)
    numbers = dict(zip(whole.patch_ids, read_ids(whole, seed=None), strict=True))

    assert {3} == {part.num_patches for part in parts}
    assert len({part.ids_sha256 for part in parts}) > 1
    for part in parts:
        assert [numbers[i] for i in part.patch_ids] == read_ids(part, seed=None)
    again = open_splits(data_dir, None, fraction=0.5, seed=5)
    assert parts[5].patch_ids == again.patch_ids
    assert 1 == open_splits(data_dir, None, fraction=0.01).num_patches


def test_shuffled_labels_are_those_of_other_patches(data_dir: Path) -> None:
    """Pixels stay where they are; labels are the same ones in another order."""
    plain = open_splits(data_dir)
    mixed = open_splits(data_dir, None, shuffle_labels=True)
    before = np.concatenate([labels for _, labels in plain.batches(Order(4))])
    after = np.concatenate([labels for _, labels in mixed.batches(Order(4))])

    assert read_ids(plain, seed=None) == read_ids(mixed, seed=None)
    assert not np.array_equal(before, after)
    assert sorted(before.tolist()) == sorted(after.tolist())


def test_labels_are_mapped(data_dir: Path) -> None:
    """Patches without a label in the nomenclature stay, with a vector of zeros."""
    data = open_splits(data_dir, labels="ben19")
    labels = np.concatenate([labels for _, labels in data.batches(Order(4))])

    assert (6, 19) == labels.shape
    assert [0, 2] == sorted(set(labels.sum(axis=1).tolist()))


@pytest.mark.parametrize("name", ["parallel_reads", "batches_ahead"])
def test_reading_ahead_needs_a_batch(name: str) -> None:
    """Fewer than one batch is refused by the name of the flag."""
    with pytest.raises(OptionError, match=f"{name}: expected at least 1, got 0"):
        ReadAhead(**{name: 0})


def test_settings_choose_what_is_read(data_dir: Path) -> None:
    """RGB models read the 10 m bands alone; only training takes a fraction."""
    options = {"model": "s_cnn_rgb", "fraction": 0.5}
    train = open_splits(data_dir, None, **options)
    inputs, _ = next(iter(train.batches(Order(2))))

    assert ["bands_10m"] == list(inputs)
    assert (3, 6) == (train.num_patches, open_splits(data_dir, **options).num_patches)


def test_arrow_and_tfrecord_give_the_same(many_shards: Path, tmp_path: Path) -> None:
    """Both formats have the same patches in the same order."""
    batches = []
    for form in ("arrow", "tfrecord"):
        data = open_splits(keep_format(many_shards, tmp_path / form, form))
        batches.append(
            [b["bands_20m"].numpy() for b, _ in data.batches(Order(4, seed=2))]
        )

    np.testing.assert_array_equal(
        np.concatenate(batches[0]), np.concatenate(batches[1])
    )


def test_damage_found_while_reading_is_an_error_of_ours(
    many_shards: Path, tmp_path: Path
) -> None:
    """A flipped bit in a record is a ShardError that names the file."""
    folder = keep_format(many_shards, tmp_path, "tfrecord")
    path = sorted(folder.rglob("*test*.tfrecord-*"))[0]
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    data = open_splits(folder)

    with (
        pytest.raises(ShardError, match=f"{path.name}.*wrong checksum"),
        unwrap_errors(),
    ):
        read_ids(data)


@pytest.mark.parametrize("form", ["arrow", "tfrecord"])
def test_synthetic_patches_are_those_of_the_split(
    all_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Of a store of one kind they are none or all; of a mixed one they are counted."""
    data = open_splits(keep_format(all_stores, tmp_path, form), "train+test")
    assert 0 == data.synthetic_patches

    facts = data.stores.manifests[0]["patches"]
    facts["synthetic"] = facts["rows"]
    assert data.num_patches == data.synthetic_patches < facts["rows"]

    facts["synthetic"] = 1
    assert 0 == data.synthetic_patches
    monkeypatch.setattr(stored_rows, "SYNTHETIC", "S2A_")
    expected = sum(patch.startswith("S2A_") for patch in data.patch_ids)
    assert 0 < expected == data.synthetic_patches < data.num_patches

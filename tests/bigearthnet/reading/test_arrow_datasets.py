"""`ArrowReader.from_dataset`: what `datasets` has loaded, selected and shuffled."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.huggingface import ArrowReader

Arrays = dict[str, np.ndarray]


@pytest.fixture(params=["arrow", "parquet"])
def dataset(
    request: pytest.FixtureRequest,
    arrow_files: list[Path],
    parquet_files: list[Path],
    tmp_path: Path,
) -> Any:
    """The 25 patches as a `datasets.Dataset`, of mapped files or of a cache."""
    import datasets

    if request.param == "arrow":
        parts = [datasets.Dataset.from_file(str(path)) for path in arrow_files]
        return datasets.concatenate_datasets(parts)
    return datasets.load_dataset(
        "parquet",
        data_files=[str(path) for path in parquet_files],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )


# Name → what is done to a data set, and the numbers of the patches it has then.
CHANGES: dict[str, tuple[Callable[[Any], Any], list[int]]] = {
    "none": (lambda d: d, list(range(25))),
    "select any": (lambda d: d.select([7, 3, 3, 24]), [7, 3, 3, 24]),
    "select a range": (lambda d: d.select(range(3, 15)), list(range(3, 15))),
    "select twice": (
        lambda d: d.select(range(5, 25)).select([0, 19, 4]),
        [5, 24, 9],
    ),
    "skip and take": (lambda d: d.skip(2).take(5), [2, 3, 4, 5, 6]),
    "shard": (lambda d: d.shard(4, 1, contiguous=False), [1, 5, 9, 13, 17, 21]),
    "format": (lambda d: d.with_format("numpy"), list(range(25))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_data_set_is_read_as_it_was_selected(
    change: str, dataset: Any, expected: Arrays
) -> None:
    """Patches come in the data set's order, with the stored types, all columns."""
    apply, rows = CHANGES[change]
    reader = ArrowReader.from_dataset(apply(dataset))
    batches = list(reader.batches(4))

    assert len(rows) == len(reader)
    assert set(expected) == set(reader.features)
    for name, values in expected.items():
        found = np.concatenate([batch[name] for batch in batches])
        assert values.dtype == found.dtype
        if name in ("labels", "labels_19"):
            assert [values[row].tolist() for row in rows] == [v.tolist() for v in found]
        else:
            np.testing.assert_array_equal(values[rows], found, err_msg=name)


def test_a_shuffled_data_set_keeps_its_order(dataset: Any) -> None:
    """The order of `shuffle` is that of the batches."""
    shuffled = dataset.shuffle(seed=3)
    reader = ArrowReader.from_dataset(shuffled)
    found = [name for batch in reader.batches(6) for name in batch["patch_id"]]

    assert list(shuffled["patch_id"]) == found
    assert sorted(found) != found


def test_patches_of_a_selection_are_found_by_id(dataset: Any) -> None:
    """`find` gives the index within the selection, and none of other patches."""
    reader = ArrowReader.from_dataset(dataset.select([9, 2, 17]))

    assert [0, 1, 2] == [reader.find(f"patch-{n}") for n in ("09", "02", "17")]
    assert 6_000_017 == reader.patch("patch-17")["coordinates/uly"]
    with pytest.raises(OptionError, match="no patch 'patch-03' among these 3"):
        reader.find("patch-03")


def test_a_data_set_with_fewer_columns_is_read(dataset: Any, expected: Arrays) -> None:
    """Columns that were removed are not offered; others' columns are left out."""
    changed = dataset.select_columns(["bands_60m", "patch_id"])
    changed = changed.add_column("mine", list(range(25)))
    reader = ArrowReader.from_dataset(changed)

    assert {"patch_id", "bands_60m"} == set(reader.features)
    found = reader.gather([11])["bands_60m"]
    np.testing.assert_array_equal(expected["bands_60m"][[11]], found)


@pytest.mark.parametrize("how", ["select", "filter"])
def test_an_empty_data_set_has_no_batches(how: str, dataset: Any) -> None:
    """A selection of no patches has length 0."""
    empty = (
        dataset.select([])
        if how == "select"
        else dataset.filter(lambda name: False, input_columns=["patch_id"])
    )
    reader = ArrowReader.from_dataset(empty)

    assert 0 == len(reader)
    assert [] == list(reader.batches(4))


def test_the_reader_of_a_data_set_stays_in_its_process(dataset: Any) -> None:
    """It cannot be pickled, and says what can."""
    with pytest.raises(TypeError, match=r"ArrowReader\.open"):
        pickle.dumps(ArrowReader.from_dataset(dataset))


def test_the_store_is_read_from_disk(all_stores: Path) -> None:
    """What `load_from_disk` returns for a split is what `open` maps."""
    import datasets

    stored = datasets.load_from_disk(str(all_stores / "arrow"))["train"]
    expected = ArrowReader.open("train", all_stores).gather(range(4))
    found = ArrowReader.from_dataset(stored).gather(range(4))

    assert list(expected) == list(found)
    for name in ("bands_10m", "bands_20m", "bands_60m", "patch_id", "preview"):
        np.testing.assert_array_equal(expected[name], found[name])

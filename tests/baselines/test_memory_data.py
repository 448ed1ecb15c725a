from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from baselines.input_pipeline import Order, hash_ids
from baselines.memory_data import MemoryData
from bigearthnet.errors import OptionError

IDS = [f"patch{number}" for number in range(7)]


def make_data(dtype: str = "float32") -> MemoryData:
    """Seven patches; every value tells its patch and its place."""
    features = 10 * np.arange(7)[:, None] + np.arange(3)
    labels = np.arange(7)[:, None] == np.arange(5)
    return MemoryData(features.astype(dtype), labels.astype(np.uint8), IDS)


def read(dataset: Any) -> list[list[npt.NDArray[Any]]]:
    """Batches as arrays."""
    return [[tensor.numpy() for tensor in batch] for batch in dataset]


def numbers(dataset: Any) -> list[list[int]]:
    """The numbers of the patches in each batch; checks all values of each."""
    found = []
    for features, labels, *_ in read(dataset):
        rows = features[:, 0] / 10
        np.testing.assert_array_equal(10 * rows[:, None] + np.arange(3), features)
        np.testing.assert_array_equal(rows[:, None] == np.arange(5), labels)
        found.append(rows.astype(int).tolist())
    return found


def test_batches_are_in_stored_order() -> None:
    """Without a seed each patch comes once, in order; the last batch is short."""
    assert [[0, 1, 2], [3, 4, 5], [6]] == numbers(make_data().batches(Order(3)))


def test_an_order_follows_from_seed_and_epoch() -> None:
    """The order is the permutation that NumPy draws from (seed, epoch)."""
    data = make_data()

    found = [
        numbers(data.batches(Order(7, seed=5, epoch=epoch)))[0] for epoch in range(2)
    ]

    orders = [np.random.default_rng([5, epoch]).permutation(7) for epoch in range(2)]
    assert [order.tolist() for order in orders] == found
    assert found[0] != found[1]


def test_batches_can_be_skipped() -> None:
    """Beginning at a batch gives what is left of the same order."""
    data = make_data()

    whole = numbers(data.batches(Order(2, seed=1, epoch=3)))

    assert [2, 2, 2, 1] == [len(batch) for batch in whole]
    for start in range(5):
        rest = data.batches(Order(2, seed=1, epoch=3, start_batch=start))
        assert whole[start:] == numbers(rest)


def test_patches_have_their_ids() -> None:
    """The ids are those of the patches, in stored order, with their hash."""
    data = make_data()

    assert (IDS, 7, hash_ids(IDS)) == (
        data.patch_ids,
        data.num_patches,
        data.ids_sha256,
    )


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_shapes_and_types_are_said(dtype: str) -> None:
    """Inputs are float32 however they are kept; shapes are known without a batch."""
    inputs, labels = make_data(dtype).batches(Order(3, seed=0)).element_spec

    assert ((None, 3), "float32") == (tuple(inputs.shape), inputs.dtype.name)
    assert ((None, 5), "uint8") == (tuple(labels.shape), labels.dtype.name)
    features, labels = read(make_data(dtype).batches(Order(3)))[0]
    assert (np.float32, np.uint8) == (features.dtype, labels.dtype)


def test_a_batch_without_patches_is_refused() -> None:
    """A batch size below 1 is an error of ours."""
    with pytest.raises(OptionError, match="batch_size"):
        make_data().batches(Order(0))

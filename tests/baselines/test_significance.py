from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from baselines.errors import ResultError
from baselines.significance import (
    MIN_PRODUCTS,
    Difference,
    bootstrap_interval,
    compare_scores,
    correct,
    find_products,
    holm,
    sign_flip_test,
    t_test,
)


def test_a_product_is_the_id_up_to_column_and_row() -> None:
    """Patches of one acquisition share a number, whatever their place and time text."""
    ids = (
        "S2B_MSIL2A_20180204T94161_10_10",
        "S2A_MSIL2A_20170613T101031_0_45",
        "S2B_MSIL2A_20180204T94161_9_110",
    )

    assert [1, 0, 1] == find_products(ids).tolist()


@pytest.mark.parametrize(("size", "noise"), [(3, 0), (8, 0), (16, 0), (18, 0.006)])
def test_the_sign_flip_test_agrees_with_all_flips(size: int, noise: float) -> None:
    """All 2^n flips are tried, or their share is estimated by 100,000 of them."""
    sums = np.random.default_rng(size).normal(0.5, 1, size)
    flips = np.array(list(itertools.product((-1, 1), repeat=size)), np.int8)
    expected = (np.abs(flips @ sums) >= abs(sums.sum()) - 1e-12).mean()

    assert sign_flip_test(sums) == pytest.approx(expected, rel=1e-12, abs=noise)


def test_the_sign_flip_test_has_a_floor() -> None:
    """Many products that all agree give the smallest p-value there is."""
    assert sign_flip_test(np.ones(40)) == 1 / 100_001


def test_no_difference_has_p_value_one() -> None:
    """Equal scores are as far from 0 as all their flips."""
    assert 1.0 == sign_flip_test(np.zeros(20))


def test_rounding_does_not_change_the_test() -> None:
    """Flips that give the same sum in exact arithmetic count, however it is rounded."""
    assert 0.25 == sign_flip_test(np.array([0.1, 0.2, 0.3]))


def test_the_interval_of_equal_products_is_that_of_their_means() -> None:
    """Products of one patch each: the usual interval of a mean, by the normal law."""
    values = np.random.default_rng(0).normal(0.2, 1, 400)
    low, high = bootstrap_interval(values, np.ones(400, np.int64))

    assert low is not None
    assert high is not None
    error = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - error, abs=0.01)
    assert high == pytest.approx(values.mean() + error, abs=0.01)


def test_patches_weigh_the_same_in_large_and_small_products() -> None:
    """A resampled mean is over the patches drawn, however many a product has."""
    counts = np.array([90, 10, 1, 400])

    assert (0.25, 0.25) == bootstrap_interval(0.25 * counts, counts)
    assert (0.0, 1.0) == bootstrap_interval(np.array([90.0, 0.0]), np.array([90, 10]))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Correlated patches: products as units cover; patches as units would not."""
    random = np.random.default_rng(1)
    by_product = by_patch = 0
    for trial in range(200):
        effects = np.repeat(random.normal(0.1, 1, 40), 25)
        values = effects + random.normal(0, 0.5, 1_000)
        sums = values.reshape(40, 25).sum(axis=1)
        low, high = bootstrap_interval(sums, np.full(40, 25), seed=trial, num_draws=500)
        assert low is not None
        assert high is not None
        by_product += low <= 0.1 <= high
        error = 1.96 * values.std() / np.sqrt(1_000)
        by_patch += abs(values.mean() - 0.1) <= error

    assert 176 <= by_product <= 198
    assert by_patch < 120


def test_equal_models_are_rarely_called_different() -> None:
    """Under the null hypothesis about one p-value in twenty is below 0.05."""
    random = np.random.default_rng(2)
    p_values = [
        sign_flip_test(random.normal(0, 1, 20), seed=trial, num_flips=500)
        for trial in range(300)
    ]

    assert 5 <= sum(p < 0.05 for p in p_values) <= 27


def test_holm_agrees_with_values_worked_out_by_hand() -> None:
    """The smallest is multiplied by 4, the next by 3; none falls below one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert [] == holm([])


def test_the_t_test_is_that_of_scipy() -> None:
    """The patch-level test is the paired t-test of the two scores."""
    random = np.random.default_rng(3)
    one, other = random.random(50), random.random(50)

    assert t_test(one - other) == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert t_test(np.zeros(5)) is None
    assert t_test(np.ones(1)) is None


def make_scores(num_products: int, gain: float) -> tuple[np.ndarray, ...]:
    """Two models' scores of 10 patches in each product, and the products."""
    random = np.random.default_rng(4)
    products = np.repeat(np.arange(num_products), 10)
    other = random.random(len(products))
    return other + gain + random.normal(0, 0.05, len(products)), other, products


def test_two_models_are_compared_by_product() -> None:
    """A gain in every product is found, with its interval and both p-values."""
    found = compare_scores(*make_scores(30, 0.1))

    assert found.mean == pytest.approx(0.1, abs=0.01)
    assert found.low is not None
    assert found.high is not None
    assert 0.08 < found.low < found.mean < found.high < 0.12
    assert (300, 30) == (found.patches, found.products)
    assert found.p_value == 1 / 100_001
    assert found.p_t_test is not None
    assert found.p_t_test < 1e-50
    assert found == compare_scores(*make_scores(30, 0.1))


def test_the_comparison_turns_with_its_models() -> None:
    """Exchanging the models turns the difference over and keeps the p-value."""
    one, other, products = make_scores(20, 0.002)
    found, turned = (
        compare_scores(one, other, products),
        compare_scores(other, one, products),
    )

    assert found.mean == -turned.mean
    assert found.p_value == turned.p_value


def test_few_products_have_no_p_value() -> None:
    """Below 15 products the test is not made; with one there is no interval either."""
    few = compare_scores(*make_scores(MIN_PRODUCTS - 1, 0.1))
    one = compare_scores(*make_scores(1, 0.1))

    assert few.p_value is None
    assert few.low is not None
    assert (None, None, None) == (one.low, one.high, one.p_value)
    assert compare_scores(*make_scores(MIN_PRODUCTS, 0.1)).p_value is not None


def test_a_family_is_corrected_as_one() -> None:
    """Holm's correction counts the tests that were made, and no others."""
    made = Difference(0.1, 0.0, 0.2, 300, 30, 0.02, None, 0.001)
    not_made = Difference(0.1, 0.0, 0.2, 30, 3, None, None, 0.001)

    assert [0.04, None, 0.04] == [d.p_holm for d in correct([made, not_made, made])]


def test_scores_of_other_patches_are_refused() -> None:
    """Two models must have a score for each patch."""
    with pytest.raises(ResultError, match="scores of the same patches"):
        compare_scores(np.zeros(3), np.zeros(2), np.zeros(3, np.int64))

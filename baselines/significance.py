"""Tests whether one model is better than another, or only had luckier patches.

Patches of one product (an acquisition of a tile) resemble each other, so that products,
not patches, are the independent units: the bootstrap draws products, and the
permutation test flips the signs of products. The common paired t-test over patches is
added for comparison, labelled as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from baselines.errors import ResultError

Floats = npt.NDArray[np.float64]

# Resamples of the bootstrap, and most sign flips of the test.
NUM_DRAWS = 10_000
NUM_FLIPS = 100_000
# Below as many products no p-value is given: 2^14 flips or fewer are all there are, and
# with so few units the test says more of its assumptions than of the models.
MIN_PRODUCTS = 15
# Share of resampled means in the interval.
CONFIDENCE = 0.95

T_TEST_LABEL = "treats patches as independent"

# Resamples that SciPy holds in memory at once.
_BATCH = 1_000


@dataclass(frozen=True)
class Difference:
    """How much better one model's scores are than another's on the same patches.

    Attributes:
        mean: Mean over patches of the difference, one − other.
        low: Lower end of the 95 % interval; None with a single product.
        high: Upper end; likewise.
        patches: Patches compared.
        products: Products that they come from.
        p_value: Two-sided, of the sign-flip test; None below MIN_PRODUCTS products.
        p_holm: The same, corrected for the family of tests it belongs to.
        p_t_test: Two-sided, of the paired t-test over patches, which treats them as
            independent; None where the differences do not vary.
    """

    mean: float
    low: float | None
    high: float | None
    patches: int
    products: int
    p_value: float | None
    p_holm: float | None
    p_t_test: float | None


def compare_scores(
    one: Floats,
    other: Floats,
    products: npt.NDArray[np.int64],
    *,
    seed: int = 0,
) -> Difference:
    """Compares the scores of two models, patch by patch.

    Args:
        one: Score of each patch, shape (patch,).
        other: The other model's, in the same order.
        products: Number of each patch's product; see `find_products`.
        seed: Seed of the draws and flips.

    Returns:
        The difference, not yet corrected for other tests; see `correct`.

    Raises:
        ResultError: If the arrays are empty or of different lengths.
    """
    if not len(one) or one.shape != other.shape or one.shape != products.shape:
        raise ResultError(
            "expected the scores of the same patches, at least one, got shapes "
            f"{one.shape}, {other.shape} and {products.shape}."
        )
    differences = one - other
    counts = np.bincount(products)
    sums = np.bincount(products, weights=differences).astype(np.float64)
    enough = len(counts) >= MIN_PRODUCTS
    low, high = bootstrap_interval(sums, counts, seed=seed)
    return Difference(
        mean=float(differences.mean()),
        low=low,
        high=high,
        patches=len(differences),
        products=len(counts),
        p_value=sign_flip_test(sums, seed=seed) if enough else None,
        p_holm=None,
        p_t_test=t_test(differences),
    )


def find_products(patch_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Numbers the products of patches: what stands before column and row in their ids.

    Args:
        patch_ids: Patch ids, `<product>_<column>_<row>`.

    Returns:
        Shape (patch,), int64: numbers from 0 on, without gaps.
    """
    names = [patch_id.rsplit("_", 2)[0] for patch_id in patch_ids]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def bootstrap_interval(
    sums: Floats,
    counts: npt.NDArray[np.int64],
    *,
    seed: int = 0,
    num_draws: int = NUM_DRAWS,
) -> tuple[float | None, float | None]:
    """Finds the interval of the mean difference by drawing products with replacement.

    A resampled mean is the sum over the patches of the products drawn, by their number.

    Args:
        sums: Sum of the differences of each product's patches, shape (product,).
        counts: Patches of each product, shape (product,), at least 1.
        seed: Seed of the draws.
        num_draws: How many.

    Returns:
        The 2.5 % and 97.5 % quantiles of the resampled means; None with a single
        product, which gives the same mean again and again.

    Source: percentile interval of the bootstrap over clusters; Efron and Tibshirani,
    An Introduction to the Bootstrap, 1993, chapter 13.
    """
    from scipy import stats

    if len(sums) < 2:
        return None, None
    low, high = stats.bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
        n_resamples=num_draws,
        batch=_BATCH,
        paired=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(low), float(high)


def sign_flip_test(sums: Floats, *, seed: int = 0, num_flips: int = NUM_FLIPS) -> float:
    """Tests whether the mean difference is 0 by exchanging the models in products.

    If the models are equally good, either may have had either score in a product, so
    that the sign of each sum is as good as drawn.

    Args:
        sums: Sum of the differences of each product's patches, shape (product,).
        seed: Seed of the flips.
        num_flips: How many to draw at most.

    Returns:
        (k + 1) / (flips + 1), where k flips give a sum at least as far from 0; k /
        flips where there are no more flips than `num_flips`, and all are tried.

    Source: Phipson and Smyth, Permutation p-values should never be zero, 2010.
    """
    from scipy import stats

    return float(
        stats.permutation_test(
            (sums,),
            lambda sums, axis: np.abs(sums.sum(axis)),
            permutation_type="samples",
            n_resamples=num_flips,
            batch=_BATCH,
            alternative="greater",
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def t_test(differences: Floats) -> float | None:
    """Tests over patches, as if they were independent: a paired two-sided t-test.

    Args:
        differences: Difference of each patch, shape (patch,).

    Returns:
        The p-value; None for fewer than two patches or differences that do not vary.
    """
    from scipy import stats

    if len(differences) < 2 or np.ptp(differences) == 0:
        return None
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number, so that one wrong claim in all is unlikely.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(order), 0, -1) * np.asarray(p_values, float)[order]
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def correct(family: Sequence[Difference]) -> list[Difference]:
    """Returns the differences with Holm's correction over all that have a p-value."""
    known = [d.p_value for d in family if d.p_value is not None]
    corrected = iter(holm(known))
    return [
        d if d.p_value is None else replace(d, p_holm=next(corrected)) for d in family
    ]

"""Chooses the patches that are made up, and makes what they are drawn with."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release.patch_index import PatchIndex


def choose_rows(index: PatchIndex, num_patches: int, seed: int) -> npt.NDArray[np.intp]:
    """Chooses patches with a release's proportions of splits.

    Args:
        index: The patches of the release, in its official splits.
        num_patches: Number of patches to choose.
        seed: Any integer.

    Returns:
        `num_patches` rows of the release's table, none twice, shuffled.

    Raises:
        OptionError: If the release does not have so many patches, or none is asked for.
    """
    release, splits = index.release, index.splits
    if not 1 <= num_patches <= len(index):
        raise OptionError(
            f"num_patches: expected 1 to {len(index)}, the patch ids of "
            f"{release.name}, got {num_patches}."
        )
    rng = make_rng(seed, "order of patches")
    sizes = np.bincount(splits, minlength=len(release.splits))
    chosen = [
        rng.permutation(np.flatnonzero(splits == code))[:share]
        for code, share in enumerate(_apportion(num_patches, sizes))
    ]
    return rng.permutation(np.concatenate(chosen))


def _apportion(total: int, sizes: npt.NDArray[np.int_]) -> npt.NDArray[np.int_]:
    """Shares a total in proportion to sizes, by largest remainder."""
    shares, remainders = np.divmod(total * sizes, sizes.sum())
    missing = total - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return np.asarray(shares)


def make_rng(seed: int, purpose: str) -> np.random.Generator:
    """Makes a source of randomness that depends on seed and purpose alone."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "big")))

"""What all readers of tables share: batches of arrays, columns, and orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.features import S2_COLUMNS, Feature

# Column → array of shape (patch, …).
Batch: TypeAlias = "dict[str, npt.NDArray[Any]]"


class Reader(Protocol):
    """Reads the patches of one split, batch by batch.

    Attributes:
        features: Column → its feature.
    """

    features: dict[str, Feature]

    def __len__(self) -> int: ...

    def batches(
        self,
        batch_size: int,
        columns: Sequence[str] | None = None,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        epoch: int = 0,
    ) -> Iterator[Batch]:
        """Yields all patches once, the last short batch included."""


def find_features(names: Sequence[str]) -> dict[str, Feature]:
    """Returns the features of a table's columns, leaving out what is not ours.

    Args:
        names: Names of the columns.

    Raises:
        OptionError: If none of the columns is ours.
    """
    found = {
        feature.name: feature
        for feature in S2_COLUMNS
        if feature.name.partition("/")[0] in names
    }
    if not found:
        raise OptionError(f"no column of BigEarthNet: expected bands, got {names}.")
    return found


def choose_columns(
    features: Mapping[str, Feature], columns: Sequence[str] | None
) -> list[str]:
    """Returns the columns that are asked for, all if None.

    Raises:
        OptionError: If one of them is not there, or none is asked for.
    """
    names = list(features) if columns is None else list(columns)
    if not names:
        raise OptionError(f"no column: expected some of {', '.join(features)}.")
    for name in names:
        if name not in features:
            raise OptionError(
                f"no column {name!r}: expected some of {', '.join(features)}."
            )
    return names


def check_batch_size(batch_size: int) -> None:
    """Refuses a batch size that has no meaning.

    Raises:
        OptionError: If it is below 1.
    """
    if batch_size < 1:
        raise OptionError(f"batch_size: expected at least 1, got {batch_size}.")


def check_seed(seed: int | None) -> None:
    """Refuses a seed that has no meaning.

    Raises:
        OptionError: If it is negative.
    """
    if seed is not None and seed < 0:
        raise OptionError(f"seed: expected 0 or more, or None, got {seed}.")


def make_generator(seed: int | None, epoch: int) -> np.random.Generator:
    """Returns the random numbers of one epoch; without a seed, always others.

    Raises:
        OptionError: If the seed is negative.
    """
    check_seed(seed)
    return np.random.default_rng(None if seed is None else [seed, epoch])

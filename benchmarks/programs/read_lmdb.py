"""Peer: LMDB with one safetensors dict a patch, the format of rico-hdl.

A reader gets the value of a patch id, lets `safetensors` take it apart, and stacks the
bands of one resolution, as a `collate_fn` of PyTorch would.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from clock import BATCH_SIZE, Clock, parse_arguments, report
from safetensors.numpy import load

_PASSES = 2
_GROUPS = (
    ("B02", "B03", "B04", "B08"),
    ("B05", "B06", "B07", "B8A", "B11", "B12"),
    ("B01", "B09"),
    ("VV", "VH"),
)

Patch = dict[str, Any]


def open_database(folder: Path) -> Any:
    """Opens the database for reading, as one does when nobody writes to it."""
    return lmdb.open(str(folder), readonly=True, lock=False)


def list_keys(transaction: Any) -> list[bytes]:
    """Returns all patch ids, in the order of the database."""
    return list(transaction.cursor().iternext(values=False))


def read_sequentially(transaction: Any) -> Iterator[bytes]:
    """Yields all values, in the order of the database."""
    return transaction.cursor().iternext(keys=False)


def read_randomly(transaction: Any, keys: Sequence[bytes]) -> Iterator[bytes]:
    """Yields all values, in random order."""
    for key in random.sample(keys, len(keys)):
        yield transaction.get(key)


def stack_patches(patches: Sequence[Patch]) -> list[np.ndarray]:
    """Copies patches into one array (patch, band, y, x) a resolution and sensor."""
    return [
        np.concatenate([patch[band] for patch in patches for band in group]).reshape(
            len(patches), len(group), *patches[0][group[0]].shape
        )
        for group in _GROUPS
        if group[0] in patches[0]
    ]


def count_patches(decoded: Iterator[Patch]) -> int:
    """Makes batches of all patches, and counts them."""
    count, patches = 0, []
    for patch in decoded:
        patches.append(patch)
        if len(patches) == BATCH_SIZE:
            count += len(stack_patches(patches)[0])
            patches = []
    return count + (len(stack_patches(patches)[0]) if patches else 0)


def main() -> None:
    """Reads all patches; `--source` is the folder of the database."""
    arguments, clock = parse_arguments(order=str), Clock()
    random.seed(0)
    with open_database(arguments.source).begin() as transaction:
        keys = list_keys(transaction)

        def read_once() -> int:
            if arguments.order == "random":
                return count_patches(map(load, read_randomly(transaction, keys)))
            return count_patches(map(load, read_sequentially(transaction)))

        read_once()
        with clock.running():
            patches = sum(read_once() for _ in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

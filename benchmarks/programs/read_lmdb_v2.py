"""Peer: LMDB of BigEarthNet v2.0 in the format of rico-hdl.

As in `read_lmdb`; the table says which patches there are, and by which name the other
sensor has them, as in ConfigILM.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from clock import Clock, parse_arguments, report
from read_lmdb import Patch, count_patches, open_database
from safetensors.numpy import load

_PASSES = 2


def list_names(table: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns the names of the patches of the train split in each sensor."""
    rows = pq.read_table(table, filters=[("split", "==", "train")])
    return list(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def read_patches(
    transaction: Any, patches: Sequence[tuple[str, ...]]
) -> Iterator[Patch]:
    """Yields bands of all sensors by name, patch by patch."""
    for names in patches:
        patch: Patch = {}
        for name in names:
            patch |= load(transaction.get(name.encode()))
        yield patch


def main() -> None:
    """Reads the train split; `--source` holds the database and the table."""
    arguments, clock = parse_arguments(columns=str, order=str), Clock()
    table = arguments.source / "metadata.parquet"
    patches = list_names(table, arguments.columns.split(","))
    random.seed(0)
    with open_database(arguments.source / "ben.lmdb").begin() as transaction:

        def read_once() -> int:
            if arguments.order == "random":
                random.shuffle(patches)
            return count_patches(read_patches(transaction, patches))

        read_once()
        with clock.running():
            count = sum(read_once() for _ in range(_PASSES))
    report(count, clock.seconds)


if __name__ == "__main__":
    main()

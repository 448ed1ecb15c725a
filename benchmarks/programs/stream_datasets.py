"""Peers: `load_dataset(streaming=True)` of a hub, and torch's loader over it."""

from __future__ import annotations

import os
import sys

from clock import Clock, report

_BATCH_SIZE = 128
_COLUMNS = ("bands_10m", "bands_20m", "bands_60m")


def main(url: str, way: str, *bands: str) -> None:
    """Reads the train split once; `way` is datasets or torch.

    Single bands cannot be asked for: their group is read.
    """
    import datasets

    if way == "torch":
        from torch.utils.data import DataLoader
    columns = list(_COLUMNS[:1] if bands else _COLUMNS)
    clock = Clock()
    with clock.running():
        repo = url.removeprefix("hf://datasets/")
        rows = datasets.load_dataset(repo, "s2-43", split="train", streaming=True)
        rows = rows.select_columns(columns)
        if way == "torch":
            batches = DataLoader(rows.with_format("torch"), batch_size=_BATCH_SIZE)
        else:
            batches = rows.with_format("numpy").iter(_BATCH_SIZE)
        patches = sum(len(batch["bands_10m"]) for batch in batches)
    report(patches, clock.seconds)
    sys.stdout.flush()
    os._exit(0)  # pyarrow's threads may hang at the end of a streamed file


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Ours: `open_reader` and `load` of a published store, in order or shuffled."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from clock import Clock, report

_BATCH_SIZE = 128
_COLUMNS = ("bands_10m", "bands_20m", "bands_60m")


def read(url: str, bands: Sequence[str], *, shuffle: bool) -> Iterator[int]:
    """Yields the patches of each batch of numpy arrays."""
    import bigearthnet

    reader = bigearthnet.open_reader("train", url)
    columns = bands or _COLUMNS
    for batch in reader.batches(_BATCH_SIZE, columns, shuffle=shuffle, seed=0):
        yield len(batch[columns[0]])


def load(url: str, bands: Sequence[str]) -> Iterator[int]:
    """Yields the patches of each batch of tensors, at their stored sizes."""
    import bigearthnet

    chosen = bands or "all"
    options = {"bands": chosen, "image_size": None, "batch_size": _BATCH_SIZE}
    for _, labels in bigearthnet.load("train", url, **options):
        yield len(labels)


def main(url: str, way: str, *bands: str) -> None:
    """Reads the train split once; `way` is reader, shuffled or load."""
    import bigearthnet.reading.remote  # noqa: F401  not timed

    if way == "load":
        import tensorflow  # noqa: F401  not timed
    clock = Clock()
    with clock.running():
        found = (
            load(url, bands)
            if way == "load"
            else read(url, bands, shuffle=way == "shuffled")
        )
        patches = sum(found)
    report(patches, clock.seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])

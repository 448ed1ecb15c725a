"""Ours: `open_reader`: numpy batches, as for PyTorch and JAX."""

from __future__ import annotations

from clock import BATCH_SIZE, Clock, parse_arguments, report

from bigearthnet import open_reader
from bigearthnet.reading.reader import Reader

_PASSES = 2


def read(reader: Reader, order: str, epoch: int) -> int:
    """Reads all patches once, copying every pixel, and counts them.

    In order, a batch of 256 spans several record batches, and so is never a view.
    """
    columns = [name for name in reader.features if name.startswith("bands_")]
    batches = reader.batches(
        BATCH_SIZE,
        columns,
        shuffle=order == "random",
        seed=0,
        epoch=epoch,
    )
    return sum(len(batch[columns[0]]) for batch in batches)


def main() -> None:
    """Reads the train split; `--source` is the data directory."""
    arguments, clock = parse_arguments(config=str, store=str, order=str), Clock()
    reader = open_reader(
        "train", arguments.source, config=arguments.config, store=arguments.store
    )
    read(reader, arguments.order, 0)
    with clock.running():
        patches = sum(read(reader, arguments.order, n) for n in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

"""Ours: `ArrowReader`, `TFRecordReader`: numpy batches, as for PyTorch and JAX."""

from __future__ import annotations

from clock import BATCH_SIZE, Clock, parse_arguments, report

from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.reader import Reader
from bigearthnet.reading.tfrecord import TFRecordReader

_PASSES = 2
_READERS = {"arrow": ArrowReader, "tfrecord": TFRecordReader}
_COLUMNS = ("bands_10m", "bands_20m", "bands_60m")


def read(reader: Reader, order: str, epoch: int) -> int:
    """Reads all patches once, copying every pixel, and counts them.

    In order, a batch of 256 spans several record batches, and so is never a view.
    """
    batches = reader.batches(
        BATCH_SIZE,
        _COLUMNS,
        shuffle=order == "random",
        seed=0,
        epoch=epoch,
    )
    return sum(len(batch["bands_10m"]) for batch in batches)


def main() -> None:
    """Reads the train split; `--source` is the data directory."""
    arguments, clock = parse_arguments(store=str, order=str), Clock()
    reader = _READERS[arguments.store].open("train", arguments.source)
    read(reader, arguments.order, 0)
    with clock.running():
        patches = sum(read(reader, arguments.order, n) for n in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

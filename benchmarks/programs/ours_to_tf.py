"""Ours: `huggingface.to_tf` over the Arrow store, batches of tensors."""

from __future__ import annotations

from typing import Any

from clock import BATCH_SIZE, Clock, parse_arguments, report

from bigearthnet import ArrowReader, to_tf

_PASSES = 2
_COLUMNS = ("bands_10m", "bands_20m", "bands_60m", "multi_hot_43")


def count_patches(dataset: Any) -> int:
    """Reads a data set once, and counts the patches."""
    return sum(int(batch["multi_hot_43"].shape[0]) for batch in dataset)


def main() -> None:
    """Reads the train split; `--source` is the data directory."""
    arguments, clock = parse_arguments(), Clock()
    dataset = to_tf(ArrowReader.open("train", arguments.source), BATCH_SIZE, _COLUMNS)
    dataset = dataset.prefetch(2)
    count_patches(dataset)
    with clock.running():
        patches = sum(count_patches(dataset) for _ in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

"""Ours: `bigearthnet.load`, batches of images and labels as tensors."""

from __future__ import annotations

from typing import Any

from clock import BATCH_SIZE, Clock, parse_arguments, report

import bigearthnet

_PASSES = 2


def count_patches(dataset: Any) -> int:
    """Reads a data set once, and counts the patches."""
    return sum(int(labels.shape[0]) for _, labels in dataset)


def main() -> None:
    """Reads the train split; `--size` 0 means native size."""
    arguments = parse_arguments(
        config=str, bands=str, target=str, size=int, store=str, shuffle=int
    )
    clock = Clock()
    dataset = bigearthnet.load(
        "train",
        arguments.source,
        config=arguments.config,
        bands=arguments.bands,
        target=arguments.target,
        image_size=arguments.size or None,
        batch_size=BATCH_SIZE,
        store=arguments.store,
        shuffle=bool(arguments.shuffle),
        seed=0,
    )
    count_patches(dataset)
    with clock.running():
        patches = sum(count_patches(dataset) for _ in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()

"""Peer: torchgeo's `BigEarthNet` on the extracted folder, through a `DataLoader`.

The class takes the release's folder and lists of patches beside it. It resamples all
bands to 120 × 120 pixels while GDAL reads them, and gives float32; neither is optional.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from clock import BATCH_SIZE, Clock, parse_arguments, report

_PASSES = 2
_RELEASE = "BigEarthNet-v1.0"
_LIST = "bigearthnet-{}.csv"


def declare_operators() -> None:
    """Lets torchvision be imported where its compiled part does not load.

    A torchvision built for CUDA does not load its operators beside PyTorch for CPUs,
    and then fails on the two that it describes further. BigEarthNet uses none.
    """
    arguments = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("torchvision::nms", "torchvision::qnms"):
        torch.library.define(name, arguments)


def load_class(name: str) -> Any:
    """Returns a data set of torchgeo by name."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        declare_operators()
    import torchgeo.datasets

    return getattr(torchgeo.datasets, name)


def make_root(source: Path, work: Path, patches: int) -> Path:
    """Makes the folder that the class wants, with the first patches in the train split.

    Args:
        source: Folder that holds the release's.
        work: Where to make it; the patches are linked.
        patches: How many patches to list.

    Returns:
        The folder for `root`.
    """
    release = (source / _RELEASE).resolve()
    (work / _RELEASE).symlink_to(release)
    names = sorted(path.name for path in release.iterdir())[:patches]
    # A line has the names of the Sentinel-2 and of the Sentinel-1 patch.
    (work / _LIST.format("train")).write_text("".join(f"{n},\n" for n in names))
    for split in ("val", "test"):
        (work / _LIST.format(split)).touch()
    return work


def count_patches(loader: Any) -> int:
    """Reads all batches once, and counts the patches."""
    return sum(len(batch["label"]) for batch in loader)


def time_reading(dataset: Any, workers: int) -> tuple[int, float]:
    """Returns the patches of all passes over a data set, and the seconds they took."""
    clock = Clock()
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=BATCH_SIZE, num_workers=workers
    )
    next(iter(loader))
    with clock.running():
        patches = sum(count_patches(loader) for _ in range(_PASSES))
    return patches, clock.seconds


def main() -> None:
    """Reads the first `--patches` patches; `--source` holds the release's folder."""
    arguments = parse_arguments(workers=int)
    dataset = load_class("BigEarthNet")(
        root=make_root(arguments.source, arguments.work, arguments.patches),
        split="train",
        bands="s2",
        num_classes=43,
    )
    report(*time_reading(dataset, arguments.workers))


if __name__ == "__main__":
    main()

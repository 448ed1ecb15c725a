"""Peer: torchgeo's `BigEarthNetV2` on the extracted folders, through a `DataLoader`.

The class takes the folders of all archives and the table beside them. As in
`read_torchgeo` it resamples all bands, and reads them as int32, decibels of Sentinel-1,
too; it always reads the map.
"""

from __future__ import annotations

from clock import parse_arguments, report
from read_torchgeo import load_class, time_reading


def main() -> None:
    """Reads the train split of the sensors of `--bands`, as torchgeo names them."""
    arguments = parse_arguments(bands=str, workers=int)
    dataset = load_class("BigEarthNetV2")(
        root=arguments.source, split="train", bands=arguments.bands
    )
    report(*time_reading(dataset, arguments.workers))


if __name__ == "__main__":
    main()

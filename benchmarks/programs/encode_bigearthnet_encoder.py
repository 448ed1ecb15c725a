"""Peer: bigearthnet-encoder, which pickles each patch into an LMDB.

Measured is the function behind the command, with its defaults (it is called here so
that imports do not count):

    ben_encoder write-s2-lmdb-with-lbls BigEarthNet-v1.0 --lmdb-path OUT

It reads an extracted folder, TIFF by TIFF with rasterio, in one process.
"""

from __future__ import annotations

import lmdb
from bigearthnet_encoder.encoder import write_S2_lmdb_with_lbls
from clock import Clock, count_bytes, parse_arguments, report
from patches import find_top_folder


def main() -> None:
    """Writes the LMDB, with labels."""
    arguments, clock = parse_arguments(), Clock()
    folder, target = find_top_folder(arguments.source), arguments.work / "s2.lmdb"
    with clock.running():
        write_S2_lmdb_with_lbls(folder, lmdb_path=target)
    with lmdb.open(str(target), readonly=True, lock=False) as environment:
        stored = environment.stat()["entries"]
    report(stored, clock.seconds, count_bytes(target))


if __name__ == "__main__":
    main()

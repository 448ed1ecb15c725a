"""Peer: rasterio → safetensors → LMDB, the format of rico-hdl, of BigEarthNet v2.0.

As in `encode_lmdb`, of both sensors and the maps: a patch has an entry for each
archive, under its name there, the map under that of its Sentinel-2 patch with an
end of its own. All entries are in one database; the table stays as it is, beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from clock import Clock, count_bytes, parse_arguments, report
from encode_lmdb import count_entries, encode_files, write_lmdb
from patches import BAND_SIZES


class Archive(NamedTuple):
    """How an archive is laid out, and stored.

    Attributes:
        folder: Folder at its top.
        tensors: Name of each tensor → end of the name of its file.
        end: End of the keys.
    """

    folder: str
    tensors: dict[str, str]
    end: str = ""


ARCHIVES = {
    "s2": Archive("BigEarthNet-S2", {band: band for band in BAND_SIZES}),
    "s1": Archive("BigEarthNet-S1", {"VV": "VV", "VH": "VH"}),
    "maps": Archive("Reference_Maps", {"Data": "reference_map"}, "_reference_map"),
}
_BY_FOLDER = {archive.folder: archive for archive in ARCHIVES.values()}


def encode_patch(folder: Path) -> tuple[str, bytes]:
    """Returns key and value of what one archive has of a patch."""
    archive = _BY_FOLDER[folder.parts[-3]]
    files = {
        name: folder / f"{folder.name}_{end}.tif"
        for name, end in archive.tensors.items()
    }
    return folder.name + archive.end, encode_files(files)


def find_folders(source: Path, names: Sequence[str]) -> list[Path]:
    """Returns the folder of each patch of some archives, sorted in each."""
    return [
        path
        for name in names
        for path in sorted((source / ARCHIVES[name].folder).glob("*/*"))
    ]


def main() -> None:
    """Writes the archives of `--archives`, of which each has all patches."""
    arguments, clock = parse_arguments(archives=str), Clock()
    names, target = arguments.archives.split(","), arguments.work / "ben.lmdb"
    with clock.running():
        write_lmdb(find_folders(arguments.source, names), encode_patch, target)
    entries = count_entries(target)
    report(entries // len(names), clock.seconds, count_bytes(target))


if __name__ == "__main__":
    main()

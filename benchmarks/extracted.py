"""Archives of v2.0 → the folders and the table that the peers read."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

try:
    from compression import zstd  # of Python 3.14
except ImportError:
    from backports import zstd

from bigearthnet.release import V2
from bigearthnet.release.nomenclature import BEN19, decode_mask
from bigearthnet.release.splits import load_table, read_table


def extract(archives: Path, folder: Path) -> None:
    """Extracts all `.tar.zst` of a folder into another one.

    Args:
        archives: Where they lie.
        folder: Where the folders of the archives are made.
    """
    for path in sorted(archives.glob("*.tar.zst")):
        with (
            zstd.open(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r|") as tar,
        ):
            tar.extractall(folder, filter="data")


def make_metadata(folder: Path) -> pa.Table:
    """Returns the rows of the official `metadata.parquet` for the patches of a folder.

    As there, patches with snow, cloud or shadow are left out.

    Args:
        folder: What the archives were extracted to.

    Returns:
        Table of columns `patch_id`, `labels` (list), `split` and `s1_name`, text.
    """
    pattern = f"{V2.archive('s2').folder}/*/*"
    found = pa.array([path.name for path in folder.glob(pattern)])
    masks = read_table(V2)[V2.label_column]
    table = load_table(V2, "official").append_column("masks", masks)
    table = table.filter(pc.is_in(table["patch_id"], found))
    excluded = pc.starts_with(table["split"].cast(pa.string()), "excluded")
    table = table.filter(pc.invert(excluded))
    labels = [
        [BEN19.labels[index] for index in decode_mask(mask)]
        for mask in table["masks"].to_pylist()
    ]
    columns = {
        name: table[name].cast(pa.string()) for name in ("patch_id", "split", "s1_name")
    }
    return pa.table({**columns, "labels": labels})

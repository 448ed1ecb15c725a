"""When and where patches were taken, as a store's table of patches says it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.errors import StoreError
from bigearthnet.release import Release

# Days since 1970-01-01; EPSG code, 0 where nobody knows; west and north edge in metres.
SCENE_DTYPE = np.dtype(
    [("date", "<i4"), ("epsg", "<i4"), ("ulx", "<i8"), ("uly", "<i8")]
)

# Column of the table → its type, and the field of a release that it is made of.
_COLUMNS = {
    "date": (pa.date32(), "acquisition_date"),
    "epsg": (pa.int32(), "epsg"),
    "ulx": (pa.int64(), "coordinates"),
    "uly": (pa.int64(), "coordinates"),
}

_EPOCH = datetime.date(1970, 1, 1).toordinal()


def encode_scene(fields: Mapping[str, str | int]) -> tuple[int, int, int, int]:
    """Returns a value of SCENE_DTYPE.

    Args:
        fields: What the archive says of a patch, see `source.metadata`; may be empty.
    """
    if not fields:
        return 0, 0, 0, 0
    date = datetime.date.fromisoformat(str(fields["acquisition_date"])[:10])
    ulx, uly = fields["coordinates/ulx"], fields["coordinates/uly"]
    return date.toordinal() - _EPOCH, int(fields["epsg"]), int(ulx), int(uly)


def make_scene_columns(
    scenes: npt.NDArray[np.void], release: Release
) -> dict[str, pa.Array]:
    """Returns the columns of a table of patches; null where nobody knows.

    Args:
        scenes: Shape (patch,), SCENE_DTYPE.
        release: The release; it has a column only for what it has a field for.
    """
    unknown = scenes["epsg"] == 0
    return {
        name: pa.array(np.ascontiguousarray(scenes[name]), mask=unknown).cast(kind)
        for name, (kind, field) in _COLUMNS.items()
        if field in release.fields
    }


def read_scenes(table: pa.Table, release: Release) -> npt.NDArray[np.void]:
    """Returns the inverse of `make_scene_columns`.

    Args:
        table: Table of patches.
        release: Its release.

    Raises:
        StoreError: If an older version of the package wrote the table.
    """
    known = [name for name, (_, field) in _COLUMNS.items() if field in release.fields]
    if missing := sorted(set(known) - set(table.column_names)):
        raise StoreError(
            f"the table of patches has no {', '.join(missing)}: an older version wrote "
            "it. Build the store again."
        )
    scenes = np.zeros(table.num_rows, SCENE_DTYPE)
    for name in known:
        numbers = table[name].cast(pa.int32() if name == "date" else table[name].type)
        scenes[name] = numbers.fill_null(0).to_numpy()
    return scenes

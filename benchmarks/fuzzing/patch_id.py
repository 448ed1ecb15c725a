"""Target `patch_id`: the parser of patch ids and the table's look-up, against a split.

The oracle takes a name apart with `str.split` and `datetime`, and puts a row of the
table together again.
"""

from __future__ import annotations

import datetime
import functools

from benchmarks.fuzzing import Finding, expect_equal
from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.patch_index import load_index

TOKENS = [b"S2A_MSIL2A_", b"S2B_MSIL2A_", b"T94160", b"T101031", b"_0_", b"_127_128"]


def check(data: bytes) -> bool:
    """Parses a text; returns whether it was accepted as a patch id.

    Raises:
        Finding: If the oracle disagrees.
    """
    text = data.decode("utf-8", "surrogateescape")
    index = load_index(V1, "official")
    row = index.find(text)
    if row is not None:
        expect_equal(text, index.patch_id(row), "patch id of the row")
    try:
        found = PatchId.parse(text)
    except PatchError:
        if row is not None:
            raise Finding(f"{text!r} is a patch of the release") from None
        return False
    parts = text.split("_")
    satellite, level, sensing, column, number = parts
    day, time = sensing.split("T")
    date = datetime.date(int(day[:4]), int(day[4:6]), int(day[6:]))
    expect_equal("MSIL2A", level, "level")
    expect_equal((satellite, date, time), (found.satellite, found.date, found.time), "")
    expect_equal((int(column), int(number)), (found.column, found.row), "place")
    return True


@functools.cache
def make_seeds() -> tuple[bytes, ...]:
    """Returns real patch ids, ones with an impossible time among them."""
    index = load_index(V1, "official")
    rows = range(0, len(index), len(index) // 50)
    odd = "S2B_MSIL2A_20180204T94161_10_10", "S2B_MSIL2A_20170924T93020_70_30"
    return tuple(text.encode() for text in (*odd, *map(index.patch_id, rows)))

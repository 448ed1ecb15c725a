from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.huggingface import ArrowReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2_COLUMNS = get_config("s2", RELEASES).columns


@pytest.fixture(scope="module")
def reader(arrow_files: list[Path]) -> ArrowReader:
    """25 rows in three files of several record batches."""
    return ArrowReader.map_files(arrow_files, S2_COLUMNS)


def test_new_arrays_can_be_taken_over_by_tensorflow(reader: ArrowReader) -> None:
    """The address of what is copied is a multiple of 64, so nobody copies again."""
    batches = [
        reader.gather([1, 2, 3], ["bands_10m"]),
        *reader.batches(7, ["bands_10m"]),
    ]

    assert {0} == {batch["bands_10m"].ctypes.data % 64 for batch in batches}

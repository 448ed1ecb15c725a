from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import SpooledSource, load_spooled, save_spooled
from bigearthnet.engine.workspace import Workspace, open_workspace
from bigearthnet.source.patch import PlaceCounts
from bigearthnet.store.quarantine import BadPatch

NUM_PATCHES = 6
# Row → key, bucket, offset and bytes of its record, all different.
RECORDS = {
    0: (b"\xff" * 16, 63, 0, 7),
    1: (bytes(range(16)), 0, 0, 5),
    3: (b"k" * 16, 2, 0, 300),
    5: (b"\0" * 16, 63, 7, 11),
}
LITTER = {"._*": 84, ".DS_Store": 1}
PLACES = PlaceCounts(shifted=3, max_shift_m=4.5, unplaced=2)
BAD = (
    BadPatch("S2A_x", "S2A_x_B01.tif", "not a readable TIFF", 2**40),
    BadPatch("S2B_y", None, "comes twice", None),
)


def fill() -> SpoolIndex:
    """An index with something of every kind."""
    index = SpoolIndex(NUM_PATCHES)
    for row in range(NUM_PATCHES):
        index.add_read(row, (row, 42 - row), row in (1, 2, 4), (row, 1, -row, 2**40))
        if row in RECORDS:
            index.add_record(row, *RECORDS[row])
    index.add_bad(4)
    return index


def describe(index: SpoolIndex) -> dict[str, Any]:
    """All that an index says of the patches that were read."""
    return {
        "read": index.read.tolist(),
        "stored": index.stored.tolist(),
        "labels": index.labels[index.read].tolist(),
        "scenes": index.scenes[index.read].tolist(),
        "synthetic": np.flatnonzero(index.synthetic).tolist(),
        "places": index.locate(np.flatnonzero(index.stored)).tolist(),
        "sorted": index.sort(np.flatnonzero(index.stored)).tolist(),
    }


FILLED = {
    "read": [True, True, True, True, False, True],
    "stored": [True, True, False, True, False, True],
    "labels": [sum(1 << bit for bit in {row, 42 - row}) for row in (0, 1, 2, 3, 5)],
    "scenes": [(row, 1, -row, 2**40) for row in (0, 1, 2, 3, 5)],
    "synthetic": [1, 2],
    "places": [(63, 7, 0), (0, 5, 0), (2, 300, 0), (63, 11, 7)],
    "sorted": [5, 1, 3, 0],
}


def save(work: Workspace, lane: str, index: SpoolIndex) -> SpooledSource:
    """Saves what is known of a source."""
    work.begin_spool(lane)
    source: Any = SimpleNamespace(
        archive=SimpleNamespace(name=lane),
        members=SimpleNamespace(
            nbytes=2**40, digests={}, litter=SimpleNamespace(counts=LITTER)
        ),
    )
    return save_spooled(work, index, source, BAD, PLACES)


def test_a_source_comes_back_from_json() -> None:
    """Sizes, checksums and bad patches survive the journal, each as it was."""
    for spooled in (
        SpooledSource("s2", 2**40, "a" * 64, BAD, "b" * 64, LITTER, PLACES),
        SpooledSource("s1", None, None, (), "c" * 64, {}, PlaceCounts()),
    ):
        entry = json.loads(json.dumps(spooled.encode()))

        assert "spooled" == entry["kind"]
        assert spooled == SpooledSource.decode(entry)


def test_a_spooled_source_is_loaded_as_it_was(tmp_path: Path) -> None:
    """Labels, states, places and keys come back, and what is known of the source."""
    with open_workspace(tmp_path / "work", {}) as work:
        saved = save(work, "s2", fill())
    index = SpoolIndex(NUM_PATCHES)
    with open_workspace(tmp_path / "work", {}) as work:
        loaded = load_spooled(work, index, "s2")

    assert saved == loaded
    assert FILLED == describe(fill()) == describe(index)


def test_each_source_has_a_spool_of_its_own(tmp_path: Path) -> None:
    """A source that was not spooled to its end does not void another one."""
    empty, full = SpoolIndex(NUM_PATCHES), SpoolIndex(NUM_PATCHES)
    with open_workspace(tmp_path / "work", {}) as work:
        save(work, "s2", fill())
        work.begin_spool("s1")
    with open_workspace(tmp_path / "work", {}) as work:
        assert load_spooled(work, empty, "s1") is None
        work.begin_spool("s1")
        assert load_spooled(work, full, "s2") is not None

    assert not empty.read.any()
    assert FILLED == describe(full)

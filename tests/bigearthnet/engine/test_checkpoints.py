from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet.engine import checkpoints
from bigearthnet.engine.checkpoints import Checkpoints, Trusted, find_trusted
from bigearthnet.engine.spool import bucket_path
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.workspace import Workspace, open_workspace
from bigearthnet.errors import JournalError

Entry = dict[str, Any]

SPLITS = np.array([0, 1, 0, 2, 3, 0], np.uint8)
# Row → key, bucket, offset and bytes of its record, all different.
RECORDS = {
    0: (b"\xff" * 16, 63, 0, 7),
    1: (bytes(range(16)), 0, 0, 5),
    3: (b"k" * 16, 2, 0, 300),
    5: (b"\0" * 16, 63, 7, 11),
}


def spooled(nbytes: int, boot: str | None = "A") -> Entry:
    """A note of how far the spool is whole."""
    return {"kind": "spooled", "index_nbytes": nbytes, "crc": nbytes + 1, "boot": boot}


def read(nbytes: int, boot: str | None = "A") -> Entry:
    """The note that all of the source was read."""
    return {**spooled(nbytes, boot), "kind": "source", "sha256": "5"}


def durable(nbytes: int) -> Entry:
    """The note that the disk has so much."""
    return {"kind": "durable", "index_nbytes": nbytes}


def resumed(nbytes: int) -> Entry:
    """The note that a build went on from here."""
    return {"kind": "resumed", "index_nbytes": nbytes}


PUBLISH: Entry = {"kind": "publish"}
SHARD: Entry = {"kind": "shard", "name": "train-00000-of-00001"}


@pytest.mark.parametrize(
    ("entries", "same", "other"),
    [
        ([], 0, 0),
        ([SHARD], 0, 0),
        ([spooled(10), spooled(20)], 20, 0),
        ([spooled(10, "B"), spooled(20)], 20, 0),
        ([spooled(10), spooled(20, "B")], 10, 0),
        ([spooled(10), durable(10), spooled(20)], 20, 10),
        ([spooled(10), spooled(20), durable(10)], 20, 10),
        ([spooled(10), spooled(20), durable(15)], 20, 10),
        ([spooled(10), durable(10), spooled(20), spooled(30), durable(20)], 30, 20),
        ([spooled(10), durable(10), spooled(20), resumed(10)], 10, 10),
        ([spooled(10), spooled(20), durable(20), resumed(10)], 10, 10),
        ([spooled(10), spooled(20), durable(20), resumed(0)], 0, 0),
        ([spooled(10), spooled(20), durable(20), resumed(0), spooled(15)], 15, 0),
        ([spooled(20), durable(20), resumed(0), spooled(9), durable(9)], 9, 9),
        ([spooled(20), durable(20), resumed(20), spooled(30)], 30, 20),
        ([spooled(10), spooled(20), PUBLISH], 20, 20),
        ([spooled(10), resumed(0), PUBLISH], 0, 0),
    ],
)
def test_what_the_disk_must_have_is_trusted(
    entries: list[Entry], same: int, other: int
) -> None:
    """The last note counts in the same run of the machine, else the last durable."""
    for boot, expected in (("A", same), ("C", other), (None, other), ("", other)):
        crc = expected + 1 if expected else 0

        assert Trusted(expected, crc, None) == find_trusted(entries, boot)


def test_an_unknown_boot_is_not_the_same() -> None:
    """Where the system has no name for its runs, nothing is trusted for it."""
    assert Trusted(0, 0, None) == find_trusted([spooled(10, None)], None)


@pytest.mark.parametrize(
    ("entries", "same", "other"),
    [
        ([spooled(10), read(10)], True, False),
        ([spooled(10), durable(10), read(10)], True, True),
        ([spooled(10), read(10), durable(10)], True, True),
        ([spooled(10), durable(10), read(20)], True, False),
        ([spooled(10), read(20), resumed(10)], False, False),
        ([spooled(10), read(20), resumed(0), spooled(20), read(20)], True, False),
        ([read(20), SHARD, SHARD, durable(20)], True, True),
        ([read(20), SHARD, PUBLISH], True, True),
    ],
)
def test_the_source_is_read_again_if_its_spool_is_lost(
    entries: list[Entry], same: bool, other: bool
) -> None:
    """Stage one is done if the spool that it left is there."""
    for boot, expected in (("A", same), ("C", other)):
        source = find_trusted(entries, boot).source

        assert expected == (source is not None)
        assert source is None or "5" == source["sha256"]


def open_checkpoints(
    work: Workspace, *, note_nbytes: int = 1, sync_nbytes: int = 2**40
) -> tuple[Checkpoints, SpoolIndex]:
    """Opens checkpoints and the index that they restore."""
    index = SpoolIndex(SPLITS)
    opened = Checkpoints(work, index, note_nbytes=note_nbytes, sync_nbytes=sync_nbytes)
    return opened, index


def fill(work: Workspace, index: SpoolIndex, add: Callable[[int, int], None]) -> None:
    """Puts something of every kind into the index and the spool."""
    for row in range(len(SPLITS)):
        nbytes = 0
        index.add_read(row, (row, 42 - row), is_synthetic=row in (1, 2, 4))
        if row in RECORDS:
            key, bucket, offset, nbytes = RECORDS[row]
            index.add_record(row, key, bucket, offset, nbytes)
            with bucket_path(work.spool, int(SPLITS[row]), bucket).open("ab") as file:
                file.write(bytes(nbytes))
        add(row, nbytes)
    index.add_bad(4)
    add(4, 0)


def describe(index: SpoolIndex) -> dict[str, Any]:
    """All that an index says."""
    rows = np.flatnonzero(index.stored)
    return {
        "read": index.read.tolist(),
        "stored": index.stored.tolist(),
        "labels": index.labels.tolist(),
        "synthetic": index.num_synthetic,
        "places": index.locate(rows).tolist(),
        "ends": index.bucket_ends(),
        "sorted": [index.sorted_rows(split).tolist() for split in range(4)],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace whose spool is filled, in the run "A" of the machine."""
    with open_workspace(tmp_path / "work", {}, boot="A") as work:
        opened, index = open_checkpoints(work)
        with opened:
            fill(work, index, opened.add)
            opened.finish({"sha256": "5"})
    return tmp_path / "work"


def restore(folder: Path, boot: str = "A") -> tuple[dict[str, Any], Entry | None]:
    """Opens a workspace again; what its index says, and its source."""
    with open_workspace(folder, {}, boot=boot) as work:
        opened, index = open_checkpoints(work)
        with opened:
            return describe(index), opened.source


def drop_source(folder: Path) -> None:
    """Makes the journal end before the source was read to its end."""
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"source"' not in line))


EMPTY = describe(SpoolIndex(SPLITS))
FILLED = {
    "read": [True, True, True, True, False, True],
    "stored": [True, True, False, True, False, True],
    "labels": [sum(1 << bit for bit in {row, 42 - row}) for row in range(6)],
    "synthetic": 2,
    "places": [(63, 7, 0), (0, 5, 0), (2, 300, 0), (63, 11, 7)],
    "ends": {(0, 63): 18, (1, 0): 5, (2, 2): 300},
    "sorted": [[5, 0], [1], [3], []],
}


def test_an_index_is_restored_as_it_was(folder: Path) -> None:
    """Labels, states, places and keys come back, and what was said of the source."""
    found, source = restore(folder)

    assert FILLED == found
    assert source is not None
    assert ("source", "5", "A") == (source["kind"], source["sha256"], source["boot"])
    assert (FILLED, source) == restore(folder)


def test_an_unfinished_index_is_restored_as_it_was(folder: Path) -> None:
    """Before the source is read to its end, the last note counts."""
    drop_source(folder)

    assert (FILLED, None) == restore(folder)
    assert (FILLED, None) == restore(folder)


def test_without_a_note_nothing_is_restored(tmp_path: Path) -> None:
    """What came after the last note is lost, and the file of the index cut off."""
    with open_workspace(tmp_path / "work", {}, boot="A") as work:
        opened, index = open_checkpoints(work, note_nbytes=10**9)
        with opened:
            work.journal.append(SHARD, durable=False)
            fill(work, index, opened.add)
    (tmp_path / "work" / "index").write_bytes(b"of no note")

    assert (EMPTY, None) == restore(tmp_path / "work")
    assert b"" == (tmp_path / "work" / "index").read_bytes()


def test_notes_are_as_far_apart_as_was_asked_for(tmp_path: Path) -> None:
    """A note is written when so many bytes of records are new, patches without any."""
    with open_workspace(tmp_path / "work", {}, boot="A") as work:
        opened, _ = open_checkpoints(work, note_nbytes=10)
        with opened:
            counts = []
            for row, nbytes in enumerate((4, 5, 1, 9, 0, 30)):
                opened.add(row, nbytes)
                counts.append(len(work.journal.find("spooled")))

    assert [0, 0, 1, 1, 1, 2] == counts


def test_after_a_loss_of_power_all_is_read_again(folder: Path) -> None:
    """A spool that was not synchronised is not trusted in another run."""
    assert (EMPTY, None) == restore(folder, boot="B")
    assert (EMPTY, None) == restore(folder, boot="A")


def test_what_was_synchronised_is_trusted(tmp_path: Path) -> None:
    """What the journal calls durable outlives the run of the machine."""
    with open_workspace(tmp_path / "work", {}, boot="A") as work:
        opened, index = open_checkpoints(work, sync_nbytes=1)
        with opened:
            fill(work, index, opened.add)
            opened.finish({"sha256": "5"})
        assert work.journal.find("durable")
    found, source = restore(tmp_path / "work", boot="B")

    assert FILLED == found
    assert source is not None


def test_buckets_and_index_are_synchronised_before_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal calls durable what the disk has, buckets and their names."""
    synced: set[int] = set()
    fsync = os.fsync

    def note_sync(file: int) -> None:
        synced.add(os.fstat(file).st_ino)
        fsync(file)

    monkeypatch.setattr("os.fsync", note_sync)
    total = sum(nbytes for _, _, _, nbytes in RECORDS.values())
    with open_workspace(tmp_path / "work", {}, boot="A") as work:
        opened, index = open_checkpoints(work, sync_nbytes=total)
        append = work.journal.append

        def check_and_append(entry: Entry, *, durable: bool) -> None:
            if entry["kind"] == "durable":
                assert durable
                expected = [work.spool, *work.spool.iterdir(), work.folder / "index"]
                assert {path.stat().st_ino for path in expected} <= synced
            append(entry, durable=durable)

        monkeypatch.setattr(work.journal, "append", check_and_append)
        with opened:
            fill(work, index, opened.add)
            opened.finish({})
        sizes = [entry["index_nbytes"] for entry in work.journal.find("durable")]

    assert 2 == len(sizes)
    assert sizes[0] < sizes[1]
    assert (tmp_path / "work" / "index").stat().st_size == sizes[-1]


@pytest.mark.parametrize("split_bucket", [(0, 63), (1, 0), (2, 2)])
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_bucket_that_lost_something_voids_the_spool(
    is_missing: bool, split_bucket: tuple[int, int], folder: Path
) -> None:
    """Records that are not there are read again, with all others."""
    drop_source(folder)
    path = bucket_path(folder / "spool", *split_bucket)
    os.truncate(path, path.stat().st_size - 1)
    if is_missing:
        path.unlink()

    assert (EMPTY, None) == restore(folder)
    assert (EMPTY, None) == restore(folder)


def test_a_longer_bucket_is_whole(folder: Path) -> None:
    """What was written after the last note does no harm."""
    drop_source(folder)
    with bucket_path(folder / "spool", 0, 63).open("ab") as file:
        file.write(b"more")

    assert (FILLED, None) == restore(folder)


def test_a_longer_index_is_cut_off(folder: Path) -> None:
    """Rows that were written after the last note do no harm."""
    drop_source(folder)
    before = (folder / "index").read_bytes()
    (folder / "index").write_bytes(before + b"more")

    assert (FILLED, None) == restore(folder)
    assert before == (folder / "index").read_bytes()


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_index_is_an_error(damage: str, is_read: bool, folder: Path) -> None:
    """An index that is not what was noted is named, with the way out."""
    if not is_read:
        drop_source(folder)
    path = folder / "index"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flip" else content[:-1])
    if damage == "remove":
        path.unlink()

    with pytest.raises(JournalError, match=f"{path} is damaged.*--restart"):
        restore(folder)


def test_a_second_interruption_continues_from_the_first(folder: Path) -> None:
    """Rows that come twice in the index say what they said last."""
    drop_source(folder)
    with open_workspace(folder, {}, boot="A") as work:
        opened, index = open_checkpoints(work)
        with opened:
            index.add_read(4, (7,))
            opened.add(4, 1)
    found, source = restore(folder)

    assert source is None
    assert {
        **FILLED,
        "read": [True] * 6,
        "labels": [*FILLED["labels"][:4], 1 << 7, FILLED["labels"][5]],
        "synthetic": 2,
    } == found


def fail_to_sync(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Lets every synchronisation of a bucket fail; the event says that one has."""
    failed = threading.Event()

    def fail(path: Path) -> None:
        failed.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(checkpoints, "sync_folder", fail)
    return failed


@pytest.mark.parametrize("place", ["end", "next"])
def test_a_failing_synchronisation_is_raised(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk ends the build, at the next one or at the end."""
    failed = fail_to_sync(monkeypatch)

    def run() -> None:
        with open_workspace(tmp_path / "work", {}, boot="A") as work:
            opened, index = open_checkpoints(work, sync_nbytes=100)
            with opened:
                fill(work, index, opened.add)
                assert failed.wait(10)
                if place == "next":
                    opened.add(0, 200)
                    raise AssertionError

    with pytest.raises(OSError, match="Input/output error"):
        run()
    found, _ = restore(tmp_path / "work")

    assert FILLED["stored"] == found["stored"]


def test_an_error_of_the_build_comes_before_one_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synchronisation that fails beside an error does not hide it."""
    failed = fail_to_sync(monkeypatch)

    def run() -> None:
        with open_workspace(tmp_path / "work", {}, boot="A") as work:
            opened, index = open_checkpoints(work, sync_nbytes=1)
            with opened:
                index.add_read(0, (1,))
                opened.add(0, 1)
                assert failed.wait(10)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()

from __future__ import annotations

import functools
import itertools
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import builds
from benchmarks.faults.layer import FaultLayer, PowerLossError
from bigearthnet.engine import stage_one, workers
from bigearthnet.engine.journal import Journal, parse_journal
from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.jobs import find_targets

S2 = get_config("s2", RELEASES)

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]
Entry = Mapping[str, Any]

# One store in a folder of its own, and one below folders that are made.
FORMATS = ("arrow", "tfrecord")
# The calls of a build are spread over as many tests.
NUM_PARTS = 6


@dataclass
class Calls:
    """What a build has done; see `watch`.

    Attributes:
        entries: Entries of the journal whose `append` returned.
        decoded: Patches that were decoded.
        written: Names of the shards of which the writing began.
    """

    entries: list[Entry]
    decoded: int
    written: list[str]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What builds do in this test."""
    noted = Calls([], 0, [])
    append, decode = Journal.append, stage_one.decode_patch
    write = workers.write_shard

    def note_entry(self: Journal, entry: Entry, *rest: Any, **options: Any) -> None:
        append(self, entry, *rest, **options)
        noted.entries.append(self.entries[-1])

    def note_patch(*arguments: Any) -> Any:
        noted.decoded += 1
        return decode(*arguments)

    def note_shard(task: Any, *rest: Any) -> Any:
        noted.written.append(task.plan.name)
        return write(task, *rest)

    monkeypatch.setattr(Journal, "append", note_entry)
    monkeypatch.setattr(stage_one, "decode_patch", note_patch)
    monkeypatch.setattr(workers, "write_shard", note_shard)
    return noted


@pytest.fixture(scope="module")
def source(
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """An archive of two patches of one split."""
    ids = list(fake_patches)[:2]
    patches = {patch_id: fake_patches[patch_id] for patch_id in ids}
    return write_archive(tmp_path_factory.mktemp("source"), patches)


@pytest.fixture(autouse=True)
def small_builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Builds FORMATS, with a shard for each patch."""
    monkeypatch.setattr(builds, "FORMATS", FORMATS)
    with builds.small_shards(1):
        yield


@functools.cache
def build_undisturbed(source: Path, root: Path) -> tuple[dict[str, str], list[str]]:
    """Builds once; what `hash_tree` says of the result, and the calls that it took."""
    root.mkdir()
    with FaultLayer(root) as layer:
        builds.run_build(source, root / "data")
    return builds.hash_tree(root), layer.calls


def find_moments(calls: list[str], *, loses_all: bool) -> list[int]:
    """Returns the numbers of the calls, from 1, at which the power is to be cut.

    If everything is lost that was not synchronised, a call changes what is left only if
    it synchronises, or deletes a folder, which the layer never takes back. Where chance
    says what is lost, it says at which third of the calls, too.
    """
    if not loses_all:
        numbers = range(1, len(calls) + 1)
        return random.Random(0).sample(numbers, len(calls) // 3)
    return [
        number
        for number, before in enumerate(["fsync", *calls[:-1]], start=1)
        if before in ("fsync", "rmdir")
    ]


def find_lost(root: Path, entries: list[Entry]) -> list[Entry]:
    """Returns the entries of a journal that a loss of power has taken.

    Without its workspace a build must be finished.
    """
    folder = workspace_folder(root / "data", S2)
    if (folder / "build.json").exists():
        path = folder / "journal.jsonl"
        content = path.read_bytes() if path.exists() else b""
        kept, _ = parse_journal(content, path)
        lost = [entry for entry in entries if entry not in kept]
    else:
        targets = find_targets(root / "data", S2, FORMATS).values()
        lost = [] if all(target.exists() for target in targets) else entries
    return lost


def cut_and_resume(source: Path, root: Path, calls: Calls, **power: Any) -> str:
    """Cuts the power of a build, resumes it, and returns what was lost, or ""."""
    root.mkdir()
    with pytest.raises(PowerLossError) as cut, FaultLayer(root, **power):
        builds.run_build(source, root / "data")
    entries = calls.entries[:]
    calls.decoded, calls.written[:] = 0, []
    lost = find_lost(root, entries)
    try:
        builds.run_build(source, root / "data")
    except OptionError as error:  # the build was finished before
        assert builds.IS_THERE in str(error)  # noqa: PT017
    names = {entry["name"] for entry in entries if entry["kind"] == "shard"}
    problems = {
        "lost entries": lost,
        "decoded again": entries and calls.decoded,
        "written again": sorted(names & {*calls.written}),
    }
    calls.entries.clear()
    return "; ".join(f"{cut.value}: {k} {v}" for k, v in problems.items() if v)


@pytest.mark.parametrize("loses_all", [True, False])
@pytest.mark.parametrize("part", range(NUM_PARTS))
def test_a_loss_of_power_at_any_call_loses_nothing_that_was_done(
    part: int, loses_all: bool, source: Path, calls: Calls, tmp_path: Path
) -> None:
    """The build resumes after what the journal has, and leaves the same files."""
    expected, names = build_undisturbed(source, source.parent / "expected")
    moments = find_moments(names, loses_all=loses_all)
    root = tmp_path / "root"
    for at in moments[part::NUM_PARTS]:
        calls.entries.clear()
        problem = cut_and_resume(
            source, root, calls, at=at, seed=at, loses_all=loses_all
        )

        assert "" == problem
        assert expected == builds.hash_tree(root), f"call {at}"

        shutil.rmtree(root)
    assert len(moments) > 50


@pytest.mark.parametrize("loses_all", [True, False])
def test_an_entry_is_durable_when_append_returns(
    loses_all: bool, tmp_path: Path
) -> None:
    """A new journal and each of its entries outlive a loss of power."""
    for at in itertools.count(1):
        root = tmp_path / str(at)
        root.mkdir()
        done: list[int] = []
        try:
            with FaultLayer(root, at=at, seed=at, loses_all=loses_all):
                journal = Journal(root / "journal.jsonl")
                for number in range(3):
                    journal.append({"kind": "test", "number": number})
                    done.append(number)
        except PowerLossError:
            found = Journal(root / "journal.jsonl").find("test")

            assert done == [entry["number"] for entry in found][: len(done)]
        else:
            break
    assert at > 6

"""Builds of a pair that end early go on where they were, with the same bytes."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import stage_one, workers
from bigearthnet.engine.spool import SpoolWriter
from bigearthnet.errors import OptionError
from bigearthnet.release import V2, Release
from bigearthnet.schema.configs import Config, get_config
from builder.build import build
from tests.v2.conftest import QUIET
from tests.v2.made import make_patches
from tests.v2.pairs import (
    FOLDERS,
    FORMATS,
    build_later,
    hash_manifests,
)

_KILLED = """
import os, signal, sys
from pathlib import Path
from bigearthnet.engine import stage_one
from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import V2
from bigearthnet.schema.configs import get_config
from builder.build import build

decode, seen = stage_one.decode_patch, []

def kill(raw, archive, nomenclature):
    seen.append(archive.name)
    if seen.count(sys.argv[3]) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(raw, archive, nomenclature)

stage_one.decode_patch = kill
options = BuildOptions(include_excluded=True, quiet=True, workers=1)
config, formats = get_config("v2-s1s2", [V2]), ("parquet", "arrow")
build(Path(sys.argv[1]), Path(sys.argv[2]), config, options, formats=formats)
"""


def count_decoded(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[str, int], None] = lambda *_: None
) -> Counter[str]:
    """Counts the patches of each archive that are decoded in this process."""
    seen: Counter[str] = Counter()
    decode = stage_one.decode_patch

    def count(raw: Any, archive: Any, nomenclature: Any) -> Any:
        seen[archive.name] += 1
        end(archive.name, seen[archive.name])
        return decode(raw, archive, nomenclature)

    monkeypatch.setattr(stage_one, "decode_patch", count)
    return seen


@pytest.mark.parametrize("lane", ["s2", "s1", "maps"])
def test_a_build_killed_in_any_lane_goes_on(
    lane: str,
    stores: Path,
    extracted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After kill -9, lanes that were read to their end are not read again."""
    arguments = [str(extracted), str(tmp_path), lane]
    program = [sys.executable, "-c", _KILLED, *arguments]
    assert -signal.SIGKILL == subprocess.run(program, check=False).returncode

    seen = count_decoded(monkeypatch)
    build(extracted, tmp_path, get_config("v2-s1s2", [V2]), QUIET, formats=FORMATS)
    lanes = [archive.name for archive in V2.archives]
    count = len(make_patches())
    assert {name: count for name in lanes[lanes.index(lane) :]} == seen
    assert hash_manifests(stores) == hash_manifests(tmp_path)


def test_a_full_disk_in_the_second_lane_leaves_the_first(
    stores: Path,
    extracted: Path,
    both: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ENOSPC ends the build; the next reads the second archive, not the first."""
    append = SpoolWriter.append

    def fail(self: SpoolWriter, row: int, patch: Any) -> None:
        if seen["s1"] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, row, patch)

    seen = count_decoded(monkeypatch)
    with monkeypatch.context() as full:
        full.setattr(SpoolWriter, "append", fail)
        with pytest.raises(OSError, match="No space left"):
            build(extracted, tmp_path, both, QUIET, formats=FORMATS)
    seen.clear()
    build(extracted, tmp_path, both, QUIET, formats=FORMATS)

    assert {"s1": len(make_patches()), "maps": len(make_patches())} == seen
    assert hash_manifests(stores) == hash_manifests(tmp_path)


def begin_radar(
    source: Path, data_dir: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupts a build of v2-s1 when it writes the first shard."""

    def end(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workers, "write_shard", end)
        with pytest.raises(KeyboardInterrupt):
            build_later(source, data_dir, release, "v2-s1")


def test_a_part_that_was_interrupted_goes_on_beside_the_other(
    stores: Path,
    extracted: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S1 that is built later, and interrupted, ends with the same bytes."""
    build_later(extracted, tmp_path, release, "v2-s2")
    begin_radar(extracted, tmp_path, release, monkeypatch)
    seen = count_decoded(monkeypatch)
    build_later(extracted, tmp_path, release, "v2-s1")

    assert not seen
    assert hash_manifests(stores) == hash_manifests(tmp_path)


def test_a_store_that_is_replaced_beside_is_noticed(
    stores: Path,
    extracted: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An interrupted part is not resumed beside another store than it was begun."""
    build_later(extracted, tmp_path, release, "v2-s2")
    begin_radar(extracted, tmp_path, release, monkeypatch)
    for folder in FOLDERS:
        shutil.rmtree(tmp_path / folder)
    build_later(extracted, tmp_path, release, "v2-s2", include_excluded=False)

    with pytest.raises(OptionError, match=r"something else .*beside: was"):
        build_later(extracted, tmp_path, release, "v2-s1")

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks
from benchmarks import paired, remote
from benchmarks.environments import ENVIRONMENTS, OURS, Environment, SetupError
from benchmarks.run import ROWS, choose_rows

PROGRAMS = Path(benchmarks.__file__).parent / "programs"


def test_rows_fit_together() -> None:
    """Names and titles are unique; programs, environments, limits, our rows exist."""
    names = [row.name for row in ROWS]
    limits = {row.limit for row in paired.ROWS}

    assert limits <= {None, *(row.name for row in paired.ROWS)}
    assert len(names) == len(set(names))
    # A picture has one bar for each title.
    assert len(names) == len({(row.group, row.title) for row in ROWS})
    assert [] == [
        r.program for r in ROWS if not (PROGRAMS / f"{r.program}.py").exists()
    ]
    assert {row.environment for row in ROWS} <= {OURS, *ENVIRONMENTS}
    assert {row.limit for row in ROWS} <= {None, *names}
    assert {row.ours for row in ROWS} <= {None, *(r.name for r in ROWS if r.is_ours)}


def test_every_program_is_measured() -> None:
    """No script of a peer is left over."""
    helpers = {"clock", "patches", "tfds_files"}
    engines = {"engine_build", "engine_read"}
    scripts = {path.stem for path in PROGRAMS.glob("*.py")} - helpers

    streaming = {Path(program).stem for program in remote.WAYS.values()}
    rows = (*ROWS, *paired.ROWS)
    assert scripts == {row.program for row in rows} | streaming | engines


def test_chosen_rows_bring_what_they_are_compared_with() -> None:
    """A peer alone comes with our row and its limit; without a choice all come."""
    assert {"read-lmdb", "read-arrow"} == {r.name for r in choose_rows(["read-lmdb"])}
    assert {"rgb-load-8bit"} == {row.name for row in choose_rows(["rgb-load-8bit"])}
    assert {"random-arrow", "limit-memory"} == {
        row.name for row in choose_rows(["random-arrow"])
    }
    assert list(ROWS) == choose_rows([])


def test_a_peer_that_cannot_be_installed_is_an_error(tmp_path: Path) -> None:
    """The error shows what pip said, and the environment does not count as made."""
    wrong = Environment("x", (("--no-index", "no-such-package-of-ours"),))

    for _ in range(2):
        with pytest.raises(SetupError, match="no-such-package-of-ours"):
            wrong.prepare(tmp_path)

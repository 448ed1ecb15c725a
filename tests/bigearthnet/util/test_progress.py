from __future__ import annotations

import io
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from bigearthnet.util import progress
from bigearthnet.util.progress import Progress


class Terminal(io.StringIO):
    """Text that says of itself that it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """The time in seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the progress."""
    clock = Clock()
    stub = types.SimpleNamespace(monotonic=clock.monotonic)
    monkeypatch.setattr(progress, "time", stub)
    return clock


def test_a_line_comes_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a terminal, a line with rates and time left comes every ten seconds."""
    with Progress("spool", total_nbytes=4_000_000) as shown:
        clock.now += 9.9
        shown.update(10, 500_000)
        early = capsys.readouterr().err
        clock.now += 0.1
        shown.update(20, 1_000_000)
        line = capsys.readouterr().err

    assert "" == early
    assert "spool: 20 patches, 2 patches/s, 0.1 MB/s, 30 s left\n" == line


def test_the_last_line_gives_all(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end a line says how much was done, without any time left."""
    with Progress("shards", total_patches=1234) as shown:
        clock.now += 2
        shown.update(1234, 6_000_000)

    assert "shards: 1,234 patches, 617 patches/s, 3.0 MB/s\n" == capsys.readouterr().err


def test_time_left_counts_patches_where_they_are_known(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a number of patches, the time left follows from patches, not bytes."""
    with Progress("shards", total_patches=40) as shown:
        clock.now += 10
        shown.update(10, 1)
        line = capsys.readouterr().err

    assert line.endswith(", 30 s left\n")


def test_without_a_total_no_time_is_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder, whose size is unknown, has rates but no time left."""
    with Progress("spool") as shown:
        clock.now += 10
        shown.update(10, 1)

    assert "left" not in capsys.readouterr().err


def test_a_stage_without_work_prints_zeros(capsys: pytest.CaptureFixture[str]) -> None:
    """A stage that ends at once divides by nothing."""
    with Progress("spool", total_nbytes=0):
        pass

    assert capsys.readouterr().err.startswith("spool: 0 patches, 0 patches/s")


def test_an_error_ends_without_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A stage that fails does not look as if it were done."""
    shown = Progress("spool")
    shown.update(1, 1)

    shown.__exit__(ValueError, ValueError(), None)

    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True])
def test_threads_add_up(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """What several threads add is counted once each."""
    with (
        Progress("shards", total_patches=4000, quiet=quiet) as shown,
        ThreadPoolExecutor(4) as pool,
    ):
        for _ in range(4000):
            pool.submit(shown.add, 1, 10)

    assert ("" if quiet else "shards: 4,000 patches") == capsys.readouterr().err[:21]


def test_quiet_shows_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """With `quiet`, nothing is printed however long it takes."""
    with Progress("spool", total_nbytes=10, quiet=True) as shown:
        clock.now += 100
        shown.update(1, 5)

    assert ("", "") == tuple(capsys.readouterr())


@pytest.mark.parametrize(
    ("totals", "unit"),
    [({"total_patches": 7}, "7/7"), ({"total_nbytes": 9000}, "9.00k/9.00k")],
)
def test_a_terminal_gets_a_bar(
    totals: dict[str, int], unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a bar counts patches or bytes up to the total."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with Progress("shards", **totals) as shown:  # type: ignore[arg-type]
        shown.update(3, 3000)
        shown.update(7, 9000)

    assert "shards" in terminal.getvalue()
    assert unit in terminal.getvalue()
    assert "MB/s" in terminal.getvalue()


def test_a_quiet_terminal_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `quiet`, a terminal stays empty too."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with Progress("shards", total_patches=7, quiet=True) as shown:
        shown.update(7, 9000)

    assert "" == terminal.getvalue()


def test_bytes_that_were_there_do_not_count_for_the_rate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage of bytes alone shows those received, and the rate of these."""
    with Progress("file", total_nbytes=9_000_000, first_nbytes=5_000_000) as shown:
        clock.now += 9.9
        shown.update(0, 5_500_000)
        early = capsys.readouterr().err
        clock.now += 0.1
        shown.update(0, 6_000_000)
        line = capsys.readouterr().err

    assert "" == early
    assert "file: 6.0 MB of 9.0 MB, 0.1 MB/s, 30 s left\n" == line


def test_bytes_may_start_from_zero(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that were thrown away are none that were received."""
    with Progress("file", first_nbytes=5_000_000) as shown:
        shown.update(0, 0)
        clock.now += 10
        shown.update(0, 2_000_000)

    line = "file: 2.0 MB, 0.2 MB/s\n"
    assert line + line == capsys.readouterr().err


def test_a_terminal_has_notes_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar of bytes begins with those that are there; notes have their own line."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress("file", total_nbytes=4_000_000, first_nbytes=1_000_000) as shown:
        begin = terminal.getvalue()
        shown.update(0, 3_000_000)
        shown.note("cut")
        shown.update(0, 0)
        shown.update(0, 2_000_000)
    text = terminal.getvalue()

    assert "1.00M/4.00M" in begin
    assert "cut\n" in text
    assert "2.00M/4.00M" in text
    assert "patches" not in text


def test_a_quiet_stage_has_no_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """With `quiet`, what happens is not told either."""
    with Progress("file", first_nbytes=0, quiet=True) as shown:
        shown.note("cut")

    assert ("", "") == tuple(capsys.readouterr())

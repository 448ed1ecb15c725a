from __future__ import annotations

import io
import types

import pytest

from bigearthnet.download import progress
from bigearthnet.download.progress import ByteProgress


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


def test_what_was_there_does_not_count_for_the_rate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line comes every ten seconds; its rate is that of the bytes received."""
    with ByteProgress("file", 9_000_000, done=5_000_000) as shown:
        clock.now += 9.9
        shown.update(5_500_000)
        early = capsys.readouterr().err
        clock.now += 0.1
        shown.update(6_000_000)
        line = capsys.readouterr().err

    assert "" == early
    assert "file: 6.0 MB of 9.0 MB, 0.1 MB/s, 30 s left\n" == line


def test_a_download_may_start_anew(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that were thrown away are none that were received."""
    with ByteProgress("file", None, done=5_000_000) as shown:
        shown.update(0)
        clock.now += 10
        shown.update(2_000_000)

    line = "file: 2.0 MB, 0.2 MB/s\n"
    assert line + line == capsys.readouterr().err


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar shows the bytes, and notes stand above it."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with ByteProgress("file", None, done=1_000_000) as shown:
        shown.total = 4_000_000
        shown.update(3_000_000)
        shown.note("cut")
        shown.update(0)
        shown.update(2_000_000)
    text = terminal.getvalue()

    assert "cut\n" in text
    assert "file:" in text
    assert "2.00M/4.00M" in text


def test_quiet_is_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet progress prints nothing, on a terminal neither."""
    with ByteProgress("file", 2, quiet=True) as shown:
        clock.now += 60
        shown.update(1)
        shown.note("cut")

    assert ("", "") == tuple(capsys.readouterr())

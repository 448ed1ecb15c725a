from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import ArchiveError, PatchError
from builder import command

Main = Callable[[], int | None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command with absl's own start replaced; returns the exit status."""

    def run_main(main: Main, *arguments: str) -> int:
        status = []

        def start(checked: Callable[[list[str]], int]) -> None:
            status.append(checked(["program", *arguments]))

        monkeypatch.setattr("absl.app.run", start)
        command.run(main, lambda: None)
        return status[0]

    return run_main


def raiser(error: BaseException) -> Main:
    """A command that raises an error."""

    def main() -> None:
        raise error

    return main


def start_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `python -m builder.sample` in a process of its own."""
    line = [sys.executable, "-m", "builder.sample", *arguments]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("result", "status"), [(None, 0), (0, 0), (3, 3)])
def test_the_status_is_that_of_the_command(
    run: Callable[..., int], result: int | None, status: int
) -> None:
    """A command that returns nothing has succeeded; a number is its status."""
    assert status == run(lambda: result)


@pytest.mark.parametrize(
    "error",
    [PatchError("is bad.", patch_id="P", file="F"), ArchiveError("cut at byte 7.")],
)
def test_our_errors_end_with_their_message(
    run: Callable[..., int], error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of ours is one line on stderr and status 1, without a traceback."""
    status = run(raiser(error))

    assert 1 == status
    assert ("", f"error: {error}\n") == tuple(capsys.readouterr())


def test_other_errors_keep_their_traceback(run: Callable[..., int]) -> None:
    """A mistake of the program is not hidden."""
    with pytest.raises(ZeroDivisionError, match="division"):
        run(lambda: 1 // 0)


def test_an_interrupt_is_not_an_error(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends a command with the status that shells have for it."""
    status = run(raiser(KeyboardInterrupt()))

    assert 130 == status
    assert "interrupted\n" == capsys.readouterr().err


def test_an_unexpected_argument_is_refused(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A word that is no flag is an error that shows it, and nothing runs."""
    ran = []

    status = run(lambda: ran.append(1), "output", "more")

    assert (1, []) == (status, ran)
    assert "unexpected argument 'output'" in capsys.readouterr().err


def test_flags_are_defined_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags of a command are defined once, before the command line is parsed."""
    order = []
    monkeypatch.setattr("absl.app.run", lambda _: order.append("run"))

    command.run(lambda: None, lambda: order.append("flags"))

    assert ["flags", "run"] == order


def test_a_command_works_as_a_process(tmp_path: Path) -> None:
    """`python -m builder.sample` writes the six patches and says so."""
    done = start_command(f"--output={tmp_path / 'out'}", cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("6 real patches in ")
    assert 6 == len(list((tmp_path / "out" / "BigEarthNet-S2-Example").iterdir()))


def test_help_shows_what_the_command_does(tmp_path: Path) -> None:
    """`--help` prints the module's docstring and its flags."""
    done = start_command("--help", cwd=tmp_path)

    assert "Writes the six real sample patches" in done.stdout
    assert "--output" in done.stdout


def test_a_missing_flag_is_named(tmp_path: Path) -> None:
    """A command without a flag it needs ends with an error that names the flag."""
    done = start_command(cwd=tmp_path)

    assert 0 != done.returncode
    assert "--output" in done.stderr + done.stdout


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_command_that_is_told_to_end_cleans_up(name: str, status: int) -> None:
    """Ctrl-C and SIGTERM end a command through its `finally` clauses."""
    code = f"""
import os, signal, time
from builder import command
def main():
    try:
        os.kill(os.getpid(), signal.{name})
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
signal.signal(signal.SIGINT, signal.default_int_handler)
command.run(main, lambda: None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (status, "cleaned up\n") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bigearthnet.util.quiet import LOG_NAME

# A command that prints as Python code does, and as C++ does, then ends in some way.
PROGRAM = """
import os, sys
from pathlib import Path
from bigearthnet.errors import OptionError
from bigearthnet.util import command
def main():
    print("ours", file=sys.stderr)
    os.write(2, b"theirs")
    {end}
command.run(main, lambda: None, find_logs=lambda: Path(sys.path[-1]))
"""


def run(end: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the program; temporary files lie in a folder `tmp` of the folder."""
    (folder / "tmp").mkdir()
    source = f"import sys; sys.path.append({str(folder)!r})\n{PROGRAM.format(end=end)}"
    return subprocess.run(
        [sys.executable, "-c", source],
        env={"TMPDIR": str(folder / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("end", ["", "raise OptionError('bad.')"])
def test_lines_of_libraries_go_to_the_log(end: str, tmp_path: Path) -> None:
    """What C++ prints is in the log and not on the terminal, also after our errors."""
    done = run(end, tmp_path)

    assert "ours\n" + "error: bad.\n" * bool(end) == done.stderr
    assert b"theirs" == (tmp_path / LOG_NAME).read_bytes()
    assert [] == list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("end", "shown"),
    [("raise ZeroDivisionError", "ZeroDivisionError"), ("os.abort()", "Fatal Python")],
)
def test_after_other_errors_they_are_kept(end: str, shown: str, tmp_path: Path) -> None:
    """A mistake or a crash shows where it happened, and leaves what libraries said."""
    done = run(end, tmp_path)
    (kept,) = (tmp_path / "tmp").iterdir()

    assert 0 != done.returncode
    assert shown in done.stderr
    assert "theirs" not in done.stderr
    assert kept.read_bytes().startswith(b"theirs")

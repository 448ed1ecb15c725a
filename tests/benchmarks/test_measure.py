from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import measure

SAYS = "import json; print(json.dumps({'patches': 6, 'seconds': 2.0, 'bytes': 12}))"


def run(code: str, tmp_path: Path, **options: object) -> measure.Measurement:
    """Runs code as a program."""
    program = tmp_path / "program.py"
    program.write_text(code)
    options = {"timeout_s": 60, "watch_memory": False, **options}
    return measure.run([sys.executable, program], {"X": "1"}, **options)  # type: ignore[arg-type]


def test_a_program_says_what_it_did(tmp_path: Path) -> None:
    """Patches, seconds and bytes are the program's own words, its last line."""
    measured = run(f"print('starting')\n{SAYS}", tmp_path)

    assert (6, 2.0, 12, 3.0) == (
        measured.patches,
        measured.seconds,
        measured.nbytes,
        measured.rate,
    )


def test_the_time_of_all_processes_counts(tmp_path: Path) -> None:
    """A child's processor time is part of a program's."""
    burn = "x = 0\nfor i in range(10**7): x += i\n"
    alone = run(SAYS, tmp_path).cpu_seconds
    both = run(
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}], check=True)\n{SAYS}",
        tmp_path,
    ).cpu_seconds

    assert both > alone + 0.1


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux only")
def test_the_memory_of_all_processes_counts(tmp_path: Path) -> None:
    """A child's memory is part of a program's."""
    hold = "x = bytearray(b'x') * 100_000_000; import time; time.sleep(1.5)"
    measured = run(
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {hold!r}], check=True)\n{SAYS}",
        tmp_path,
        watch_memory=True,
    )

    assert measured.peak_pss is not None
    assert 100_000_000 < measured.peak_pss < 300_000_000


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("raise ValueError('no such thing')", "status 1: .*no such thing"),
        ("print('nothing of use')", "said nothing of what it did"),
        ("", "said nothing of what it did"),
        ("print('{\"patches\": 1}')", "said nothing of what it did"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
    ],
)
def test_a_program_that_fails_is_an_error(
    code: str, match: str, tmp_path: Path
) -> None:
    """A program that fails, hangs or says nothing is an error that shows its words."""
    with pytest.raises(measure.RunError, match=f"(?s){match}"):
        run(code, tmp_path, timeout_s=1 if "sleep" in code else 60)


def test_variables_reach_the_program(tmp_path: Path) -> None:
    """Variables are added to those of this process."""
    code = f"import os; assert os.environ['X'] == '1' and os.environ['PATH']\n{SAYS}"

    assert 6 == run(code, tmp_path).patches

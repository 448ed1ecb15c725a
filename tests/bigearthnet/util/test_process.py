from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bigearthnet.util import process

SCRIPT = """\
import json, os, sys, threading

import numpy

with open("/proc/self/status") as file:
    (threads,) = [line.split()[1] for line in file if line.startswith("Threads")]
path = json.loads(sys.argv[1])
print(json.dumps([sys.argv[2:], path, os.environ["OURS"], int(threads)]))
print(sys.stdin.read())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_a_script_gets_arguments_path_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child has what its parent has, and NumPy in it starts no threads."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    monkeypatch.setenv("OURS", "kept")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    child = process.start_script(str(script), 5, "text")
    output, _ = child.communicate(b"question")
    first, second = output.decode().splitlines()

    assert [["5", "text"], sys.path, "kept", 1] == json.loads(first)
    assert "question" == second
    process.end(child)
    assert 0 == child.returncode

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bigearthnet.formats import FORMATS

# Takes one of many batches by the reader, or by `load`, and ends.
READ = """
import sys
import bigearthnet

data_dir, store = sys.argv[1:]
reader = bigearthnet.open_reader("train", data_dir, store=store)
batches = reader.batches(8, shuffle=True, seed=0)
print(len(next(batches)["labels"]), len(reader) > 200)
"""
LOAD = """
import sys
import bigearthnet

data_dir, store = sys.argv[1:]
batches = iter(
    bigearthnet.load("train", data_dir, store=store, batch_size=8, shuffle=True, seed=0)
)
print(len(next(batches)[1]), True)
"""


@pytest.mark.parametrize("program", [READ, LOAD], ids=["open_reader", "load"])
@pytest.mark.parametrize("store", FORMATS)
def test_a_program_ends_that_takes_one_batch(
    program: str, store: str, thousand_patches: Path
) -> None:
    """No thread of ours or pyarrow's keeps a process that stops reading early."""
    if program is LOAD:
        pytest.importorskip("tensorflow")
    done = subprocess.run(
        [sys.executable, "-c", program, str(thousand_patches), store],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert (0, "8 True\n") == (done.returncode, done.stdout), done.stderr

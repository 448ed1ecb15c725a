"""The shell blocks of README and docs/baselines.md, run as they stand.

On a made-up archive instead of the real one, for an epoch instead of a hundred, without
what needs the internet or installs something.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bigearthnet
from builder.synthesize import write_archive

ROOT = Path(bigearthnet.__file__).parent.parent

# Stand before each block: what is not run, and what takes a hundred epochs.
PREAMBLE = """
set -e
pip() { :; }
python() {
  case "$2" in
    builder.download | builder.publish | baselines.fetch_weights | baselines.publish) ;;
    baselines.train)
      command python "$@" --epochs=1 --batch_size=32 \
        --weights=random --inception_size=32 ;;
    *) command python "$@" ;;
  esac
}
"""


# What stands on the pages → what is run: archives of few patches, and of three seeds of
# three models one of the model that is new on its page.
CHANGES = {
    "BigEarthNet-S2-v1.0.tar.gz": "made-up.tar.gz",
    " --complete": "",
    "--num_patches=1000": "--num_patches=60",
    "in 0 1 2;": "in 0;",
    "in s_cnn_rgb s_cnn_all inception_v2;": "in inception_v2;",
}


def find_blocks(path: str) -> list[str]:
    """Returns the shell blocks of a page, changed as `CHANGES` says."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for written, run in CHANGES.items():
        text = text.replace(written, run)
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["README.md", "docs/baselines.md"])
def test_the_commands_of_a_page_run_top_to_bottom(path: str, tmp_path: Path) -> None:
    """Each command finds what those before it on the page have made."""
    pytest.importorskip("tensorflow")  # not where the recipes of others are tested
    write_archive(tmp_path / "made-up.tar.gz", 60, seed=0)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    blocks = find_blocks(path)
    for block in blocks:
        done = subprocess.run(
            ["bash", "-c", PREAMBLE + block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, f"{block}\n{done.stdout}\n{done.stderr}"

    assert len(blocks) > 2
    assert (tmp_path / "comparison" / "comparison.html").is_file()

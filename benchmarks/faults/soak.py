"""Builds a large synthetic archive, kills the build on the way, and verifies it.

The same archive is built twice: undisturbed, and killed by SIGKILL five times, in both
stages, and run again at once each time. Both must be equal, byte for byte, and the
second is compared with the archive, pixel by pixel.

Example:
  python -m benchmarks.faults.soak --work=/var/tmp/soak --num_patches=60000
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from benchmarks.faults import builds
from bigearthnet.util import command
from builder.findings import summarize
from builder.synthesize import write_archive
from builder.verify import verify

# How long each run may last before it is killed, in parts of an undisturbed build. Runs
# that begin in stage one read the archive from its start, and so get longer.
_MOMENTS = (0.15, 0.3, 0.45, 0.06, 0.06)


class Builds:
    """Runs `builder.build`, in processes that can be killed."""

    def __init__(self, source: Path, formats: str) -> None:
        """Takes what is built."""
        self._source, self._formats = source, formats

    def run(self, data_dir: Path, kill_after_s: float | None = None) -> float:
        """Runs a build, and kills it unless it ends before.

        Args:
            data_dir: Where the stores go.
            kill_after_s: Seconds until it is killed; None to let it end.

        Returns:
            How many seconds it ran.

        Raises:
            RuntimeError: If it fails, or ends before it is killed.
        """
        arguments = f"--source={self._source}", f"--data_dir={data_dir}"
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "builder.build", *arguments, self._formats],
            stdout=subprocess.DEVNULL,
        )
        try:
            status = process.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        else:
            if status or kill_after_s is not None:
                raise RuntimeError(f"the build ended with status {status}")
        return time.monotonic() - start


def soak(work: Path, source: Path, formats: str) -> dict[str, object]:
    """Builds twice and compares.

    Args:
        work: Existing folder for the stores.
        source: The archive.
        formats: Flag of `builder.build`.

    Returns:
        Seconds of each run, what a kill cost on average, and what differs.
    """
    runs = Builds(source, f"--formats={formats}")
    undisturbed = runs.run(work / "undisturbed")
    expected = builds.hash_tree(work / "undisturbed")
    shutil.rmtree(work / "undisturbed")
    seconds = [runs.run(work / "killed", part * undisturbed) for part in _MOMENTS]
    seconds.append(runs.run(work / "killed"))
    lost = (sum(seconds) - undisturbed) / len(_MOMENTS)
    different = builds.compare(expected, builds.hash_tree(work / "killed"))
    results = verify(work / "killed", sources={"s2": source})
    print(summarize(results))
    return {
        "undisturbed_s": round(undisturbed, 1),
        "runs_s": [round(value, 1) for value in seconds],
        "lost_for_each_kill_s": round(lost, 1),
        "different_files": different,
        "differences_of_pixels_and_fields": sum(r.num_differences for r in results),
    }


def _define_flags() -> None:
    command.define_path("work", None, "Folder for everything.", required=True)
    command.define_path("output", None, "Folder that gets soak.json.")
    flags.DEFINE_integer("num_patches", 60_000, "Patches of the archive.")
    flags.DEFINE_string("formats", "tfrecord,parquet", "Formats that are built.")


def _main() -> int:
    values, work = flags.FLAGS, flags.FLAGS.work
    work.mkdir(parents=True, exist_ok=True)
    source = work / f"synthetic-{values.num_patches}.tar.gz"
    if not source.exists():
        write_archive(source, values.num_patches, seed=0)
    found = soak(work, source, values.formats)
    found = {"patches": values.num_patches, "formats": values.formats, **found}
    print(json.dumps(found, indent=1))
    if values.output is not None:
        path = values.output / "soak.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    shutil.rmtree(work / "killed")
    is_good = not found["different_files"]
    return 0 if is_good and not found["differences_of_pixels_and_fields"] else 1


if __name__ == "__main__":
    command.run(_main, _define_flags)

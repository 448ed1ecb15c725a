"""Kills publishing at random moments, repeats it, and compares what is there then.

What is published is a small synthetic build of many shards. Each time it goes to a new
place below --to, is ended by SIGKILL, and run again. After the kill, whoever finds the
card must find all else; in the end each place must have, byte for byte, what one has
that was not disturbed. `python -m tests.hub` serves a hub for trying.

Example:
  python -m benchmarks.faults.publishing --work=/tmp/faults --to=file:///tmp/published
  python -m benchmarks.faults.publishing --work=/tmp/faults --to=hf://datasets/org/trial
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from benchmarks.faults import builds
from bigearthnet.util import command
from bigearthnet.util.secrets import clients_silent
from builder.card import CARD
from builder.publish import make_publisher
from builder.publishing.choice import choose_stores
from builder.publishing.files import list_files
from builder.synthesize import write_archive

# The most patches of a shard, and how many are built: some 20 shards.
_SHARD, _NUM_PATCHES = 8, 120
_BEGIN, _END = "begin", "end"


def run_trials(
    data_dir: Path, to: str, trials: int, seed: int = 0
) -> Iterator[tuple[str, str]]:
    """Kills, repeats and compares.

    A command that was finished before its moment does not count.

    Args:
        data_dir: What is published.
        to: What the address of each place begins with.
        trials: How many commands that were killed.
        seed: Seed of the moments.

    Yields:
        For each "" if all is as expected, or what is not; and how much a reader found
        after the kill.
    """
    numbers = random.Random(f"publishing {seed}")
    _finish(_start(data_dir, f"{to}-warm"))
    process, begin = _start(data_dir, f"{to}-expected"), time.monotonic()
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.monotonic() - begin
    _finish(process)
    expected = hash_published(f"{to}-expected")
    count = attempts = 0
    while count < trials:
        place = f"{to}-{seed}-{attempts}"
        attempts += 1
        process = _start(data_dir, place)
        time.sleep(numbers.uniform(0, seconds))
        process.kill()
        if process.communicate()[0]:
            continue
        count += 1
        found = hash_published(place)
        if CARD in found and (problem := builds.compare(expected, found)):
            yield f"killed: {problem}", "a part"
            continue
        stage = "all" if CARD in found else "some files" if found else "nothing"
        _finish(_start(data_dir, place))
        yield builds.compare(expected, hash_published(place)), stage


def _start(data_dir: Path, place: str) -> subprocess.Popen[str]:
    """Starts a command, and returns when it begins, imports being done."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(data_dir), place],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == _BEGIN
    return process


def _finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"publishing ended with {process.returncode}: {said[-400:]}")


def hash_published(place: str) -> dict[str, str]:
    """Returns path of each file that a reader finds at an address → its sha256."""
    import fsspec

    system, root = fsspec.url_to_fs(place, skip_instance_cache=True)
    with clients_silent():
        try:
            paths = system.find(root)
        except FileNotFoundError:
            return {}
        return {
            path.removeprefix(root).strip("/"): hashlib.sha256(
                system.cat_file(path)
            ).hexdigest()
            for path in paths
        }


def _publish(data_dir: str, place: str) -> None:
    """Publishes the Parquet store, without verifying it: what is killed."""
    stores = choose_stores(Path(data_dir), ["parquet"], None)
    files = [file for store in stores for file in list_files(store)]
    publisher = make_publisher(place, stores, files, quiet=True)
    print(_BEGIN, flush=True)
    publisher.publish()
    print(_END, flush=True)


def _define_flags() -> None:
    command.define_path("work", None, "Folder for the build.", required=True)
    flags.DEFINE_string("to", None, "hf://, s3:// or file:// address.", required=True)
    flags.DEFINE_integer("kills", 20, "Commands that are killed.")
    flags.DEFINE_integer("seed", 0, "Seed of the moments, and part of the addresses.")


def _main() -> int:
    values, source = flags.FLAGS, flags.FLAGS.work / "synthetic.tar.gz"
    data_dir = values.work / "data"
    if not data_dir.exists():
        values.work.mkdir(parents=True, exist_ok=True)
        write_archive(source, _NUM_PATCHES, seed=0)
        with builds.small_shards(_SHARD):
            builds.run_build(source, data_dir)
    found = [*run_trials(data_dir, values.to, values.kills, values.seed)]
    differences = [problem for problem, _ in found if problem]
    result = {
        "to": values.to,
        "kills": len(found),
        "differences": len(differences),
        "first": differences[:3],
        "found_after_the_kill": Counter(stage for _, stage in found),
    }
    print(json.dumps(result, indent=1))
    return 1 if differences else 0


if __name__ == "__main__":
    if sys.argv[1].startswith("-"):
        command.run(_main, _define_flags)
    else:
        _publish(*sys.argv[1:])

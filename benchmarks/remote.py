"""Measures the streaming of a published Parquet store, beside `datasets` and torch.

Each way reads the train split once, turn by turn, in a process of its own. Bytes are
what all network interfaces receive meanwhile, loopback included: let nothing else use
them, or run it in a network namespace. `needed_mb` is what the columns take, and
`peak_mb` the most memory of the process, its packages included. Needs Linux.

A hub on this machine that waits 20 ms before it answers:
  python -m tests.hub --folder=data/huggingface --latency_ms=20

Example:
  python -m benchmarks.remote --url=hf://datasets/org/data --output=benchmarks/results
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.measure import RunError, describe_machine
from bigearthnet.formats.parquet import column_sizes
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.remote import open_anywhere
from bigearthnet.util import command
from bigearthnet.util.options import look_up
from builder.table import format_table

_PROGRAMS = Path(__file__).parent / "programs"
_GROUPS = ("bands_10m", "bands_20m", "bands_60m")
# Way → the program that reads so.
_WAYS = {
    "reader": "stream_ours.py",
    "shuffled": "stream_ours.py",
    "load": "stream_ours.py",
    "datasets": "stream_datasets.py",
    "torch": "stream_datasets.py",
}


def measure(
    url: str, peers: str, ways: Sequence[str], rounds: int
) -> list[dict[str, object]]:
    """Reads in each way, all bands and one of them, turn by turn.

    Args:
        url: The store.
        peers: Interpreter of an environment with `datasets` and torch.
        ways: Names of the ways.
        rounds: How often.

    Returns:
        For each way and bands the medians of the fields of `run`, and `needed_mb`.

    Raises:
        RunError: If a program fails.
    """
    store = open_anywhere(url, get_config("s2", RELEASES))
    sizes = column_sizes(store.shards("train"))
    runs = [(way, bands) for bands in ([], ["B04"]) for way in ways]
    found: list[list[dict[str, float]]] = [[] for _ in runs]
    for _ in range(rounds):
        for (way, bands), several in zip(runs, found, strict=True):
            python = peers if way in ("datasets", "torch") else sys.executable
            several.append(run([python, _PROGRAMS / _WAYS[way], url, way, *bands]))
    return [
        {
            "way": way,
            "bands": ",".join(bands) or "all",
            **{
                name: round(statistics.median(one[name] for one in several), 2)
                for name in several[0]
            },
            "needed_mb": sum(sizes[n] for n in _GROUPS[: 1 if bands else 3]) / 1e6,
        }
        for (way, bands), several in zip(runs, found, strict=True)
    ]


def run(program: Sequence[str | Path]) -> dict[str, float]:
    """Runs a program to its end.

    Returns:
        Patches per second, processor milliseconds a patch with start-up, megabytes
        received and, of memory, the most.

    Raises:
        RunError: If it fails.
    """
    before = _count_received()
    with subprocess.Popen(
        [str(part) for part in program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not lines:
        raise RunError(f"{program} ended with status {process.returncode}")
    said = json.loads(lines[-1])
    return {
        "patches_per_s": said["patches"] / said["seconds"],
        "cpu_ms": 1000 * (usage.ru_utime + usage.ru_stime) / said["patches"],
        "peak_mb": usage.ru_maxrss / 1000,
        "received_mb": (_count_received() - before) / 1e6,
    }


def _count_received() -> int:
    """Returns the bytes that all network interfaces have received (Linux, proc(5))."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sum(int(line.partition(":")[2].split()[0]) for line in lines)


def _define_flags() -> None:
    flags.DEFINE_string("url", None, "A published Parquet store, hf://.", required=True)
    command.define_path(
        "peers", sys.executable, "Interpreter with `datasets` and torch."
    )
    flags.DEFINE_list("ways", [*_WAYS], "What reads.")
    flags.DEFINE_integer("rounds", 3, "Runs of each way.", lower_bound=1)
    command.define_path("output", None, "Folder that gets remote.json.")


def _main() -> None:
    values = flags.FLAGS
    for way in values.ways:
        look_up(_WAYS, way, "way (--ways)")
    rows = measure(values.url, str(values.peers), values.ways, values.rounds)
    print(format_table(tuple(rows[0]), [tuple(row.values()) for row in rows]))
    found = {"machine": describe_machine(), "rounds": values.rounds, "rows": rows}
    if values.output is not None:
        values.output.mkdir(parents=True, exist_ok=True)
        path = values.output / "remote.json"
        path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    command.run(_main, _define_flags)

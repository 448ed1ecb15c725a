"""Runs a program and measures it from outside: processor time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Seconds between two looks at the memory; a look costs milliseconds of the program.
_INTERVAL_S = 0.5
# Characters of a program's errors that are kept.
_TAIL = 400


class RunError(Exception):
    """Raised when a program fails or does not say what it did."""


@dataclass(frozen=True)
class Measurement:
    """One run of a program.

    Attributes:
        patches: Patches that it wrote or read.
        seconds: Time of its work, as it says itself.
        nbytes: Bytes of its result on disk, or None.
        cpu_seconds: Processor time of all its processes, start-up included.
        peak_pss: Most bytes of memory of all its processes together, shared pages
            counted once; None where that was not looked at.
    """

    patches: int
    seconds: float
    nbytes: int | None
    cpu_seconds: float
    peak_pss: int | None

    @property
    def rate(self) -> float:
        """Patches per second."""
        return self.patches / self.seconds


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    timeout_s: float,
    watch_memory: bool,
) -> Measurement:
    """Runs a program to its end.

    Args:
        command: Interpreter, script and arguments.
        environment: Variables beside those of this process.
        timeout_s: Seconds after which it is killed.
        watch_memory: Whether to look at its memory, which slows it down a little.

    Raises:
        RunError: If it fails, takes too long, or does not end with a line of JSON.
    """
    before = os.times()
    said, peak = run_program(
        command, environment, timeout_s=timeout_s, watch_memory=watch_memory
    )
    after = os.times()
    try:
        return Measurement(
            said["patches"],
            said["seconds"],
            said["bytes"],
            (after.children_user - before.children_user)
            + (after.children_system - before.children_system),
            peak,
        )
    except (KeyError, TypeError):
        raise RunError(f"said nothing of what it did: {said!r}") from None


def run_program(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    timeout_s: float,
    watch_memory: bool = False,
) -> tuple[Any, int | None]:
    """Runs a program to its end.

    Args:
        command: Interpreter, script and arguments.
        environment: Variables beside those of this process.
        timeout_s: Seconds after which it is killed.
        watch_memory: Whether to look at its memory.

    Returns:
        What its last line says, in JSON, and the peak of its memory in bytes.

    Raises:
        RunError: If it fails, takes too long, or does not end with a line of JSON.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    watcher = _MemoryWatcher(process.pid) if watch_memory else None
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        raise RunError(f"took longer than {timeout_s:.0f} s") from None
    finally:
        peak = watcher.stop() if watcher else None
    if process.returncode:
        raise RunError(f"status {process.returncode}: {errors[-_TAIL:]}")
    try:
        return json.loads(output.splitlines()[-1]), peak
    except (IndexError, ValueError):
        raise RunError(f"said nothing of what it did: {output[-_TAIL:]!r}") from None


class _MemoryWatcher:
    """Looks at the memory of a process and its descendants (Linux)."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak = pid, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """Ends watching; returns the peak in bytes, None where nothing was seen."""
        self._ended.set()
        self._thread.join()
        return self._peak or None

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL_S):
            self._peak = max(self._peak, sum(map(_read_pss, _find_family(self._pid))))


def _find_family(pid: int) -> list[int]:
    """Returns a process and all its descendants, of any of its threads."""
    family = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            family += _find_family(int(child))
    return family


def find_cpu_s() -> float:
    """Returns the processor seconds of this process and all its descendants so far.

    Those that have ended count if a living one has waited for them (proc(5), Linux).
    """
    return sum(map(_read_ticks, _find_family(os.getpid()))) / os.sysconf("SC_CLK_TCK")


def _read_ticks(pid: int) -> int:
    """Returns what a process and its ended children used; 0 if it ended meanwhile."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _read_pss(pid: int) -> int:
    """Returns the proportional share of memory of a process in bytes; 0 if it ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def describe_machine() -> dict[str, object]:
    """Returns what figures depend on: processors, memory, system, Python."""
    import platform

    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }

"""Signals that end a build at a random moment, in processes of their own."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults import builds, victim

# Seconds after which a build is said to wait for ever; one takes seconds at most.
_FOR_EVER = 300


class Victims:
    """Starts builds of one source.

    Attributes:
        seconds: How long an undisturbed build takes once it has begun; see `measure`.
    """

    def __init__(self, source: Path, shard: int) -> None:
        """Takes what is built.

        Args:
            source: The archive.
            shard: The most patches of a shard.
        """
        self._source, self._shard = source, shard
        self.seconds = 0.0

    def start(self, data_dir: Path, workers: int) -> subprocess.Popen[str]:
        """Starts a build, and returns when it begins."""
        arguments = (self._source, data_dir, str(self._shard), str(workers))
        process = subprocess.Popen(
            [sys.executable, "-m", victim.__name__, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline().strip() == victim.BEGIN
        return process

    def measure(self, data_dir: Path) -> None:
        """Runs a build to its end, and takes its time."""
        process, begin = self.start(data_dir, workers=1), time.monotonic()
        process.communicate()
        self.seconds = time.monotonic() - begin

    def finish(self, data_dir: Path, workers: int) -> str:
        """Runs a build to its end; returns "" or what it says went wrong."""
        process = self.start(data_dir, workers)
        said = end(process)
        return said.strip().splitlines()[-1] if process.returncode else ""


def end(process: subprocess.Popen[str]) -> str:
    """Waits for the end of a build; returns what it said on standard error.

    Raises:
        subprocess.TimeoutExpired: If it does not end; it is killed.
    """
    try:
        return process.communicate(timeout=_FOR_EVER)[1]
    finally:
        process.kill()


def run_trials(
    kind: signal.Signals | None,
    trials: int,
    victims: Victims,
    work: Path,
    expected: dict[str, str],
    seed: int = 0,
) -> Iterator[tuple[str, str]]:
    """Ends builds at random moments, and runs them again at once.

    A build that was finished before its moment does not count.

    Args:
        kind: SIGKILL or SIGINT; None to take the folder away.
        trials: How many builds that were ended.
        victims: What is built.
        work: Existing folder to build in.
        expected: What `builds.hash_tree` says of an undisturbed build.
        seed: Seed of the moments.

    Yields:
        For each build "" if all is as expected, or what is not; and where it was
        ended.
    """
    numbers = random.Random(f"{kind} {seed}")
    count = 0
    while count < trials:
        folder = work / "trial"
        folder.mkdir()
        process = victims.start(folder, workers=numbers.choice((1, 2)))
        time.sleep(numbers.uniform(0, victims.seconds))
        if kind is None:
            folder.rename(work / "removed")
            shutil.rmtree(work / "removed")
        else:
            process.send_signal(kind)
        stage = find_stage(folder)
        try:
            problem = victims.finish(folder, workers=numbers.choice((1, 2)))
            end(process)
        except subprocess.TimeoutExpired as error:
            problem = str(error)
        if builds.IS_THERE in problem:
            problem = ""  # it was finished before; what it left is compared
        problem = problem or builds.compare(expected, builds.hash_tree(folder))
        if process.returncode or problem:
            count += 1
            yield problem, stage
        shutil.rmtree(folder)


def find_stage(folder: Path) -> str:
    """Returns where a build stands that is ended now, as its journal says."""
    for path in folder.glob("incomplete.*/journal.jsonl"):
        try:
            text = path.read_text()
        except OSError:  # finished, or taken away
            continue
        for kind, stage in (("publish", "publishing"), ("spooled", "stage two")):
            if f'"kind":"{kind}"' in text:
                return stage
        return "stage one"
    return "begin or end"

"""Trains the three models on a synthetic archive, as far as that can show anything.

The labels of synthetic patches are in all bands and only partly in red, green and blue,
so S-CNN-All must be better than S-CNN-RGB, whatever the seed; a model that learns
shuffled labels must not be better than predicting by frequency; and the same seed must
give the same files. Inception-v2 runs with random weights, as a check that it runs.

Example:
  python -m benchmarks.smoke --work=/tmp/smoke --output=benchmarks/results
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from baselines.evaluations import Result
from baselines.frequency import frequency_f1
from baselines.results import evaluation_folder, read_results
from benchmarks.sources import make_stores
from bigearthnet.release import RELEASES
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.schema.configs import get_config
from bigearthnet.store import read_labels
from bigearthnet.store.search import open_store
from bigearthnet.util import command

_MODELS = ("s_cnn_rgb", "s_cnn_all", "inception_v2")
# What the differences of F1 and F2 have to be at least.
_LEAST_DIFFERENCE = 0.10


class Runs:
    """Trains and evaluates, in processes of their own, as a user does."""

    def __init__(self, work: Path, data_dir: Path) -> None:
        """Takes folders for runs and data."""
        self._work, self._data_dir = work, data_dir

    def run(self, name: str, model: str, seed: int, *options: str) -> Result:
        """Trains a smoke run, evaluates it, and returns its results on test."""
        folder = self._work / name
        where = f"--data_dir={self._data_dir}", f"--workdir={folder}"
        run = f"--run={model}_smoke"
        call("baselines.train", run, f"--seed={seed}", *where, *options)
        call("baselines.evaluate", "--split=test", *where)
        return read_results(evaluation_folder(folder, "test"))

    def compare(self, names: list[str]) -> list[dict[str, Any]]:
        """Compares runs; returns what comparison.json says of their differences."""
        folders = ",".join(str(self._work / name) for name in names)
        output = self._work / "comparison"
        call("baselines.compare", f"--workdirs={folders}", f"--output={output}")
        content = json.loads((output / "comparison.json").read_text())
        (group,) = content["groups"]
        return list(group["differences"])


def call(module: str, *arguments: str) -> None:
    """Runs a command of the package.

    Raises:
        RuntimeError: If it fails; with the end of what it says.
    """
    print(module, *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr[-800:]}")


def read_multi_hot(data_dir: Path, split: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns the labels of a split, shape (patch, class), uint8."""
    store = open_store(data_dir, get_config("s2", RELEASES))
    labels = read_labels(store, split).to_pylist()
    found = np.zeros((len(labels), len(CLC43)), np.uint8)
    for row, ids in enumerate(labels):
        found[row, ids] = 1
    return found


def smoke(work: Path, data_dir: Path, seeds: int) -> dict[str, Any]:
    """Runs everything.

    Args:
        work: Existing folder for the runs.
        data_dir: Where the synthetic store is.
        seeds: How many seeds.

    Returns:
        F1 and F2 of every run, and whether what must be is.
    """
    start, runs = time.monotonic(), Runs(work, data_dir)
    results = {
        f"{model}_{seed}": runs.run(f"{model}_{seed}", model, seed)
        for seed in range(seeds)
        for model in _MODELS
    }
    seconds = time.monotonic() - start
    shuffled = runs.run("shuffled", "s_cnn_all", 0, "--shuffle_labels")
    again = runs.run("again", "s_cnn_all", 0)
    train, test = (read_multi_hot(data_dir, split) for split in ("train", "test"))
    frequency = frequency_f1(train, test)
    scores = {
        name: {
            "f1": result.metrics.per_patch.f1,
            "f2": result.metrics.per_patch.f2,
        }
        for name, result in {**results, "shuffled": shuffled}.items()
    }
    differences = [
        scores[f"s_cnn_all_{seed}"][key] - scores[f"s_cnn_rgb_{seed}"][key]
        for seed in range(seeds)
        for key in ("f1", "f2")
    ]
    first = results["s_cnn_all_0"]
    return {
        "test_patches": len(test),
        "seconds_of_the_seeds": round(seconds, 1),
        "per_patch": scores,
        "frequency_f1": {"best": frequency},
        "least_difference": min(differences),
        "differences": runs.compare(list(results)),
        "is_good": {
            "all bands are better": min(differences) >= _LEAST_DIFFERENCE,
            "shuffled labels teach nothing": scores["shuffled"]["f1"] <= frequency,
            "the same seed gives the same": first.metrics == again.metrics
            and first.subject.weights_sha256 == again.subject.weights_sha256,
        },
    }


def _define_flags() -> None:
    command.define_path("work", None, "Folder for everything.", required=True)
    command.define_path("output", None, "Folder that gets smoke.json.")
    flags.DEFINE_integer("num_patches", 3_000, "Patches of the synthetic archive.")
    flags.DEFINE_integer("seeds", 3, "Seeds of each model.")


def _main() -> int:
    values, work = flags.FLAGS, flags.FLAGS.work
    data_dir = make_stores(work, values.num_patches, ["arrow"])
    runs = work / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir()
    found = smoke(runs, data_dir, values.seeds)
    text = json.dumps({"patches": values.num_patches, **found}, indent=1) + "\n"
    if values.output is not None:
        path = values.output / "smoke.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(text)
    return 0 if all(found["is_good"].values()) else 1


if __name__ == "__main__":
    command.run(_main, _define_flags)
